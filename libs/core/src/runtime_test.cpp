#include "core_test.hpp"

#include <latch>
#include <thread>

namespace {
using namespace core_test;

struct Runtime : virtual_test {};

task<> stubborn(std::string& log, char c) {
    co_await defer(
        1h,
        [](std::string& l, char k) -> task<> {
            co_await sleep_for(2s);
            l += k;
            co_return;
        },
        std::ref(log), c);
    co_await sleep_for(1h);
}

TEST_F(Runtime, R082_CloseDrainsFirstAndReturnsEarly) {
    auto f = rt_.submit(give_later, 3s, 1);
    EXPECT_TRUE(rt_.close({.drain = 1h, .grace = 1h}).abandoned.empty());
    EXPECT_EQ(elapsed(), 3s);
    EXPECT_EQ(f.get(), 1);
}
TEST_F(Runtime, R082_CloseCancelsWithCauseShutdownAfterTheDrain) {
    std::string log;
    auto f = rt_.submit(stubborn, std::ref(log), 'c');
    advance(1ms);
    EXPECT_TRUE(rt_.close({.drain = 5s, .grace = 5s}).abandoned.empty());
    EXPECT_EQ(elapsed(), 7s + 1ms);
    EXPECT_EQ(log, "c");
    EXPECT_EQ(f.status(), task_status::cancelled);
    EXPECT_EQ(f.why()->kind, reason::shutdown);
}
TEST_F(Runtime, R083_WorkOfferedAfterCloseIsRefusedAndItsArgumentsDestroyed) {
    (void)rt_.close();
    EXPECT_THROW((void)rt_.submit([](const counted&) {}, object()), closed_error);
    EXPECT_THROW(run([](const counted&) {}, object()), closed_error);
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Runtime, R083_RunningTasksMaySpawnChildrenWhileTheRuntimeDrains) {
    bool late = false;
    auto f = rt_.submit([&]() -> task<> {
        co_await sleep_for(1s);
        EXPECT_THROW((void)rt_.submit(nap, 1s), closed_error);
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn([&]() -> task<> {
                co_await sleep_for(1s);
                late = true;
            });
            co_return;
        });
    });
    EXPECT_TRUE(rt_.close({.drain = 1min}).abandoned.empty());
    EXPECT_TRUE(late);
    EXPECT_EQ(f.status(), task_status::done);
}
TEST_F(Runtime, R085_AfterCloseNothingIsLeft) {
    for (int i = 0; i < 100; ++i)
        (void)rt_.submit([](int k) -> task<> { co_await with_timeout(1h, nap, std::chrono::hours(k)); }, i);
    advance(1ms);
    EXPECT_GT(rt_.audit().timers, 0u);
    (void)rt_.close({.drain = 0s, .grace = 1s});
    EXPECT_TRUE(rt_.audit().clean());
}
// A wait that nothing completes and nobody can withdraw.
struct never_ends final : detail::operation {
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    bool ready() const noexcept { return false; }
    void start(detail::strand& s, detail::frame&) { s.wait(this); }
    bool try_cancel() noexcept override { return false; }
    void result() const noexcept {}
};
TEST_F(Runtime, R086_WhatDoesNotEndIsNamed) {
    runtime rt(tenure::core::testing::virtual_time());
    auto f = rt.submit({.name = "stuck"}, []() -> task<> { co_await never_ends(); });
    (void)rt.submit(nap, 1h);
    const auto report = rt.close({.drain = 1s, .grace = 1s});
    ASSERT_EQ(report.abandoned.size(), 1u);
    EXPECT_EQ(report.abandoned[0].name, "stuck");
    EXPECT_NE(to_string(report.abandoned[0]).find("runtime_test.cpp:"), std::string::npos);
    EXPECT_EQ(rt.audit().tasks, 1u);
    EXPECT_EQ(f.status(), task_status::pending);
}
TEST_F(Runtime, R088_CloseIsIdempotent) {
    EXPECT_TRUE(rt_.close().abandoned.empty());
    EXPECT_TRUE(rt_.close().abandoned.empty());
}
TEST_F(Runtime, R088_FailureOfATaskCancelledByShutdownIsReportedOnce) {
    (void)rt_.submit([]() -> task<> {
        (void)co_await as_outcome(sleep_for(1h));
        throw my_error("while closing");
    });
    advance(1ms);
    (void)rt_.close({.drain = 0s});
    expected_unread_ = {"while closing"};
}
TEST_F(Runtime, BlockOnRunsOtherTasksMeanwhile) {
    int n = 0;
    auto background = rt_.submit([&]() -> task<> {
        for (; n < 5; ++n)
            co_await sleep_for(1s);
    });
    advance(3500ms);
    EXPECT_EQ(n, 3);
    background.cancel();
}
TEST_F(Runtime, DeadlockInsideBlockOnEndsTheTaskBeforeItThrows) {
    event never_set;
    bool destroyed = false;
    struct on_exit {
        bool& b;
        ~on_exit() { b = true; }
    };
    EXPECT_THROW(run([&]() -> task<> {
                     const on_exit x{destroyed};
                     co_await never_set.wait();
                 }),
                 deadlock_error);
    EXPECT_TRUE(destroyed);
}

