// cgroup v2, used where it can be made and never required: an atomic kill and a complete account of CPU time.
// No controller is enabled and nothing but items is moved, so the machine's own cgroups stay as they are.
//
// A cgroup that was ever killed is not used again. Linux 6.18 sends SIGKILL to every process that is started
// into a cgroup whose count of kills differs from that of its parent's cgroup (clone3 with CLONE_INTO_CGROUP
// compares the wrong two): measured. So a slot's directory is made anew after a kill, and a run first tries with
// one process whether any can live in its cgroup.
// Layout: <own cgroup>/tenure-PID (the run) / s0, s1, … (a slot each, reused from item to item).
// The directory of a run is locked (flock) as long as one of its processes lives. A run whose processes were all
// killed at once leaves its directory; the next run removes what is empty and not locked.
#pragma once

#include <tenure/io/unique_fd.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace tenure::inline v0::app {

/// The cgroup v2 directory that this process is in; empty when there is none.
/// `mountinfo` and `self` are the texts of /proc/self/mountinfo and /proc/self/cgroup; a hybrid hierarchy
/// (cgroup2 beside v1, as at /sys/fs/cgroup/unified) is found as well.
std::string own_cgroup(const std::string& mountinfo, const std::string& self);

/// The cgroup of a run.
class run_cgroup {
public:
    /// Returns: empty when cgroups cannot be used here; that is no error.
    static std::unique_ptr<run_cgroup> create();
    /// The same below the cgroup v2 directory `parent`. Removes what dead runs have left there.
    static std::unique_ptr<run_cgroup> create_in(const std::string& parent);

    run_cgroup(const run_cgroup&) = delete;
    run_cgroup& operator=(const run_cgroup&) = delete;
    /// Closes; removes nothing. A fork has a copy, and only one process is the last.
    ~run_cgroup() = default;

    const std::string& path() const noexcept { return path_; }
    int directory() const noexcept { return directory_.get(); }

    /// Removes the directories that are empty. Whoever ends calls it; the last one removes all.
    void remove() const;

private:
    run_cgroup(std::string path, io::unique_fd directory)
        : path_(std::move(path)), directory_(std::move(directory)) {}

    static void remove_abandoned(const std::string& parent);

    std::string path_;
    io::unique_fd directory_;
};

/// The cgroup of one slot, held by its warden.
class slot_cgroup {
public:
    /// Returns: empty when it could not be made, or cannot be emptied of what an earlier warden left in it.
    static std::optional<slot_cgroup> create(const run_cgroup& run, unsigned slot);

    int directory() const noexcept { return directory_.get(); } ///< for CLONE_INTO_CGROUP

    /// SIGKILL to every process in it, and to those that they are just starting. It is used up by that: make
    /// another one.
    void kill();
    bool used_up() const noexcept { return killed_; }
    bool populated() const;
    /// Returns: false when it is still populated after `limit`. Blocks.
    bool wait_empty(std::chrono::nanoseconds limit) const;
    /// The processes in it.
    std::vector<pid_t> processes() const;

    struct cpu {
        std::int64_t user_ns = 0;
        std::int64_t system_ns = 0;
    };
    /// Of everything that ever ran in it.
    std::optional<cpu> usage() const;

    /// Removes the directory; the slot must be empty.
    void remove() const;

private:
    slot_cgroup() = default;
    bool open_files();

    int run_ = -1; // borrowed
    bool killed_ = false;
    std::string name_;
    io::unique_fd directory_;
    io::unique_fd kill_;
    io::unique_fd stat_;
    io::unique_fd events_;
};

} // namespace tenure::inline v0::app
