// Starting a child process: one clone(CLONE_VM|CLONE_VFORK) and one exec, nothing copied, no helper process.
//
// Between clone and exec the child runs on this process's memory, on a stack of its own, while the calling
// thread is suspended. It therefore only makes system calls; a failure is written into that shared memory and
// returned by spawn() as a value, with errno and the stage at which it happened. There is no exit code 127.
#pragma once
#include <tenure/io/unique_fd.hpp>

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace tenure::inline v0::io {

/// What the child was doing when its start failed.
enum class spawn_stage : std::uint8_t {
    none,
    start,         ///< clone itself: EAGAIN (process limit), ENOMEM, EMFILE (for the pidfd)
    process_group, ///< setpgid
    terminal,      ///< handing the terminal over
    streams,       ///< standard input, output, error
    directory,     ///< changing the working directory
    descriptors,   ///< closing every other descriptor
    exec,          ///< ENOENT, EACCES, ENOEXEC, E2BIG, …
    isolation,     ///< making namespaces; not used by spawn() itself
};

/// "exec", "start", …: for messages.
const char* to_string(spawn_stage stage) noexcept;

struct spawn_error {
    int code = 0; ///< errno; 0: no error
    spawn_stage stage = spawn_stage::none;

    explicit operator bool() const noexcept { return code != 0; }
    /// The system is short of processes, memory or descriptors: worth another try a little later.
    bool transient() const noexcept;
};

/// What spawn() may assume about the calling thread's signals.
enum class signal_state : std::uint8_t {
    unknown, ///< spawn() blocks all signals meanwhile; the child resets every disposition
    /// The caller promises: all signals are blocked, none is ignored, and handlers touch no memory.
    /// Saves 66 system calls.
    all_blocked_none_ignored,
};

struct spawn_options {
    char* const* argv = nullptr; ///< NULL-terminated, with at least argv[0]
    /// What to execute. NULL: argv[0], looked up in the caller's PATH as execvp does (without its fallback to
    /// a shell) unless it contains a slash.
    const char* file = nullptr;
    char* const* environment = nullptr; ///< NULL: the caller's
    const char* directory = nullptr;    ///< working directory; NULL: the caller's

    // Borrowed descriptors that become 0, 1, 2; -1: /dev/null.
    int in = -1;
    int out = -1;
    int err = -1;

    int terminal = -1; ///< a terminal whose foreground the child takes before exec; -1: none
    int cgroup = -1;   ///< a cgroup v2 directory to start in; -1: the caller's
    bool want_pidfd = false;
    signal_state signals = signal_state::unknown;
};

struct spawned {
    pid_t pid = -1;
    unique_fd pidfd; ///< close-on-exec; only when asked for
    spawn_error error;

    explicit operator bool() const noexcept { return !error; }
};

/// Starts a child: leader of a process group of its own, no descriptor but 0, 1 and 2, no signal blocked,
/// ignored or handled.
/// Returns: when exec has succeeded, or with the error; a child whose start failed is already reaped.
/// Owner: the caller reaps the child (SIGCHLD is its exit signal).
/// Threads: any; the calling thread is suspended until exec.
spawned spawn(const spawn_options& options);

/// The file that spawn() would execute for `name`; empty when there is none.
std::string find_executable(const char* name);

} // namespace tenure::inline v0::io
