#include "proc/guard.hpp"
#include "test_engine.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app::testing {
namespace {

using engine_function = std::function<int(const engine_context&)>;

pid_t start_guard(const engine_function& engine, bool ignore_children = false) {
    std::fflush(nullptr);
    const pid_t guard = fork();
    if (guard == 0) {
        if (ignore_children) signal(SIGCHLD, SIG_IGN);
        hear_interrupts();
        _exit(run_guard({2, false}, engine));
    }
    return guard;
}

int wait_status(pid_t pid, int options = 0) {
    int status = -1;
    while (waitpid(pid, &status, options) < 0 && errno == EINTR) {}
    return status;
}

/// The next forwarded signal, in an engine.
signalfd_siginfo next_signal() {
    const sigset_t set = forwarded_signals();
    const io::unique_fd signals(signalfd(-1, &set, SFD_CLOEXEC));
    signalfd_siginfo info{};
    while (read(signals.get(), &info, sizeof info) < 0 && errno == EINTR) {}
    return info;
}

TEST(Guard, ExitsWithTheStatusOfItsEngine) {
    for (const int status : {0, 1, 7, 124, 255})
        EXPECT_EQ(wait_status(start_guard([=](const engine_context&) { return status; })), status << 8);
}

TEST(Guard, StatusArrivesEvenIfItsParentIgnoresChildren) {
    EXPECT_EQ(wait_status(start_guard([](const engine_context&) { return 7; }, true)), 7 << 8);
}

TEST(Guard, DiesByTheSignalThatEndedItsEngine) {
    for (const int signal : {SIGKILL, SIGTERM, SIGSEGV, SIGABRT}) {
        const int status = wait_status(start_guard([=](const engine_context&) {
            struct sigaction by_default{};
            by_default.sa_handler = SIG_DFL;
            sigaction(signal, &by_default, nullptr); // not a sanitizer's
            sigset_t none;
            sigemptyset(&none);
            sigprocmask(SIG_SETMASK, &none, nullptr);
            kill(getpid(), signal);
            return 0;
        }));
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << signal;
        EXPECT_FALSE(WCOREDUMP(status));
    }
}

TEST(Guard, EngineKnowsItsGuard) {
    EXPECT_EQ(wait_status(start_guard([](const engine_context& context) {
                  return context.guard == getppid() && context.guard_pidfd >= 0 &&
                                 context.registry != nullptr && context.cgroup == nullptr
                             ? 3
                             : 4;
              })),
              3 << 8);
}

TEST(Guard, ForwardsSignalsAndSaysWhoSentThem) {
    const pid_t test = getpid();
    for (const int signal : {SIGTERM, SIGHUP, SIGQUIT, SIGINT, SIGUSR1, SIGUSR2, SIGTSTP, SIGWINCH}) {
        const pid_t guard = start_guard([=](const engine_context& context) {
            const signalfd_siginfo info = next_signal();
            if (static_cast<int>(info.ssi_signo) != signal) return 1;
            return origin(info, context.guard) == test ? 42 : 2;
        });
        // Before the guard has blocked it, the signal would end the guard: wait for its engine.
        while (children_of(guard).empty())
            pause_for(200us);
        signal_process(guard, signal);
        EXPECT_EQ(wait_status(guard), 42 << 8) << signal;
    }
}

TEST(Guard, StopsAndContinuesWithItsEngine) {
    const pid_t guard = start_guard([](const engine_context&) {
        stop_self();
        stop_self();
        return 9;
    });
    for (int i = 0; i < 2; ++i) {
        const int stopped = wait_status(guard, WUNTRACED);
        ASSERT_TRUE(WIFSTOPPED(stopped)) << stopped;
        EXPECT_EQ(WSTOPSIG(stopped), SIGSTOP);
        signal_process(guard, SIGCONT); // to the guard alone: it continues its engine
    }
    EXPECT_EQ(wait_status(guard), 9 << 8);
}

/// A guard in a process that has a child already. `stranger` becomes the pid of that child.
pid_t start_guard_with_a_child(pid_t& stranger, const engine_function& engine) {
    int told[2];
    if (pipe2(told, O_CLOEXEC) < 0) return -1;
    const pid_t front = fork();
    if (front == 0) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(25);
            for (;;)
                pause();
        }
        if (write(told[1], &child, sizeof child) != sizeof child) _exit(99);
        _exit(run_guard({2, false}, engine));
    }
    close(told[1]);
    if (read(told[0], &stranger, sizeof stranger) != sizeof stranger) stranger = -1;
    close(told[0]);
    return front;
}

