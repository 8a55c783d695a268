#include "cli/available_cpus.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <optional>
#include <sched.h>
#include <sstream>
#include <string_view>
#include <vector>

namespace tenure::inline v0::app {

namespace {

struct cgroup_mount {
    std::string shown_root; // the group that the mount point shows
    std::string mount_point;
    bool v2 = false;
};

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; in >> word;)
        words.push_back(std::move(word));
    return words;
}

bool lists(std::string_view comma_separated, std::string_view name) {
    while (!comma_separated.empty()) {
        const auto comma = comma_separated.find(',');
        if (comma_separated.substr(0, comma) == name) return true;
        if (comma == std::string_view::npos) break;
        comma_separated.remove_prefix(comma + 1);
    }
    return false;
}

// mountinfo: id parent major:minor root mount-point options [optional…] - type source super-options
std::optional<cgroup_mount> cgroup_mount_of(const std::string& line) {
    const auto words = words_of(line);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) return std::nullopt;
    const std::string& type = dash[1];
    if (type == "cgroup2") return cgroup_mount{words[3], words[4], true};
    if (type == "cgroup" && lists(dash[3], "cpu")) return cgroup_mount{words[3], words[4], false};
    return std::nullopt;
}

std::optional<std::int64_t> number_in(const std::string& path) {
    std::ifstream in(path);
    std::int64_t value = 0;
    if (in >> value) return value;
    return std::nullopt;
}

// CPUs rounded up; 0: no limit, or none that can be read.
unsigned rounded_up(std::int64_t quota, std::int64_t period) {
    if (quota <= 0 || period <= 0) return 0;
    const std::int64_t cpus = (quota - 1) / period + 1;
    return static_cast<unsigned>(std::min<std::int64_t>(cpus, 1 << 20));
}

unsigned quota_in_folder(const std::string& folder, bool v2) {
    if (v2) {
        std::ifstream in(folder + "/cpu.max");
        std::string quota;
        std::int64_t period = 100'000;
        if (!(in >> quota) || quota == "max") return 0;
        in >> period;
        char* end = nullptr;
        const long long us = std::strtoll(quota.c_str(), &end, 10);
        return end && *end == '\0' ? rounded_up(us, period) : 0;
    }
    const auto quota = number_in(folder + "/cpu.cfs_quota_us");
    const auto period = number_in(folder + "/cpu.cfs_period_us");
    return quota && period ? rounded_up(*quota, *period) : 0;
}

// The least of two quotas, of which 0 means none.
unsigned tighter(unsigned a, unsigned b) {
    if (a == 0 || b == 0) return std::max(a, b);
    return std::min(a, b);
}

// Of the group and of every group above it that this mount shows: each of them limits us.
unsigned quota_upwards(const std::string& root, const cgroup_mount& mount, std::string group) {
    if (mount.shown_root != "/" && group.starts_with(mount.shown_root))
        group.erase(0, mount.shown_root.size());
    else if (mount.shown_root != "/")
        group.clear(); // a container shows us the group that we are in as its root
    const std::string top = root + (mount.mount_point == "/" ? "" : mount.mount_point);
    unsigned quota = 0;
    while (!group.empty() && group != "/") {
        quota = tighter(quota, quota_in_folder(top + group, mount.v2));
        group.erase(group.rfind('/'));
    }
    return tighter(quota, quota_in_folder(top, mount.v2));
}

unsigned affinity_cpus() {
    // The kernel refuses a mask smaller than its own; double it until it fits.
    for (int bits = CPU_SETSIZE; bits <= (1 << 20); bits *= 2) {
        cpu_set_t* set = CPU_ALLOC(bits);
        if (!set) return 1;
        const std::size_t size = CPU_ALLOC_SIZE(bits);
        const bool fits = sched_getaffinity(0, size, set) == 0;
        const int count = fits ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (fits) return static_cast<unsigned>(std::max(count, 1));
    }
    return 1;
}

} // namespace

unsigned cgroup_cpu_quota(const std::string& root) {
    std::vector<cgroup_mount> mounts;
    std::ifstream mountinfo(root + "/proc/self/mountinfo");
    for (std::string line; std::getline(mountinfo, line);) {
        if (auto mount = cgroup_mount_of(line)) mounts.push_back(std::move(*mount));
    }

    // Lines of /proc/self/cgroup: id:controllers:group; the one of v2 is "0::group".
    unsigned quota = 0;
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        const auto first = line.find(':');
        const auto second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const bool v2 = controllers.empty();
        if (!v2 && !lists(controllers, "cpu")) continue;
        for (const cgroup_mount& mount : mounts) {
            if (mount.v2 == v2) quota = tighter(quota, quota_upwards(root, mount, line.substr(second + 1)));
        }
    }
    return quota;
}

unsigned available_cpus(const std::string& root) { return tighter(affinity_cpus(), cgroup_cpu_quota(root)); }

} // namespace tenure::inline v0::app
