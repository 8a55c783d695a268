#pragma once

namespace tenure::inline v0::app {

/// Occupies those of the descriptors 0, 1 and 2 that are closed, so that nothing opened later gets their numbers
/// and is taken for standard input or output. Reading or writing them still fails with EBADF.
/// Call it first thing in main().
void occupy_standard_streams();

} // namespace tenure::inline v0::app
