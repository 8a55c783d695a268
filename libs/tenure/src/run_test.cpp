#include <tenure/tenure.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {
using namespace std::chrono_literals;

struct ending {
    int status = 0; // 128 + signal if one ended the process
    std::string errors;
};

/// Runs f in a process of its own, as its main, and says how that ended and what it wrote to stderr.
template <class F>
ending run_in_child(F f) {
    std::fflush(nullptr);
    const int errors = ::memfd_create("stderr", MFD_CLOEXEC);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::dup2(errors, STDERR_FILENO);
        const int status = f();
        std::fflush(nullptr);
        ::_exit(status);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    ending e{.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
    char buffer[4096];
    ::lseek(errors, 0, SEEK_SET);
    for (ssize_t n = 0; (n = ::read(errors, buffer, sizeof buffer)) > 0;)
        e.errors.append(buffer, static_cast<std::size_t>(n));
    ::close(errors);
    return e;
}

// To this thread: it has been handled when this returns. (To the process, two of a kind may become one.)
void send(int signo) { ::raise(signo); }

class Run : public testing::TestWithParam<unsigned> {
protected:
    tenure::run_options options() const { return {.threads = GetParam(), .grace = 20s}; }
};
INSTANTIATE_TEST_SUITE_P(Workers, Run, testing::Values(0u, 1u, 4u));

TEST_P(Run, StatusIsZeroOrWhatAppReturns) {
    const auto o = options();
    EXPECT_EQ(run_in_child([&] {
                  return tenure::run([]() -> tenure::task<> { co_await tenure::sleep_for(1ms); }, o);
              }).status,
              0);
    EXPECT_EQ(
        run_in_child([&] { return tenure::run([]() -> tenure::task<int> { co_return 42; }, o); }).status, 42);
}

TEST_P(Run, FailureIsPrintedAndOne) {
    const auto o = options();
    const ending e = run_in_child([&] {
        return tenure::run(
            []() -> tenure::task<> {
                co_await tenure::yield();
                throw std::runtime_error("no such luck");
            },
            o);
    });
    EXPECT_EQ(e.status, 1);
    EXPECT_EQ(e.errors, "error: no such luck\n");
}

TEST_P(Run, R087_FirstSignalCancelsAndCleanupRuns) {
    const auto o = options();
    for (const int signo : {SIGINT, SIGTERM}) {
        const ending e = run_in_child([&] {
            return tenure::run(
                [signo]() -> tenure::task<int> {
                    auto body = [signo]() -> tenure::task<int> {
                        send(signo);
                        co_await tenure::sleep_for(1h);
                        co_return 0;
                    };
                    auto cleanup = []() -> tenure::task<> {
                        co_await tenure::sleep_for(1ms);
                        std::fputs("cleaned up\n", stderr);
                    };
                    co_return co_await tenure::with_cleanup(10s, body, cleanup);
                },
                o);
        });
        EXPECT_EQ(e.status, 128 + signo);
        EXPECT_EQ(e.errors, "cleaned up\n");
    }
}

TEST_P(Run, AppSeesWhyItWasCancelledAndMayAnswer) {
    const auto o = options();
    const ending e = run_in_child([&] {
        return tenure::run(
            []() -> tenure::task<int> {
                auto work = []() -> tenure::task<> {
                    send(SIGINT);
                    co_await tenure::sleep_for(1h);
                };
                const auto how = co_await tenure::as_outcome(work());
                co_return how.was_cancelled() && how.why()->message == "interrupted by SIGINT" ? 7 : 8;
            },
            o);
    });
    EXPECT_EQ(e.status, 7);
    EXPECT_EQ(run_in_child([&] {
                  return tenure::run(
                      []() -> tenure::task<> {
                          auto work = []() -> tenure::task<> {
                              send(SIGTERM);
                              co_await tenure::sleep_for(1h);
                          };
                          (void)co_await tenure::as_outcome(work());
                      },
                      o);
              }).status,
              143);
}

TEST_P(Run, R087_SecondSignalEndsItAtOnceThoughNoTaskGetsToRun) {
    const auto o = options();
    for (const int second : {SIGINT, SIGTERM}) {
        const ending e = run_in_child([&] {
            return tenure::run(
                [second]() -> tenure::task<> {
                    send(SIGINT);
                    send(second);
                    for (volatile bool forever = true; forever;) {} // a worker that is lost to everybody
                    co_return;
                },
                o);
        });
        EXPECT_EQ(e.status, 128 + second);
    }
}

/// Cleans up for ever, having done `first`.
template <class F>
tenure::task<> app_that_does_not_end(F first) {
    auto body = []() -> tenure::task<> {
        send(SIGINT);
        co_await tenure::sleep_for(1h);
    };
    auto cleanup = [&first]() -> tenure::task<> {
        first();
        co_await tenure::sleep_for(1h);
    };
    co_await tenure::with_cleanup(2h, body, cleanup);
}

TEST_P(Run, R087_SecondSignalTakesTheGraceAway) {
    const auto o = options();
    for (const int second : {SIGINT, SIGTERM}) {
        const ending e = run_in_child([&] {
            return tenure::run(
                [second](tenure::runtime& rt) -> tenure::task<> {
                    rt.on_close([] { std::fputs("hook\n", stderr); });
                    co_await app_that_does_not_end([second] { send(second); });
                },
                o);
        });
        EXPECT_EQ(e.status, 128 + second);
        EXPECT_TRUE(e.errors.starts_with("hook\nabandoned: task ")) << e.errors;
        EXPECT_NE(e.errors.find("'app'"), std::string::npos) << e.errors;
    }
}

TEST_P(Run, R087_SecondSignalFindsAnAppThatHasEnded) {
    const auto o = options();
    const ending e = run_in_child([&] {
        return tenure::run(
            [](tenure::runtime& rt) -> tenure::task<> {
                rt.on_close([] { send(SIGTERM); });
                send(SIGINT);
                co_await tenure::sleep_for(1h);
            },
            o);
    });
    EXPECT_EQ(e.status, 143);
    EXPECT_EQ(e.errors, "");
}

TEST_P(Run, R087_ThirdSignalEndsItWhateverItIsDoing) {
    const auto o = options();
    for (const int third : {SIGINT, SIGTERM}) {
        const ending e = run_in_child([&] {
            return tenure::run(
                [third](tenure::runtime& rt) -> tenure::task<> {
                    rt.on_close([] { // what the second signal begins does not end before the third
                        for (volatile bool forever = true; forever;) {}
                    });
                    co_await app_that_does_not_end([third] {
                        send(SIGINT);
                        send(third);
                        for (volatile bool forever = true; forever;) {}
                    });
                },
                o);
        });
        EXPECT_EQ(e.status, 128 + third);
    }
}

// The signals come from another process, as a terminal's do.
TEST_P(Run, R087_TwoSignalsFromOutside) {
    const auto o = options();
    int ready[2];
    ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
        std::freopen("/dev/null", "w", stderr);
        auto tell = [&] { (void)!::write(ready[1], "x", 1); };
        ::_exit(tenure::run(
            [&]() -> tenure::task<> {
                auto body = [&]() -> tenure::task<> {
                    tell();
                    co_await tenure::sleep_for(1h);
                };
                auto cleanup = [&]() -> tenure::task<> {
                    tell();
                    co_await tenure::sleep_for(1h);
                };
                co_await tenure::with_cleanup(2h, body, cleanup);
            },
            o));
    }
    char x = 0;
    for (int i = 0; i < 2; ++i) {
        ASSERT_EQ(::read(ready[0], &x, 1), 1);
        ASSERT_EQ(::kill(pid, SIGINT), 0);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 130);
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_P(Run, R084_HooksOfTheAppRunLastFirstHoweverItEnds) {
    const auto o = options();
    auto hooks = [](tenure::runtime& rt) {
        rt.on_close([] { std::fputs("first\n", stderr); });
        rt.on_close([]() -> tenure::task<> {
            co_await tenure::sleep_for(1ms);
            std::fputs("last\n", stderr);
        });
    };
    const ending done = run_in_child([&] {
        return tenure::run(
            [&](tenure::runtime& rt) -> tenure::task<int> {
                hooks(rt);
                co_return 4;
            },
            o);
    });
    EXPECT_EQ(done.status, 4);
    EXPECT_EQ(done.errors, "last\nfirst\n");
    const ending failed = run_in_child([&] {
        return tenure::run(
            [&](tenure::runtime& rt) -> tenure::task<> {
                hooks(rt);
                throw std::runtime_error("no such luck");
                co_return;
            },
            o);
    });
    EXPECT_EQ(failed.status, 1);
    EXPECT_EQ(failed.errors, "last\nfirst\nerror: no such luck\n");
    const ending interrupted = run_in_child([&] {
        return tenure::run(
            [&](tenure::runtime& rt) -> tenure::task<> {
                hooks(rt);
                send(SIGINT);
                co_await tenure::sleep_for(1h);
            },
            o);
    });
    EXPECT_EQ(interrupted.status, 130);
    EXPECT_EQ(interrupted.errors, "last\nfirst\n");
}

TEST_P(Run, R084_HookThatFailsIsPrintedAndOne) {
    const auto o = options();
    const ending e = run_in_child([&] {
        return tenure::run(
            [](tenure::runtime& rt) -> tenure::task<> {
                rt.on_close([] { throw std::runtime_error("disk full"); });
                co_return;
            },
            o);
    });
    EXPECT_EQ(e.status, 1);
    EXPECT_EQ(e.errors, "error: in a close hook: disk full\n");
}

TEST_P(Run, CleanupThatExceedsTheGraceIsNamedAndLeft) {
    auto o = options();
    o.grace = 5ms;
    const ending e = run_in_child([&] {
        return tenure::run(
            []() -> tenure::task<> {
                auto body = []() -> tenure::task<> {
                    send(SIGTERM);
                    co_await tenure::sleep_for(1h);
                };
                auto cleanup = []() -> tenure::task<> { co_await tenure::sleep_for(1h); };
                co_await tenure::with_cleanup(2h, body, cleanup);
            },
            o);
    });
    EXPECT_EQ(e.status, 70);
    EXPECT_NE(e.errors.find("abandoned: task "), std::string::npos) << e.errors;
    EXPECT_NE(e.errors.find("'app'"), std::string::npos) << e.errors;
}

TEST_P(Run, ErrorOfACleanupIsPrintedAfterASignalToo) {
    const auto o = options();
    const ending e = run_in_child([&] {
        return tenure::run(
            []() -> tenure::task<> {
                auto body = []() -> tenure::task<> {
                    send(SIGINT);
                    co_await tenure::sleep_for(1h);
                };
                auto cleanup = []() -> tenure::task<> {
                    throw std::runtime_error("disk full");
                    co_return;
                };
                co_await tenure::with_cleanup(1s, body, cleanup);
            },
            o);
    });
    EXPECT_EQ(e.status, 130);
    EXPECT_EQ(e.errors, "error: disk full\n");
}

TEST_P(Run, R087_HandlersAreRestoredAndIgnoredSignalsStayIgnored) {
    const auto o = options();
    EXPECT_EQ(run_in_child([&] {
                  std::signal(SIGTERM, SIG_IGN);
                  static int seen = 0;
                  std::signal(SIGINT, [](int) { ++seen; });
                  const int status = tenure::run(
                      []() -> tenure::task<int> {
                          send(SIGTERM); // ignored: app goes on
                          co_return 5;
                      },
                      o);
                  if (status != 5) return 1;
                  send(SIGINT);
                  if (seen != 1) return 2;
                  send(SIGTERM);
                  return tenure::run([]() -> tenure::task<int> { co_return 6; }, o);
              }).status,
              6);
}

TEST_P(Run, SignalsAreLeftAloneIfAskedTo) {
    auto o = options();
    o.handle_signals = false;
    EXPECT_EQ(run_in_child([&] {
                  return tenure::run(
                      []() -> tenure::task<> {
                          send(SIGTERM);
                          co_await tenure::sleep_for(1h);
                      },
                      o);
              }).status,
              128 + SIGTERM);
}

TEST_P(Run, WhatIsLeftBehindIsPrinted) {
    const auto o = options();
    const ending e = run_in_child([&] {
        static std::optional<tenure::descriptor> kept;
        return tenure::run(
            []() -> tenure::task<> {
                kept.emplace(tenure::unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
                co_return;
            },
            o);
    });
    EXPECT_EQ(e.status, 0);
    EXPECT_EQ(e.errors, "left behind: 0 tasks, 0 timers, 1 descriptors, 0 processes\n");
}

TEST_P(Run, CommandIsEndedBeforeItReturns) {
    const auto o = options();
    const ending e = run_in_child([&] {
        const int status = tenure::run(
            []() -> tenure::task<> {
                auto body = [](tenure::group g) -> tenure::task<> {
                    tenure::command sleeper;
                    sleeper.argv = {"sleep", "1000"};
                    (void)g.spawn(tenure::run_command, sleeper);
                    co_await tenure::sleep_for(5ms);
                    send(SIGINT);
                    co_await tenure::sleep_for(1h);
                };
                co_await tenure::with_group(body);
            },
            o);
        return ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD ? status : 1;
    });
    EXPECT_EQ(e.status, 130);
    EXPECT_EQ(e.errors, "");
}

TEST(RunOnce, InsideATaskOrBesideAnotherItIsRefused) {
    const auto nothing = []() -> tenure::task<> { co_return; };
    const auto inside = [&]() -> tenure::task<int> {
        EXPECT_THROW((void)tenure::run(nothing), tenure::usage_error);
        auto plain = [&] { EXPECT_THROW((void)tenure::run(nothing), tenure::usage_error); };
        auto body = [&](tenure::group g) -> tenure::task<> { co_await g.spawn(plain); };
        co_await tenure::with_group(body);
        std::thread beside([&] { EXPECT_THROW((void)tenure::run(nothing), tenure::usage_error); });
        beside.join();
        co_return 3;
    };
    EXPECT_EQ(tenure::run(inside), 3);
    EXPECT_EQ(tenure::run(nothing), 0) << "afterwards it may run again";
}

} // namespace
