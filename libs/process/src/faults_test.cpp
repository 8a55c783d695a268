// What happens to a pool and its calls when something dies, hangs or misbehaves: the outcome of every call, and nothing left.
#include "pool_test.hpp"

#include <tenure/process/detail/channel.hpp>

#include <atomic>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/resource.h>
#include <thread>

namespace process_test {
class Faults : public Pools {};
namespace {

using tenure::runner::remote_error;

int work_for(int us) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(us);
    while (std::chrono::steady_clock::now() < until)
        std::this_thread::yield();
    return us;
}
int exits(int status) { ::_exit(status); }
int overflows(int n) {
    volatile char room[4096];
    room[0] = static_cast<char>(n);
    return n == 0 ? room[0] : overflows(n + 1) + room[0];
}
int overflows_the_stack() {
    for (const int signo : {SIGSEGV, SIGBUS}) // a sanitizer would take its time over it
        ::signal(signo, SIG_DFL);
    return overflows(1);
}
int hangs_against_signals() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    return hangs();
}
bool polls_until_cancelled() {
    for (;;) {
        this_task::checkpoint();
        std::this_thread::yield();
    }
}
int stops_itself() {
    ::raise(SIGSTOP);
    return 1;
}
std::string reason_of_cancel(const std::string& file) {
    note_pid(file);
    while (!this_task::cancel_requested())
        std::this_thread::yield();
    return this_task::why()->message;
}

TEST_P(Faults, F03_F11_ACallThatKillsItsWorkerFailsAndNothingElseDoes) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        for (const int signo : {SIGKILL, SIGSEGV, SIGABRT, SIGTERM}) {
            try {
                (void)co_await p.call(fn<&dies_by>, signo);
                ADD_FAILURE();
            } catch (const worker_died& e) {
                EXPECT_EQ(e.signal(), signo);
                EXPECT_NE(e.pid(), 0);
            }
            EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
        }
        EXPECT_EQ(p.status().replaced, 4u);
    };
    run(body);
}

TEST_P(Faults, F09_AStackOverflowIsADeathOfTheWorker) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const std::string died = co_await message_of_death(p.call(fn<&overflows_the_stack>));
        EXPECT_NE(died.find("SIG"), std::string::npos) << died;
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
}

TEST_P(Faults, F10_ACallThatExitsIsADeathWithItsStatus) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        try {
            (void)co_await p.call(fn<&exits>, 42);
            ADD_FAILURE();
        } catch (const worker_died& e) {
            EXPECT_EQ(e.exit_status(), 42);
            EXPECT_EQ(e.signal(), 0);
            EXPECT_NE(std::string(e.what()).find("exited with status 42"), std::string::npos);
        }
    };
    run(body);
}

TEST_P(Faults, CallsThatAKilledWorkerHadNotBegunRunElsewhereOnce) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        auto calls = [&p](group g) -> task<> {
            auto dying = g.spawn([&p]() -> task<> {
                EXPECT_NE(co_await message_of_death(p.call(fn<&dies_by>, SIGKILL)), "");
            });
            std::vector<future<void>> others;
            for (int i = 0; i < 40; ++i)
                others.push_back(
                    g.spawn([&p, i]() -> task<> { EXPECT_EQ(co_await p.call(fn<&add>, i, 1), i + 1); }));
            co_return;
        };
        co_await with_group(calls);
    };
    run(body);
}

TEST_P(Faults, F06_AWorkerKilledWhileItHasNothingToDoIsReplaced) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        for (int i = 0; i < 5; ++i) {
            const pid_t first = co_await p.call(fn<&who>);
            ::kill(first, SIGKILL);
            co_await gone(first);
            EXPECT_NE(co_await p.call(fn<&who>), first);
        }
    };
    run(body);
}

