#pragma once

#include "cli/options.hpp"

namespace tenure::inline v0::app {

/// Does what `tenure map` was asked for: prints the commands (--dry-run), or becomes the guard of a run.
/// What is wrong with the caller's files is told, with status 2, before anything is started.
/// Precondition: this process is single-threaded and has no children.
/// Returns: the exit status, in the process that called it only.
int map_command(map_options options);

} // namespace tenure::inline v0::app
