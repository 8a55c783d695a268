// For tests: who of guard, engine and wardens may be killed without a process surviving?
#pragma once

#include <string>

namespace tenure::inline v0::app::testing {

enum class victim {
    guard,
    engine,
    warden,       ///< one; the run goes on, and the guard is killed a little later
    guard_engine, ///< both at once
    engine_guard,
    group, ///< kill -9 of the process group that the user started
};

/// Starts guard, engine and four wardens under a load of short commands, daemons and orphans, and kills the
/// victim at a random moment; as often as `rounds` says. This process becomes a subreaper: what survives guard,
/// engine and wardens is adopted, found and ended by it.
/// Returns: empty, or what went wrong.
std::string kill_in_rounds(victim who, unsigned rounds, bool cgroup);

} // namespace tenure::inline v0::app::testing