TEST_P(Faults, F13_ACallThatHangsIsTooLateWhateverItDoesAgainstIt) {
    pool p(rt(), {.workers = 1, .grace = 5ms});
    auto body = [&]() -> task<> {
        const call_options soon{.timeout = 20ms};
        int late = 0;
        const auto expect_late = [&](auto call) -> task<> {
            try {
                (void)co_await std::move(call);
                ADD_FAILURE();
            } catch (const timeout_error&) {
                ++late;
            }
        };
        co_await expect_late(p.call(soon, fn<&hangs>));
        co_await expect_late(p.call(soon, fn<&hangs_against_signals>));
        co_await expect_late(p.call(soon, fn<&stops_itself>));
        co_await expect_late(p.call(soon, fn<&polls_until_cancelled>));
        EXPECT_EQ(late, 4);
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
}

TEST_P(Faults, ACallThatPollsIsToldOfItsTimeAndItsWorkerLivesOn) {
    pool p(rt(), {.workers = 1, .grace = long_enough});
    auto body = [&]() -> task<> {
        const pid_t before = co_await p.call(fn<&who>);
        const call_options soon{.timeout = 5ms};
        try {
            (void)co_await p.call(soon, fn<&polls_until_cancelled>);
            ADD_FAILURE();
        } catch (const timeout_error& e) {
            EXPECT_NE(std::string(e.what()).find("5 ms"), std::string::npos);
        }
        EXPECT_EQ(co_await p.call(fn<&who>), before);
    };
    run(body);
}

TEST_P(Faults, F27_CancellationReachesARunningCallWithItsCause) {
    pool p(rt(), {.workers = 1, .grace = long_enough});
    const std::string file = testing::TempDir() + "tenure-told-" + std::to_string(::getpid());
    auto body = [&]() -> task<> {
        std::string heard;
        auto calls = [&](group g) -> task<> {
            auto f = g.spawn([&]() -> task<> { heard = co_await p.call(fn<&reason_of_cancel>, file); });
            while (pids_in(file).empty())
                co_await sleep_for(1ms);
            f.cancel("not needed any more");
            (void)co_await f.join();
        };
        co_await with_group(calls);
        EXPECT_EQ(heard, "not needed any more"); // a value that it returns is kept
    };
    run(body);
    ::unlink(file.c_str());
}

TEST_P(Faults, F14_AnIdleSupervisorThatIsKilledIsReplacedWithItsWorkers) {
    pool p(rt(), {.workers = 2});
    auto body = [&]() -> task<> {
        for (std::uint64_t i = 0; i < 5; ++i) {
            const pid_t worker = co_await p.call(fn<&who>);
            const pid_t supervisor = p.status().supervisor;
            EXPECT_NE(supervisor, 0);
            if (supervisor != 0) ::kill(supervisor, SIGKILL);
            co_await gone(worker);
            EXPECT_NE(co_await p.call(fn<&who>), worker);
            EXPECT_EQ(p.status().supervisors, i + 2);
        }
    };
    run(body);
}

TEST_P(Faults, F14_ASupervisorKilledAmongCallsLosesOnlyThoseThatRan) {
    pool p(rt(), {.workers = 2});
    auto body = [&]() -> task<> {
        int right = 0;
        int died = 0;
        auto calls = [&](group g) -> task<> {
            std::vector<future<void>> all;
            for (int i = 0; i < 500; ++i)
                all.push_back(g.spawn([&, i]() -> task<> {
                    const pid_t supervisor = i % 100 == 50 ? p.status().supervisor : 0;
                    if (supervisor != 0) ::kill(supervisor, SIGKILL);
                    try {
                        const int sum = co_await p.call(fn<&add>, i, i);
                        right += sum == 2 * i ? 1 : 0;
                    } catch (const worker_died&) {
                        ++died;
                    }
                }));
            for (auto& f : all)
                co_await f;
        };
        if (GetParam() == 1) {
            co_await with_group(calls);
            EXPECT_EQ(right + died, 500);
            EXPECT_LE(died, 5 * 2);
        }
    };
    run(body);
}

TEST_P(Faults, F15_ASupervisorThatIsStoppedIsAsGoodAsDead) {
    if (GetParam() != 1) return; // it takes the supervisor's patience
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const pid_t worker = co_await p.call(fn<&who>);
        while (p.status().workers.empty()) // or else it is the patience with a start, which is longer
            co_await sleep_for(1ms);
        const pid_t supervisor = p.status().supervisor;
        EXPECT_NE(supervisor, 0);
        if (supervisor != 0) ::kill(supervisor, SIGSTOP);
        ::kill(worker, SIGKILL);
        EXPECT_NE(co_await p.call(fn<&who>), worker);
    };
    run(body);
}

