// For tests: what a process that should be gone is doing.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace tenure::inline v0::app::testing {

/// One line: pid, parent, state, start, CPU time, waiting time, pending signals, where it waits, cgroup, command line. Empty if
/// it is gone.
std::string describe_process(pid_t pid);

/// Every process but this one that has the pipe open of which `end` is a descriptor here.
std::vector<pid_t> holders_of_pipe(int end);

/// A line for each; those that have gone meanwhile are left out.
std::string describe_processes(const std::vector<pid_t>& pids);

} // namespace tenure::inline v0::app::testing