bool lives(pid_t pid) {
    process_stat stat;
    return read_stat(pid, stat) && !stat.dead();
}

TEST(Guard, ChildrenFromBeforeAreNotTouched) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t stranger = -1;
    const pid_t front = start_guard_with_a_child(stranger, [](const engine_context&) { return 7; });
    EXPECT_EQ(wait_status(front), 7 << 8);
    ASSERT_GT(stranger, 1);
    EXPECT_TRUE(lives(stranger));
    signal_process(stranger, SIGKILL);
    EXPECT_TRUE(no_child_within(2s)); // and nothing else was left
}

TEST(Guard, SignalsAndStopsPassThroughAFront) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const pid_t test = getpid();
    pid_t stranger = -1;
    const pid_t front = start_guard_with_a_child(stranger, [=](const engine_context& context) {
        stop_self();
        const signalfd_siginfo info = next_signal();
        return info.ssi_signo == SIGTERM && origin(info, context.guard) == test ? 42 : 2;
    });
    const int stopped = wait_status(front, WUNTRACED);
    ASSERT_TRUE(WIFSTOPPED(stopped));
    signal_process(front, SIGCONT);
    signal_process(front, SIGTERM);
    EXPECT_EQ(wait_status(front), 42 << 8);
    signal_process(stranger, SIGKILL);
    EXPECT_TRUE(no_child_within(2s));
}

/// Between a test and the run under its guard.
struct run_pipes {
    int witness[2] = {-1, -1}; // what runs holds it
    int up[2] = {-1, -1};      // the engine writes a byte when it runs

    run_pipes() {
        EXPECT_EQ(pipe2(witness, O_CLOEXEC), 0);
        EXPECT_EQ(pipe2(up, O_CLOEXEC), 0);
    }
    run_pipes(const run_pipes&) = delete;
    run_pipes& operator=(const run_pipes&) = delete;
    ~run_pipes() {
        for (const int fd : {witness[0], up[0], up[1]})
            close(fd);
    }
    /// Once the guard has been started; waits.
    bool begun() {
        close(witness[1]);
        char byte = 0;
        return read(up[0], &byte, 1) == 1;
    }
    /// Waits until nobody holds the witness.
    bool all_gone() const {
        char byte = 0;
        return read(witness[0], &byte, 1) == 0;
    }
};

TEST(Guard, DeathOfTheFrontEndsTheRunAndNotItsOtherChildren) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    run_pipes pipes;
    pid_t stranger = -1;
    const pid_t front = start_guard_with_a_child(stranger, [&](const engine_context& context) {
        close(pipes.witness[0]);
        test_engine engine(1, context.cgroup, context.registry);
        bool guard_gone = false;
        engine.watch(context.guard_pidfd, [&] { guard_gone = true; });
        engine.run(0, {zoo(), "ignterm_setsid"}, {}, pipes.witness[1]);
        if (!engine.wrote(0, "r") || write(pipes.up[1], "r", 1) != 1) return 1;
        engine.until([&] { return guard_gone; });
        engine.wardens().end_now();
        return 0;
    });
    ASSERT_TRUE(pipes.begun());
    signal_process(front, SIGKILL);
    EXPECT_EQ(wait_status(front), SIGKILL);
    // The stranger holds the pipe too: it was forked while it was open.
    EXPECT_TRUE(lives(stranger));
    signal_process(stranger, SIGKILL);
    EXPECT_TRUE(pipes.all_gone());
    EXPECT_TRUE(no_child_within(2s));
}