TEST_P(Faults, F18_TheThreadThatMadeThePoolMayEnd) {
    std::optional<pool> p;
    std::thread([&] { p.emplace(rt(), pool_options{.workers = 1}); }).join();
    auto body = [&]() -> task<> {
        EXPECT_EQ(co_await p->call(fn<&add>, 1, 2), 3);
        co_await sleep_for(5ms);
        EXPECT_EQ(co_await p->call(fn<&add>, 1, 2), 3);
        EXPECT_EQ(p->status().replaced, 0u);
    };
    run(body);
    p.reset();
}

pid_t leaves_a_child() { // which holds all descriptors that its worker has
    const pid_t child = ::fork();
    if (child == 0)
        for (;;)
            ::pause();
    return child;
}
pid_t leaves_a_daemon() {
    int ends[2];
    if (::pipe(ends) != 0) return 0;
    const pid_t child = ::fork();
    if (child == 0) {
        ::setsid();
        const pid_t daemon = ::fork();
        if (daemon == 0)
            for (;;)
                ::pause();
        (void)!::write(ends[1], &daemon, sizeof daemon);
        ::_exit(0);
    }
    pid_t daemon = 0;
    (void)!::read(ends[0], &daemon, sizeof daemon);
    ::waitpid(child, nullptr, 0);
    ::close(ends[0]);
    ::close(ends[1]);
    return daemon;
}
TEST_P(Faults, F19_F20_WhatACallLeavesBehindEndsWithItsWorker) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const pid_t child = co_await p.call(fn<&leaves_a_child>);
        const pid_t daemon = co_await p.call(fn<&leaves_a_daemon>);
        EXPECT_FALSE(is_gone(child));
        EXPECT_FALSE(is_gone(daemon));
        EXPECT_NE(co_await message_of_death(p.call(fn<&dies_by>, SIGKILL)), "");
        co_await gone(child);
        co_await gone(daemon);
        const pid_t last = co_await p.call(fn<&leaves_a_daemon>);
        p.close();
        EXPECT_TRUE(is_gone(last));
    };
    run(body);
}

TEST_P(Faults, F21_SomebodyElseMayReapTheSupervisor) {
    std::optional<pool> p(std::in_place, rt(), pool_options{.workers = 1});
    auto body = [&]() -> task<> { EXPECT_EQ(co_await p->call(fn<&add>, 1, 2), 3); };
    run(body);
    const pid_t supervisor = p->status().supervisor;
    ASSERT_NE(supervisor, 0);
    ::kill(supervisor, SIGKILL);
    EXPECT_EQ(::waitpid(-1, nullptr, 0), supervisor);
    run(body);
    p.reset();
}

TEST_P(Faults, F21_AProgramMayIgnoreTheEndsOfItsChildren) {
    struct ignored {
        ignored() {
            ::sigaction(SIGCHLD, nullptr, &before);
            ::signal(SIGCHLD, SIG_IGN);
        }
        ~ignored() { ::sigaction(SIGCHLD, &before, nullptr); }
        struct sigaction before{};
    } const children;
    for (const auto start : {process::start_method::zygote, process::start_method::spawn}) {
        pool p(rt(), {.workers = 1, .start = start});
        auto body = [&]() -> task<> {
            const pid_t first = co_await p.call(fn<&who>);
            try {
                (void)co_await p.call(fn<&dies_by>, SIGKILL);
                ADD_FAILURE();
            } catch (const worker_died& e) {
                EXPECT_EQ(e.signal(), SIGKILL);
                EXPECT_EQ(e.pid(), first);
            }
            EXPECT_NE(co_await p.call(fn<&who>), first);
            EXPECT_EQ(p.status().replaced, 1u);
            const pid_t supervisor = p.status().supervisor;
            EXPECT_NE(supervisor, 0);
            if (supervisor != 0) ::kill(supervisor, SIGKILL);
            co_await gone(supervisor);
            EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
            EXPECT_EQ(p.status().supervisors, 2u);
        };
        run(body);
    }
}

