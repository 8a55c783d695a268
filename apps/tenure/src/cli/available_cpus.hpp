#pragma once

#include <string>

namespace tenure::inline v0::app {

/// CPUs that this process may use: the affinity mask, and the CPU quota of its control group (v1 and v2,
/// rounded up, its ancestors included), whichever is less. At least 1. `root` stands before /proc and
/// /sys/fs/cgroup paths.
unsigned available_cpus(const std::string& root = "");

/// The CPU quota alone, in CPUs rounded up; 0 when there is none.
unsigned cgroup_cpu_quota(const std::string& root);

} // namespace tenure::inline v0::app
