// The processes below this one, and ending them.
//
// Two kinds of target. A direct child that is not reaped yet: its pid cannot be recycled, kill() is safe. A
// deeper descendant: its pid can be, so it is pinned by a pidfd first and looked at again before it is signalled.
// SIGKILL only ever goes to direct children, generation by generation: what they leave behind becomes a
// direct child of this subreaper.
// The kernel's list of children may skip entries while it changes: only ECHILD proves that nothing is left.
//
// All of this is for a single-threaded process: the kernel keeps the lists per thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <poll.h>
#include <span>
#include <string_view>
#include <sys/resource.h>
#include <sys/types.h>
#include <vector>

namespace tenure::inline v0::app {

/// What /proc/PID/stat says of a process.
struct process_stat {
    pid_t parent = 0;
    pid_t group = 0;
    char state = '?'; ///< 'Z': a zombie, 'T': stopped, …

    bool dead() const noexcept { return state == 'Z' || state == 'X' || state == 'x'; }
};

/// Reads the text of /proc/PID/stat. Returns: false when it is not one.
bool parse_stat(std::string_view text, process_stat& into);
/// Returns: false when there is no such process, or none that we may see.
bool read_stat(pid_t pid, process_stat& into);

/// The children of `pid`, those of all its threads; from /proc/PID/task/*/children, or from all of /proc on
/// a kernel without those files.
std::vector<pid_t> children_of(pid_t pid);
/// Every process below `pid`, parents before their children.
std::vector<pid_t> descendants_of(pid_t pid);

/// Sends `signals`, in order, to a descendant of this process that may be deep.
/// `known` are the pids found with it: its parent must be one of them, or this process.
/// Returns: true if it was signalled; false if it has gone, is a zombie, fails `wanted`, or is not ours to
/// signal.
bool signal_descendant(pid_t pid, std::initializer_list<int> signals, const std::vector<pid_t>& known,
                       const std::function<bool(const process_stat&)>& wanted);

/// Reaps what has ended, and counts.
class reaper {
public:
    enum class found { one, stopped, nothing, no_children };

    /// One waitpid(-1) that does not block: also tells of stopped children, and of clone children.
    found next();

    pid_t pid() const noexcept { return pid_; }
    int status() const noexcept { return status_; }
    const rusage& usage() const noexcept { return usage_; } ///< of the process, and of those it had reaped

private:
    pid_t pid_ = 0;
    int status_ = 0;
    rusage usage_{};
};

struct kill_round {
    unsigned signalled = 0;
    unsigned refused = 0; ///< EPERM: set-user-ID programs of another user
    unsigned unseen = 0;  ///< 1: there was no ECHILD, but nothing was found in /proc either

    unsigned all() const noexcept { return signalled + refused + unseen; }
};

/// How long to go on after SIGKILL. Children that are not ours to signal get a second; those that have the signal and do
/// not end, because they are in an uninterruptible sleep or frozen, get five. Each counts from the last end of any child.
class kill_patience {
public:
    static constexpr std::chrono::nanoseconds with_deaf = std::chrono::seconds(5);
    static constexpr std::chrono::nanoseconds with_foreign = std::chrono::seconds(1);

    /// Once a round. True: what is left will not end.
    bool used_up(const kill_round& round, bool reaped, std::chrono::nanoseconds limit = with_deaf) noexcept;

private:
    std::int64_t since_ = 0;
};

/// SIGKILL to each direct child that is not `spared`; reaps nothing.
kill_round kill_children(const std::function<bool(pid_t)>& spared = {});

/// Ends all children, bottom-up: those for which `is_warden` says true get `patience` to end their own trees
/// first. Only children that do not end are left, when kill_patience is used up; those that are `hopeless`, which it was
/// for before, are not waited for.
/// SIGCHLD must be blocked and not ignored. Blocks.
/// Returns: what is left: `signalled` have SIGKILL and do not end, `refused` are not ours to signal, `unseen` were not found.
kill_round sweep(const std::function<bool(pid_t)>& is_warden, std::chrono::nanoseconds patience,
                 const std::function<bool(pid_t)>& hopeless = {});

/// Prepares a process whose children are started with io::signal_state::all_blocked_none_ignored and that waits
/// with wait_for(): every signal blocked and its disposition the default, but for an empty handler of SIGCHLD.
void block_all_but_children();

/// ppoll during which SIGCHLD, and nothing else, is delivered. The signal needs no descriptor and no read.
/// `timeout_ns` -1: none. Returns: false when SIGCHLD (or nothing else) ended the wait: `revents` are all 0.
bool wait_for(std::span<pollfd> events, std::int64_t timeout_ns);

/// CLOCK_MONOTONIC, ns.
std::int64_t monotonic_ns() noexcept;

} // namespace tenure::inline v0::app