TEST_P(Faults, F22_WithoutDescriptorsAPoolIsNotMadeAndNothingIsLeft) {
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const auto used = count_entries("/proc/self/fd");
    // Downwards, and after a look at an error: UBSan needs a pipe when it meets a type's vtable for the first time.
    EXPECT_FALSE(std::system_error(EMFILE, std::system_category()).code().message().empty());
    int made = 0;
    int refused = 0;
    for (int round = 0; round < 60; ++round) {
        const rlimit few{used + 29 - static_cast<rlim_t>(round / 2), before.rlim_max};
        const bool reads = round % 2 == 0;
        ::setrlimit(RLIMIT_NOFILE, &few);
        try {
            pool p(rt(),
                   {.workers = 2,
                    .output = reads ? process::worker_output::tagged : process::worker_output::inherited});
            ++made;
        } catch (const std::system_error&) {
            ++refused;
        } catch (const process::start_error&) {
            ++refused;
        }
        ::setrlimit(RLIMIT_NOFILE, &before);
    }
    EXPECT_GT(made, 0);
    EXPECT_GT(refused, 0);
}

TEST_P(Faults, MoreWorkersThanTheSupervisorIsToldOfAtOnceAllStartAndReplaceNobody) {
    if (GetParam() != 1) return; // 400 processes once are enough
    pool p(rt(), {.workers = 400, .max_message = 480});
    auto body = [&]() -> task<> {
        do // the supervisor's socket was full: the others start when calls come
            EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
        while (p.status().workers.size() < 400);
        EXPECT_EQ(p.status().replaced, 0u);
    };
    run(body);
}

std::size_t large_and_dies(const std::vector<int>& v, int victim) {
    if (victim != 0) ::kill(victim == 1 ? ::getpid() : ::getppid(), SIGKILL);
    if (victim != 0) return hangs() != 0 ? 1 : 0;
    return v.size();
}
TEST_P(Faults, TheMemoryOfALargeCallServesAgainWhenItsWorkerOrSupervisorWasKilled) {
    pool p(rt(), {.workers = 1, .max_message = 1 << 20}); // there is room for five of these calls
    auto body = [&]() -> task<> {
        const std::vector<int> v(180'000, 1);
        for (int i = 0; i < 12; ++i) {
            const int victim = i % 3;
            try {
                EXPECT_EQ(co_await p.call(fn<&large_and_dies>, v, victim), v.size());
                EXPECT_EQ(victim, 0);
            } catch (const worker_died&) {
                EXPECT_NE(victim, 0);
            }
        }
    };
    run(body);
}

/// Overwrites what the worker shares with its parent, but for where it is going to run.
int scribbles(int seed) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        if (line.find("tenure-worker") == std::string::npos) continue;
        char* const begin = reinterpret_cast<char*>(std::stoull(line.substr(0, line.find('-')), nullptr, 16));
        unsigned draw = static_cast<unsigned>(seed);
        for (std::size_t i = 0; i < sizeof(process::detail::channel); ++i) {
            draw = draw * 1103515245 + 12345;
            if (draw >> 16 & 1) begin[i] = static_cast<char>(draw >> 20);
        }
        break;
    }
    return 0;
}
TEST_P(Faults, F29_AWorkerThatSpoilsWhatItSharesCostsOnlyItself) {
    for (int seed = 1; seed <= 10; ++seed) {
        pool p(rt(), {.workers = 1, .grace = 1ms});
        auto body = [&]() -> task<> {
            const call_options soon{.timeout = 200ms};
            try {
                (void)co_await p.call(soon, fn<&scribbles>, seed);
            } catch (const std::exception&) {}
            const call_options later{.timeout = 10s};
            EXPECT_EQ(co_await p.call(later, fn<&add>, 2, 2), 4);
        };
        run(body);
    }
}