/// Starts an item under a guard, stops the engine, kills the guard; what is left has to end.
void kill_guard_of_a_stopped_engine(bool by_itself) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    run_pipes pipes;
    const pid_t guard = start_guard([&](const engine_context& context) {
        test_engine engine(1, context.cgroup, context.registry);
        bool guard_gone = false;
        engine.watch(context.guard_pidfd, [&] { guard_gone = true; });
        engine.run(0, {zoo(), "ignterm_setsid"}, {}, pipes.witness[1]);
        if (!engine.wrote(0, "r") || write(pipes.up[1], "r", 1) != 1) return 1;
        if (by_itself) stop_self();
        engine.until([&] { return guard_gone; });
        engine.wardens().end_now();
        return 0;
    });
    ASSERT_TRUE(pipes.begun());
    const std::vector<pid_t> engine = children_of(guard);
    ASSERT_EQ(engine.size(), 1U);
    if (!by_itself) signal_process(engine[0], SIGSTOP);
    int status = 0; // the guard stops with its engine
    while (waitpid(guard, &status, WUNTRACED) < 0 && errno == EINTR) {}
    ASSERT_TRUE(WIFSTOPPED(status)) << status;
    signal_process(guard, SIGKILL);
    EXPECT_EQ(wait_status(guard), SIGKILL);
    pollfd gone{pipes.witness[0], 0, 0};
    EXPECT_EQ(poll(&gone, 1, 20'000), 1) << "the item lives on";
    EXPECT_TRUE(no_child_within(20s));
    for (const pid_t left : children_of(getpid())) { // of a failed test
        signal_process(left, SIGCONT);
        signal_process(left, SIGKILL);
    }
}

TEST(Guard, ItsDeathEndsTheRunOfAnEngineThatHasStoppedItself) { kill_guard_of_a_stopped_engine(true); }

TEST(Guard, ItsDeathEndsTheRunOfAnEngineThatWasStopped) { kill_guard_of_a_stopped_engine(false); }

TEST(Guard, DiesByTheSignalThatItsEngineNames) {
    const int status =
        wait_status(start_guard([](const engine_context&) { return ended_by_signal(SIGINT); }));
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) << status;
}

TEST(Guard, DiesByTheSignalThatItsEngineNamesBehindAFrontToo) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t stranger = -1;
    const pid_t front =
        start_guard_with_a_child(stranger, [](const engine_context&) { return ended_by_signal(SIGINT); });
    const int status = wait_status(front);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) << status;
    signal_process(stranger, SIGKILL);
    EXPECT_TRUE(no_child_within(2s));
}

TEST(Guard, IgnoredSignalsStayIgnored) {
    std::fflush(nullptr);
    const pid_t guard = fork();
    if (guard == 0) {
        signal(SIGHUP, SIG_IGN); // nohup
        _exit(run_guard({1, false},
                        [](const engine_context&) { return next_signal().ssi_signo == SIGTERM ? 5 : 6; }));
    }
    while (children_of(guard).empty())
        pause_for(200us);
    signal_process(guard, SIGHUP);
    signal_process(guard, SIGTERM);
    EXPECT_EQ(wait_status(guard), 5 << 8);
}

TEST(Guard, EndsWhatItsEngineLeavesBehind) {
    int witness[2];
    ASSERT_EQ(pipe2(witness, O_CLOEXEC), 0);
    const pid_t guard = start_guard([](const engine_context&) {
        for (int i = 0; i < 3; ++i)
            if (fork() == 0) {
                setsid();
                if (fork() > 0) _exit(0);
                alarm(25);
                for (;;)
                    pause();
            }
        return 5;
    });
    close(witness[1]);
    EXPECT_EQ(wait_status(guard), 5 << 8);
    char byte = 0;
    EXPECT_EQ(read(witness[0], &byte, 1), 0); // would wait for ever on a survivor
    close(witness[0]);
}

TEST(Guard, GivesWardensTimeToEndTheirItemsWhenTheEngineIsKilled) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    run_pipes pipes;
    const pid_t guard = start_guard([&](const engine_context& context) {
        test_engine engine(2, context.cgroup, context.registry);
        engine.run(0, {zoo(), "bomb"}, {}, pipes.witness[1]);
        engine.run(1, {zoo(), "ignterm_setsid"}, {}, pipes.witness[1]);
        if (!engine.wrote(0, "r") || !engine.wrote(1, "r")) return 1;
        if (write(pipes.up[1], "r", 1) != 1) return 2;
        engine.until([] { return false; });
        return 3;
    });
    ASSERT_TRUE(pipes.begun());
    const std::vector<pid_t> engine = children_of(guard);
    ASSERT_EQ(engine.size(), 1U);
    signal_process(engine[0], SIGKILL);
    const int status = wait_status(guard);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    EXPECT_TRUE(pipes.all_gone());
    EXPECT_TRUE(no_child_within(0ms)) << "the guard left somebody to us";
}

} // namespace
} // namespace tenure::inline v0::app::testing
