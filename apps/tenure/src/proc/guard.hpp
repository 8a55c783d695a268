// The guard: the process that the user started, the thin outermost layer of guard, engine and wardens.
//
// All three are subreapers, so a descendant whose parent has ended is adopted by the innermost layer that
// lives. Whichever of them is killed with SIGKILL, the others end every descendant.
//
//   SUBREAPER: PR_SET_CHILD_SUBREAPER, pidfd of itself, forwarded signals blocked, SIGCHLD default
//     -> fork the engine
//   RUN: waits for signals only
//     - TERM HUP QUIT INT USR1 USR2 WINCH TSTP sent to the guard alone: forwarded, with the sender's pid (see origin())
//     - the same from the terminal (SI_KERNEL): the engine has it too, nothing to do
//     - engine stopped: SIGSTOP itself, so that a shell sees one job stop. Continued: SIGCONT the engine, unless
//       it has gone on by itself since (`fg` and `bg` continue the whole process group): it may have stopped
//       again already, and that stop belongs to the shell
//     - engine ended -> SWEEP
//   SWEEP, bottom-up: strays are killed at once, wardens get 1 s to end their items (each sees the engine's
//     end by itself), then they are killed too; until no child is left (ECHILD)
//   EXIT: as the engine did: same status, or the same signal with core dumps off. An engine that was interrupted by
//     SIGINT dies of it: a shell ends its script only when its child has died of the key that was pressed
//
// The engine sees the guard's end by `guard_pidfd` and then calls warden_set::end_now() and _exit. If it is stopped then,
// the guard's end continues it (PDEATHSIG).
// Invariant: the guard starts nothing but the engine; every other child it ever has is a stray or a warden.
//
// A shell that has children may replace itself by this program (exec). Those and their orphans belong to the user. In
// such a process the guard is a child of it, and the process itself is a mere front: no subreaper, it forwards
// signals, stops and continues, and exits as the guard does. When it is killed, the guard is (PDEATHSIG).
//
// A signal that this process was started to ignore (nohup, a job in the background of a script) stays ignored.
#pragma once

#include "proc/cgroup.hpp"
#include "proc/warden_registry.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/types.h>

namespace tenure::inline v0::app {

/// What the engine gets from its guard. Pointers stay valid as long as the engine lives.
struct engine_context {
    pid_t guard = -1;
    int guard_pidfd = -1; ///< readable when the guard has ended; close-on-exec
    warden_registry* registry = nullptr;
    const run_cgroup* cgroup = nullptr; ///< NULL: none could be made
};

struct guard_options {
    unsigned slots = 1; ///< how many wardens the engine may have
    bool cgroup = true; ///< try to use cgroup v2
};

/// The signals that a guard forwards: those that are not ignored. They and SIGCHLD are blocked when the engine starts: it reads them with a signalfd.
sigset_t forwarded_signals();

/// What `engine_main` returns when the whole command has to die by `signal`, as a shell expects of a SIGINT.
constexpr int ended_by_signal(int signal) noexcept { return -signal; }

/// Makes this process the guard, and runs `engine_main` in the engine process, which then _exits with its value.
/// Precondition: this process is single-threaded.
/// Returns: the engine's exit status, in the guard only; 70 with a message on stderr when no engine could be
/// started. The signals stay blocked, so that one that came too late to be forwarded does not change that status.
/// If a signal ended the engine, the same one ends this process.
int run_guard(const guard_options& options, const std::function<int(const engine_context&)>& engine_main);

/// Stops the calling engine, as SIGTSTP would have: after warden_set::stop_all(), or when a tty item has stopped.
/// Returns: when it is continued. The guard stops and continues with it.
void stop_self();

/// Who sent a signal that the engine has read: for a forwarded one the guard's informant.
pid_t origin(const signalfd_siginfo& signal, pid_t guard);

/// Tells a second interrupt from a second copy of the first. `timeout`, for instance, signals its child and
/// then the whole process group: guard and engine get the same request, and the guard forwards it.
class interrupt_filter {
public:
    /// Returns: false for a copy. A request to the whole group comes in two ways, directly and forwarded, however late
    /// the guard is: so as many requests have come as signals in the way that brought more. In one way, what the same
    /// process sends again within 100 ms is a copy. What the terminal sends comes once, and is always fresh.
    bool fresh(const signalfd_siginfo& signal, pid_t guard, std::chrono::steady_clock::time_point now);

private:
    struct way {
        unsigned requests = 0;
        std::chrono::steady_clock::time_point last{};
    };

    std::uint32_t signo_ = 0; // since another signal, or one of another sender
    pid_t sender_ = -1;
    way direct_;
    way forwarded_;
};

} // namespace tenure::inline v0::app