int misbehaves() {
    for (int fd = 3; fd < 64; ++fd)
        ::close(fd);
    (void)!::chdir("/");
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    throw 42;
}
TEST_P(Faults, F30_ACallThatClosesAllDescriptorsStillEndsOnce) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        int ended = 0;
        try {
            (void)co_await p.call(fn<&misbehaves>);
        } catch (const remote_error& e) {
            EXPECT_EQ(e.type(), "int");
            EXPECT_EQ(e.message(), "42");
            ++ended;
        } catch (const worker_died&) {
            ++ended;
        }
        EXPECT_EQ(ended, 1);
        EXPECT_EQ(co_await p.call(fn<&add>, 2, 2), 4);
    };
    run(body);
}

void notes_and_hangs(const std::string& file) {
    note_pid(file);
    hangs_against_signals();
}
TEST_P(Faults, F07_F26_APoolThatIsDestroyedEndsWhatItsCallsDoAndTheyHearOfIt) {
    std::optional<pool> a(std::in_place, rt(), pool_options{.workers = 1, .grace = 5ms});
    std::optional<pool> b(std::in_place, rt(), pool_options{.workers = 1, .grace = 5ms});
    const std::string file = testing::TempDir() + "tenure-hang-" + std::to_string(::getpid());
    auto hang = [&](pool& p) -> task<std::string> {
        try {
            co_await p.call(fn<&notes_and_hangs>, file);
        } catch (const worker_died& e) {
            co_return "died";
        } catch (const closed_error& e) {
            co_return "closed";
        }
        co_return "returned";
    };
    auto first = rt().submit(hang, std::ref(*a));
    auto second = rt().submit(hang, std::ref(*a)); // waits behind the first
    auto third = rt().submit(hang, std::ref(*b));
    while (pids_in(file).size() < 2)
        std::this_thread::yield();
    a.reset();
    b.reset();
    const std::string& one = first.get();
    const std::string& two = second.get();
    EXPECT_TRUE((one == "died" && two == "closed") || (one == "closed" && two == "died")) << one << two;
    EXPECT_EQ(third.get(), "died");
    ::unlink(file.c_str());
}

TEST_P(Faults, F26_APoolMayEndInTheTaskThatUsesItAndInACallback) {
    auto body = [&]() -> task<> {
        {
            pool p({.workers = 1});
            EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
        }
        auto p = std::make_shared<pool>(pool_options{.workers = 1});
        event over;
        auto use = [&]() -> task<> { EXPECT_EQ(co_await p->call(fn<&add>, 1, 2), 3); };
        auto used = [&](group g) -> task<> {
            auto f = g.spawn(use);
            auto done = f.on_done([&] {
                p.reset();
                over.set();
            });
            co_await over.wait();
        };
        co_await with_group(used);
    };
    run(body);
}

TEST_P(Faults, F28_AResultAndItsDeadlineMayMeet) {
    pool p(rt(), {.workers = 2, .grace = 1ms});
    auto body = [&]() -> task<> {
        int ended = 0;
        for (int i = 0; i < 60; ++i) {
            const call_options just_so{.timeout = std::chrono::microseconds(300 + 20 * i)};
            try {
                (void)co_await p.call(just_so, [](int us) { return work_for(us); }, 1000);
                ++ended;
            } catch (const timeout_error&) {
                ++ended;
            }
        }
        EXPECT_EQ(ended, 60);
    };
    run(body);
}