// From here on real threads.
class RuntimeOfThreads : public ::testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Threads, RuntimeOfThreads, ::testing::Values(1u, 2u, 4u));

TEST_P(RuntimeOfThreads, BlockOnFromSeveralThreads) {
    runtime rt({.threads = GetParam()});
    std::vector<std::thread> callers;
    std::atomic<int> sum{0};
    for (int i = 0; i < 8; ++i)
        callers.emplace_back([&, i] {
            for (int k = 0; k < 50; ++k)
                sum += rt.block_on(give, i);
        });
    for (auto& t : callers)
        t.join();
    EXPECT_EQ(sum, 28 * 50);
    (void)rt.close(); // a task is counted a little longer than it is waited for
    EXPECT_TRUE(rt.audit().clean());
}
TEST_P(RuntimeOfThreads, R103_ForeignThreadsBlockAndTimeOut) {
    runtime rt({.threads = GetParam()});
    event go;
    auto f = rt.submit([&]() -> task<int> {
        co_await go.wait();
        co_return 3;
    });
    EXPECT_FALSE(f.wait_for(1ms));
    EXPECT_FALSE(f.wait_for(0ms));
    go.set();
    EXPECT_EQ(f.get(), 3);
    EXPECT_TRUE(f.wait_for(0ms));
}
TEST_P(RuntimeOfThreads, TimersFireOnAnIdleRuntime) {
    runtime rt({.threads = GetParam()});
    const auto t0 = rt.now();
    rt.block_on([]() -> task<> {
        co_await with_group([](group g) -> task<> {
            for (int i = 0; i < 20; ++i)
                (void)g.spawn(nap, std::chrono::milliseconds(i % 5));
            co_return;
        });
    });
    EXPECT_GE(rt.now() - t0, 4ms);
    (void)rt.close(); // a task is counted a little longer than it is waited for
    EXPECT_TRUE(rt.audit().clean());
}
TEST_P(RuntimeOfThreads, R106_SpawnAndCancelFromForeignThreadsWakeSleepingWorkers) {
    runtime rt({.threads = GetParam()});
    for (int i = 0; i < 200; ++i) {
        auto f = rt.submit(nap, 1h);
        f.cancel();
        while (f.status() == task_status::pending)
            f.wait_for(1s);
        EXPECT_EQ(f.status(), task_status::cancelled);
    }
}
TEST_P(RuntimeOfThreads, R050_AHundredThreadsCancelATreeOfAHundredTasksWhileTheyEnd) {
    constexpr int nodes = 100;
    for (int round = 0; round < 5; ++round) {
        runtime rt({.threads = GetParam()});
        tally alive;
        tenure::base::mutex m;
        std::vector<future<void>> tree;
        std::atomic<int> begun{0};
        std::function<task<>(int, counted)> node = [&](int k, counted) -> task<> {
            ++begun;
            auto body = [&, k](group g) -> task<> {
                for (const int child : {2 * k, 2 * k + 1}) {
                    if (child > nodes) continue;
                    auto f = g.spawn(std::ref(node), child, counted(alive));
                    tenure::base::mutex_lock l(m);
                    tree.push_back(std::move(f));
                }
                for (int i = 0; i < k % 7; ++i)
                    co_await sleep_for(20us);
            };
            co_await with_group(body);
        };
        future<void> root = rt.submit(std::ref(node), 1, counted(alive));
        while (begun < nodes / 2)
            std::this_thread::yield();
        std::vector<future<void>> some;
        {
            tenure::base::mutex_lock l(m);
            some = tree;
        }
        some.push_back(root);
        std::vector<std::thread> cancellers;
        for (std::size_t t = 0; t < 100; ++t)
            cancellers.emplace_back([&, t, own = some] { own[t * 31 % own.size()].cancel(); });
        for (auto& t : cancellers)
            t.join();
        while (!root.wait_for(1s)) {}
        for (const auto& f : tree)
            EXPECT_TRUE(f.status() == task_status::done || f.status() == task_status::cancelled);
        EXPECT_TRUE(rt.close().abandoned.empty());
        EXPECT_EQ(alive.alive, 0);
        EXPECT_TRUE(rt.audit().clean());
    }
}
TEST_P(RuntimeOfThreads, R106_ForeignThreadsSpawnIntoAGroup) {
    runtime rt({.threads = GetParam()});
    std::atomic<int> ran{0};
    std::latch ready(1), spawned(4);
    std::optional<group> shared;
    event done;
    auto f = rt.submit([&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            shared = g;
            ready.count_down();
            co_await done.wait();
        });
    });
    ready.wait();
    std::vector<std::thread> spawners;
    for (int t = 0; t < 4; ++t)
        spawners.emplace_back([&] {
            for (int i = 0; i < 250; ++i)
                (void)shared->spawn([&] { ++ran; });
            spawned.count_down();
        });
    spawned.wait();
    done.set();
    f.get();
    EXPECT_EQ(ran, 1000);
    for (auto& t : spawners)
        t.join();
}
TEST_P(RuntimeOfThreads, R082_DestructorEndsWhatRuns) {
    tally objects;
    {
        runtime rt({.threads = GetParam(), .at_end = {.drain = 0s, .grace = 10s}});
        for (int i = 0; i < 100; ++i)
            (void)rt.submit(
                [](const counted&) -> task<> {
                    co_await with_group([](group g) -> task<> {
                        for (int k = 0; k < 5; ++k)
                            (void)g.spawn(nap, 1h);
                        co_return;
                    });
                },
                counted(objects));
    }
    EXPECT_EQ(objects.alive, 0);
}
TEST_P(RuntimeOfThreads, R083_SubmittersAreRefusedOnceItCloses) {
    runtime rt({.threads = GetParam(), .at_end = {.drain = 0s, .grace = 10s}});
    std::vector<std::thread> submitters;
    std::atomic<int> accepted{0}, ran{0};
    std::latch busy(4);
    for (int t = 0; t < 4; ++t)
        submitters.emplace_back([&] {
            for (int i = 0;; ++i) {
                try {
                    (void)rt.submit([&] { ++ran; });
                } catch (const closed_error&) {
                    break;
                }
                ++accepted;
                if (i == 10) busy.count_down();
            }
        });
    busy.wait();
    EXPECT_TRUE(rt.close({.drain = 10s}).abandoned.empty());
    for (auto& t : submitters)
        t.join();
    EXPECT_EQ(ran, accepted);
    EXPECT_TRUE(rt.audit().clean());
}
TEST_P(RuntimeOfThreads, R088_CloseFromSeveralThreads) {
    runtime rt({.threads = GetParam()});
    for (int i = 0; i < 50; ++i)
        (void)rt.submit(nap, 1ms);
    std::vector<std::thread> closers;
    for (int i = 0; i < 4; ++i)
        closers.emplace_back([&] { EXPECT_TRUE(rt.close({.drain = 10s}).abandoned.empty()); });
    for (auto& t : closers)
        t.join();
    EXPECT_TRUE(rt.audit().clean());
}
// A function on a thread cannot be ended. It is named, what it uses is kept, and it may go on and end later.
TEST_P(RuntimeOfThreads, R086_StuckFunctionIsNamedAndWhatItUsesIsKept) {
    std::latch entered(1), release(1), gone(1);
    std::optional<future<int>> f;
    {
        runtime rt({.threads = GetParam()});
        struct on_exit {
            std::latch* l;
            explicit on_exit(std::latch& x) : l(&x) {}
            on_exit(on_exit&& o) noexcept : l(std::exchange(o.l, nullptr)) {}
            ~on_exit() {
                if (l) l->count_down();
            }
        };
        f = rt.submit(
            {.name = "stuck"},
            [&](const on_exit&) {
                entered.count_down();
                release.wait();
                this_task::cancel_requested();
                return 5;
            },
            on_exit(gone));
        entered.wait();
        const auto report = rt.close({.drain = 0s, .grace = 0s, .workers = 1ms});
        ASSERT_EQ(report.abandoned.size(), 1u);
        EXPECT_EQ(report.abandoned[0].name, "stuck");
    }
    release.count_down();
    gone.wait();
    EXPECT_EQ(f->get(), 5);
}
// The same when the task has ended already and the destructor of its result does not return.
TEST(RuntimeOfOneThread, R086_StuckDestructorOfAResultHarmsNobody) {
    struct latches {
        std::latch dropped{1}, entered{1}, release{1}, gone{1};
    };
    struct slow_to_die {
        std::shared_ptr<latches> l;
        explicit slow_to_die(std::shared_ptr<latches> x) : l(std::move(x)) {}
        slow_to_die(slow_to_die&&) = default;
        ~slow_to_die() {
            if (!l) return;
            l->entered.count_down();
            l->release.wait();
            l->gone.count_down();
        }
    };
    auto l = std::make_shared<latches>();
    {
        runtime rt({.threads = 1});
        (void)rt.submit([l] {
            l->dropped.wait(); // or the handle would be the last to let go, on this thread
            return slow_to_die(l);
        });
        l->dropped.count_down();
        l->entered.wait();
        (void)rt.close({.drain = 0s, .grace = 0s, .workers = 1ms});
    }
    l->release.count_down(); // its worker goes on in a runtime that must still be there
    l->gone.wait();
}
TEST(RuntimeWithoutWorkers, BlockOnFromTwoThreadsAtOnce) {
    runtime rt({.threads = 0});
    for (int round = 0; round < 200; ++round) {
        std::thread other([&] { EXPECT_EQ(rt.block_on(give_later, 100us, 1), 1); });
        EXPECT_EQ(rt.block_on(give_later, 100us, 2), 2);
        other.join();
    }
}

// A program in a program: what runs here goes on as the task that it was.
TEST(RuntimeWithoutWorkers, APlainFunctionOfAnotherRuntimeMayUseAndCloseOne) {
    runtime outer({.threads = 1});
    auto uses_another = [] {
        const auto before = this_task::label().id;
        runtime inner({.threads = 0});
        inner.block_on([]() -> task<> { co_await yield(); });
        EXPECT_TRUE(inner.close().abandoned.empty());
        EXPECT_EQ(this_task::label().id, before);
        return before != 0;
    };
    EXPECT_TRUE(outer.submit({.name = "outer"}, uses_another).get());
}

} // namespace
