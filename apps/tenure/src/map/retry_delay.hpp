#pragma once

#include <chrono>
#include <cstdint>

namespace tenure::inline v0::app {

/// How long to wait before the next attempt of item `seq` after `failed` attempts (1 or more):
/// 100 ms doubled each time, 10 s at most, then spread over 75 to 100 % of that by item and attempt, so that
/// items that failed together do not come back together. The same input gives the same delay.
std::chrono::nanoseconds retry_delay(std::uint64_t seq, unsigned failed);

} // namespace tenure::inline v0::app