TEST_P(Faults, TheTimeOfACallBeginsAlsoBehindOneThatWasWithdrawn) {
    const std::string slow = std::string("sleep 0.2; exec ") + TENURE_TEST_BIN_DIR + "/foreign_worker";
    pool p(rt(), {.workers = 1, .program = {"sh", "-c", slow}, .grace = 0s});
    auto send = [&](std::string_view text, call_options o) -> task<> {
        (void)co_await p.request(std::as_bytes(std::span(text)), o);
    };
    auto body = [&]() -> task<> {
        int late = 0;
        auto calls = [&](group g) -> task<> {
            auto first = g.spawn(send, "upper a", call_options{});
            (void)g.spawn([&]() -> task<> {
                const call_options soon{.timeout = 20ms};
                try {
                    co_await send("wait", soon);
                } catch (const timeout_error&) {
                    ++late;
                }
            });
            co_await sleep_for(20ms); // the pump has gone to sleep, and the worker is not up
            first.cancel();
        };
        co_await with_group(calls);
        EXPECT_EQ(late, 1);
    };
    run(body);
}

TEST_P(Faults, LookingAtThePoolTakesNoWakeUpAway) {
    pool p(rt(), {.workers = 2, .grace = 0s});
    auto body = [&]() -> task<> {
        int late = 0;
        auto calls = [&](group g) -> task<> {
            (void)g.spawn([&]() -> task<> {
                const call_options soon{.timeout = 30ms};
                try {
                    (void)co_await p.call(soon, fn<&hangs>);
                } catch (const timeout_error&) {
                    ++late;
                }
            });
            co_await sleep_for(5ms); // the pump waits
            work_for(60'000);        // meanwhile the time is over, and the only worker of the runtime is busy
            (void)p.status();
        };
        co_await with_group(calls);
        EXPECT_EQ(late, 1);
    };
    run(body);
}

TEST_P(Faults, CancellingACallThatHasEndedLeavesTheRunningOneCancelled) {
    pool p(rt(), {.workers = 1, .grace = long_enough});
    auto body = [&]() -> task<> {
        auto calls = [&](group g) -> task<> {
            auto ends = g.spawn([&]() -> task<> { (void)co_await p.call(fn<&work_for>, 5'000); });
            auto polls = g.spawn([&]() -> task<> { (void)co_await p.call(fn<&polls_until_cancelled>); });
            while (p.status().published < 2 && ends.status() == task_status::pending)
                co_await yield();
            work_for(30'000); // where this is the only worker nobody harvests the first one meanwhile
            polls.cancel();
            ends.cancel();
        };
        co_await with_group(calls);
    };
    run(body);
}

TEST_P(Faults, F13_AnIdleWorkerThatIsStoppedKeepsNoCall) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const pid_t first = co_await p.call(fn<&who>);
        ::kill(first, SIGSTOP);
        const call_options soon{.timeout = 800ms, .grace = 0s};
        EXPECT_NE(co_await p.call(soon, fn<&who>), first);
    };
    if (GetParam() == 1) run(body); // it takes two seconds
}

TEST_P(Faults, ACloseDoesNotWaitForTheGraceOfACall) {
    std::optional<pool> p(std::in_place, rt(), pool_options{.workers = 1, .grace = 5ms});
    const std::string file = testing::TempDir() + "tenure-grace-" + std::to_string(::getpid());
    auto call = [&]() -> task<> {
        const call_options patient{.grace = 1h};
        co_await p->call(patient, fn<&notes_and_hangs>, file);
    };
    auto f = rt().submit(call);
    while (pids_in(file).empty())
        std::this_thread::yield();
    f.cancel();
    while (!f.cancel_requested())
        std::this_thread::yield();
    p->close();
    (void)f.wait_for(long_enough);
    EXPECT_EQ(f.status(), task_status::cancelled);
    p.reset();
    ::unlink(file.c_str());
}

TEST_P(Faults, F14_WhatAWorkerStartedEndsAlsoWhenTheSupervisorIsKilled) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const pid_t child = co_await p.call(fn<&leaves_a_child>);
        while (p.status().workers.empty()) // the supervisor says so when it gets to it
            co_await sleep_for(1ms);
        const pid_t supervisor = p.status().supervisor;
        EXPECT_NE(supervisor, 0);
        const pid_t worker = p.status().workers.at(0);
        if (supervisor != 0) ::kill(supervisor, SIGKILL);
        co_await gone(worker);
        // A pool hears of a death when a call waits, or it closes.
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
        co_await gone(child);
    };
    run(body);
}

TEST_P(Faults, F19_AForkedCopyOfThisProgramDoesNotHoldUpTheClose) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> { EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3); };
    run(body);
    const pid_t copy = ::fork();
    if (copy == 0)
        for (;;)
            ::pause();
    p.close();
    ::kill(copy, SIGKILL);
    ::waitpid(copy, nullptr, 0);
}

