#include "proc/guard.hpp"

#include "proc/subtree.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <new>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app {

namespace {

constexpr int no_engine = 70; // EX_SOFTWARE of sysexits.h

[[noreturn]] void die_as(int signal) {
    // The engine has left its core, if any; ours would say nothing.
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    sigprocmask(SIG_UNBLOCK, &only, nullptr);
    kill(getpid(), signal);
    _exit(128 + signal); // a signal whose default is not to end the process
}

/// How often the engine has stopped itself: memory that guard and engine share. NULL in a process with neither.
/// Writer: the engine. Reader: the guard, when it has been continued. Relaxed: the stop and the continuation
/// that lie between are system calls of both, and nothing else is published.
std::atomic<unsigned>* engine_stops = nullptr;

bool share_engine_stops() {
    void* memory =
        mmap(nullptr, sizeof *engine_stops, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false;
    engine_stops = new (memory) std::atomic<unsigned>(0);
    return true;
}

void unshare_engine_stops() {
    munmap(engine_stops, sizeof *engine_stops);
    engine_stops = nullptr;
}

/// What a guard does while its engine runs; and what a front does while its guard runs.
class watcher {
public:
    /// `others`: every further child is to be reaped. `front`: who forwards signals to this process already.
    watcher(pid_t child, bool others, pid_t front) : child_(child), others_(others), front_(front) {
        watched_ = forwarded_signals();
        sigaddset(&watched_, SIGCHLD);
        sigaddset(&watched_, SIGCONT);
    }

    /// Returns: the child's wait status.
    int watch() {
        for (;;) {
            siginfo_t info{};
            if (sigwaitinfo(&watched_, &info) < 0) continue; // EINTR: stopped and continued
            if (info.si_signo == SIGCHLD) {
                if (reap()) return status_;
            } else if (info.si_signo != SIGCONT) {
                forward(info);
            }
        }
    }

private:
    /// Returns: true when the child has ended.
    bool reap() {
        for (;;) {
            int status = 0;
            const pid_t pid = waitpid(others_ ? -1 : child_, &status, WNOHANG | WUNTRACED | __WALL);
            if (pid <= 0) return false;
            if (pid != child_) continue; // a stray that has ended
            if (WIFSTOPPED(status)) {
                stop_too();
                continue;
            }
            status_ = status;
            return true;
        }
    }

    /// The shell that waits for us sees the whole command stop, and its `fg` continues the whole.
    void stop_too() {
        const unsigned stops = engine_stops->load(std::memory_order_relaxed);
        kill(getpid(), SIGSTOP);
        // Continued: alone, or with the whole process group. SIGCONT for an engine that runs already would do harm:
        // it takes a SIGTSTP away that the engine has not read yet. And if the engine has stopped itself once more
        // by now, the shell has not seen that stop yet.
        process_stat stat;
        const bool stopped = !read_stat(child_, stat) || stat.state == 'T';
        if (stopped && engine_stops->load(std::memory_order_relaxed) == stops) kill(child_, SIGCONT);
    }

    void forward(const siginfo_t& info) {
        // From the terminal driver: the whole process group got it, the engine too.
        if (info.si_code == SI_KERNEL) return;
        siginfo_t copy{};
        copy.si_signo = info.si_signo;
        copy.si_code = SI_QUEUE;
        copy.si_pid = getpid();
        copy.si_uid = getuid();
        // Who asked: see origin().
        copy.si_value.sival_int =
            info.si_code == SI_QUEUE && info.si_pid == front_ ? info.si_value.sival_int : info.si_pid;
        // It is our unreaped child: its pid means nobody else.
        if (syscall(SYS_rt_sigqueueinfo, child_, info.si_signo, &copy) < 0) kill(child_, info.si_signo);
    }

    pid_t child_;
    bool others_;
    pid_t front_;
    sigset_t watched_{};
    int status_ = 0;
};

bool is_forwarded(const signalfd_siginfo& signal, pid_t guard) {
    return signal.ssi_code == SI_QUEUE && static_cast<pid_t>(signal.ssi_pid) == guard;
}

int cannot_start(const char* what) {
    std::fprintf(stderr, "tenure: cannot start: %s: %s\n", what, std::strerror(errno));
    return no_engine;
}

/// exec keeps the children that a shell had before.
bool has_children() {
    siginfo_t info{};
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

int exit_as(int status) {
    if (WIFSIGNALED(status)) die_as(WTERMSIG(status));
    return WEXITSTATUS(status);
}

/// The guard proper. Returns: as run_guard().
int guard_engine(const guard_options& options, const std::function<int(const engine_context&)>& engine_main,
                 pid_t front) {
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) return cannot_start("PR_SET_CHILD_SUBREAPER");
    const io::unique_fd self(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
    if (!self) return cannot_start("pidfd_open");
    warden_registry registry(options.slots);
    if (!registry.valid()) return cannot_start("mmap");
    const std::unique_ptr<run_cgroup> cgroup = options.cgroup ? run_cgroup::create() : nullptr;

    const pid_t me = getpid();
    const pid_t engine = fork();
    if (engine < 0) {
        const int error = errno;
        if (cgroup) cgroup->remove();
        errno = error;
        return cannot_start("fork");
    }
    if (engine == 0) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        prctl(PR_SET_PDEATHSIG, SIGCONT);      // an engine that is stopped has to see that its guard has gone
        if (getppid() != me) _exit(no_engine); // it has gone already
        // SIGCONT is for the guard to read; the engine is simply continued by it.
        sigset_t continuation;
        sigemptyset(&continuation);
        sigaddset(&continuation, SIGCONT);
        sigprocmask(SIG_UNBLOCK, &continuation, nullptr);
        // noexcept: an exception must not unwind into what the guard's process was doing before.
        [&]() noexcept {
            const int status = engine_main({me, self.get(), &registry, cgroup.get()});
            std::fflush(nullptr);
            if (status < 0) die_as(-status); // see ended_by_signal()
            _exit(status);
        }();
    }
    const int status = watcher(engine, true, front).watch();
    sweep([&](pid_t pid) { return registry.contains(pid); }, std::chrono::seconds(1));
    if (cgroup) cgroup->remove();
    return exit_as(status);
}

/// In a process that has children already, the guard is a child of it: they and their orphans are not ours to end.
int guard_behind_front(const guard_options& options,
                       const std::function<int(const engine_context&)>& engine_main) {
    const pid_t front = getpid();
    const pid_t pid = fork();
    if (pid < 0) return cannot_start("fork");
    if (pid == 0) {
        // The front's death is the guard's, and the engine sees that.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != front) _exit(no_engine);
        [&]() noexcept { _exit(guard_engine(options, engine_main, front)); }();
    }
    return exit_as(watcher(pid, false, -1).watch());
}

} // namespace

sigset_t forwarded_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGHUP, SIGQUIT, SIGINT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP}) {
        struct sigaction now{};
        sigaction(signal, nullptr, &now);
        if (now.sa_handler != SIG_IGN) sigaddset(&set, signal);
    }
    return set;
}