TEST_P(Faults, ACallFromATaskOfAnotherRuntimeIsRefused) {
    pool p(rt(), {.workers = 1});
    runtime other(on_epoll(1));
    auto body = [&]() -> task<> { (void)co_await p.call(fn<&add>, 1, 2); };
    EXPECT_THROW(other.block_on(body), usage_error);
}

TEST_P(Faults, F27_CancellingCallsAtAnyMomentLeavesNothing) {
    pool p(rt(), {.workers = 2, .grace = 2ms});
    auto body = [&]() -> task<> {
        std::uint32_t draw = 7;
        for (int round = 0; round < 40; ++round) {
            draw = draw * 1664525 + 1013904223;
            auto calls = [&](group g) -> task<> {
                for (int i = 0; i < 20; ++i)
                    (void)g.spawn([&p, i]() -> task<> {
                        const int sum = co_await p.call(
                            [](int a, int us) {
                                work_for(us);
                                return a;
                            },
                            i, i * 10);
                        EXPECT_EQ(sum, i);
                    });
                co_await sleep_for(std::chrono::microseconds(draw >> 22));
                g.cancel("enough");
            };
            co_await with_group(calls);
        }
        const auto left = p.status();
        EXPECT_EQ(left.queued + left.published, 0u);
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
}

INSTANTIATE_TEST_SUITE_P(Workers, Faults, testing::Values(1u, 4u));

// ---- whole programs

/// A pool in a pool in a pool; the innermost call never returns.
void nest(int depth, std::string file) {
    note_pid(file);
    if (depth == 0) hangs_against_signals();
    runtime rt(on_epoll(1));
    pool p(rt, {.workers = 1});
    auto body = [&]() -> task<> { co_await p.call(fn<&nest>, depth - 1, file); };
    rt.block_on(body);
}

TEST(Programs, F16_WhenTheOutermostParentIsKilledTheWholeTreeEnds) {
    const std::string file = testing::TempDir() + "tenure-nest-" + std::to_string(::getpid());
    const pid_t outermost = ::fork();
    if (outermost == 0) {
        nest(3, file);
        ::_exit(0);
    }
    while (pids_in(file).size() < 4)
        std::this_thread::yield();
    ::kill(outermost, SIGKILL);
    ::waitpid(outermost, nullptr, 0);
    for (const pid_t pid : pids_in(file))
        while (!is_gone(pid))
            std::this_thread::yield();
    ::unlink(file.c_str());
}

struct kept {
    std::optional<pool> p;
    std::vector<std::exception_ptr> errors;
};

TEST(Programs, F25_F26_AStaticPoolWithHeldExceptionsLetsTheProgramExit) {
    const pid_t child = ::fork();
    if (child == 0) {
        static runtime rt(on_epoll(1));
        static kept all;
        all.p.emplace(rt, pool_options{.workers = 2});
        auto body = [&]() -> task<> {
            for (int i = 0; i < 3; ++i) {
                try {
                    (void)co_await all.p->call(
                        [](int n) -> int { throw std::runtime_error(std::to_string(n)); }, i);
                } catch (...) {
                    all.errors.push_back(std::current_exception());
                }
            }
        };
        rt.block_on(body);
        std::exit(static_cast<int>(all.errors.size()));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3) << status;
}

} // namespace
} // namespace process_test