int run_guard(const guard_options& options, const std::function<int(const engine_context&)>& engine_main) {
    // With SIGCHLD ignored, as some programs start their children, no status could be had.
    struct sigaction by_default{};
    by_default.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &by_default, nullptr);
    sigset_t blocked = forwarded_signals();
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGCONT); // continues us all the same; read, so that it does not stay pending
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
    std::fflush(nullptr); // or each process would write what is buffered
    if (!share_engine_stops()) return cannot_start("mmap");
    const int status =
        has_children() ? guard_behind_front(options, engine_main) : guard_engine(options, engine_main, -1);
    unshare_engine_stops();
    return status;
}

void stop_self() {
    if (engine_stops != nullptr) engine_stops->fetch_add(1, std::memory_order_relaxed);
    kill(getpid(), SIGSTOP);
}

pid_t origin(const signalfd_siginfo& signal, pid_t guard) {
    return is_forwarded(signal, guard) ? signal.ssi_int : static_cast<pid_t>(signal.ssi_pid);
}

bool interrupt_filter::fresh(const signalfd_siginfo& signal, pid_t guard,
                             std::chrono::steady_clock::time_point now) {
    const pid_t sender = origin(signal, guard);
    if (signal.ssi_code == SI_KERNEL || signal.ssi_signo != signo_ || sender != sender_) *this = {};
    if (signal.ssi_code == SI_KERNEL) return true;
    signo_ = signal.ssi_signo;
    sender_ = sender;
    const bool forwarded = is_forwarded(signal, guard);
    way& came = forwarded ? forwarded_ : direct_;
    const way& other = forwarded ? direct_ : forwarded_;
    if (came.requests > 0 && now - came.last < std::chrono::milliseconds(100)) return false;
    came.last = now;
    return ++came.requests > other.requests;
}

} // namespace tenure::inline v0::app
