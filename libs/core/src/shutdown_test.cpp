#include "core_test.hpp"

#include <tenure/core/run_blocking.hpp>
#include <tenure/core/timer.hpp>

#include <latch>
#include <thread>

namespace {
using namespace core_test;

struct Shutdown : virtual_test {};

TEST_F(Shutdown, R084_HooksRunLastFirstOnceEachWhateverTheOthersThrow) {
    std::string log;
    rt_.on_close([&] { log += 'a'; });
    rt_.on_close([&] {
        log += 'b';
        throw my_error("b");
    });
    auto coroutine = [&]() -> task<> {
        co_await sleep_for(1s);
        log += 'c';
        throw my_error("c");
    };
    rt_.on_close(coroutine);
    rt_.on_close([&] { log += 'd'; });
    const auto report = rt_.close();
    EXPECT_EQ(log, "dcba");
    ASSERT_EQ(report.errors.size(), 2u);
    EXPECT_EQ(describe(report.errors[0]), "c");
    EXPECT_EQ(describe(report.errors[1]), "b");
    EXPECT_EQ(rt_.close().errors.size(), 2u); // the same report
    EXPECT_EQ(log, "dcba");
}
TEST_F(Shutdown, R082_HooksRunWhenNoTaskIsLeftAndAreNotCancelled) {
    std::string log;
    rt_.on_close([&]() -> task<> {
        EXPECT_FALSE(this_task::cancel_requested());
        co_await sleep_for(1s);
        log += "hook";
    });
    (void)rt_.submit([&]() -> task<> {
        auto cleanup = [](std::string& l) -> task<> {
            co_await sleep_for(2s);
            l += "task ";
        };
        co_await defer(1min, cleanup, std::ref(log));
        co_await sleep_for(1h);
    });
    EXPECT_TRUE(rt_.close({.drain = 3s, .grace = 1min}).abandoned.empty());
    EXPECT_EQ(log, "task hook");
    EXPECT_EQ(elapsed(), 6s);
}
TEST_F(Shutdown, R084_HookThatTakesTooLongIsCancelledAndTheNextOneRuns) {
    std::string log;
    rt_.on_close([&] { log += "last"; });
    auto slow = [&]() -> task<> {
        const mourner m(log, '!');
        co_await sleep_for(1h);
    };
    rt_.on_close(slow);
    const auto report = rt_.close({.hook = 2s});
    EXPECT_EQ(log, "!last");
    EXPECT_TRUE(report.abandoned.empty());
    ASSERT_EQ(report.errors.size(), 1u);
    EXPECT_THROW(std::rethrow_exception(report.errors[0]), timeout_error);
    EXPECT_NE(describe(report.errors[0]).find("shutdown_test.cpp:"), std::string::npos);
}
TEST_F(Shutdown, R083_HookOfferedTooLateIsRefusedAndDestroyed) {
    (void)rt_.close();
    EXPECT_THROW(rt_.on_close([keep = object()] { (void)keep; }), closed_error);
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Shutdown, R085_AfterTheHooksNothingIsLeft) {
    rt_.on_close([&, keep = object()] {
        (void)keep;
        call_later(1h, [] {}, {.when_owner_ends = at_end::drop});
    });
    (void)rt_.close();
    EXPECT_EQ(objects_.alive, 0);
    EXPECT_TRUE(rt_.audit().clean());
}
TEST_F(Shutdown, R088_RequestedInsideATaskItRefusesDrainsAndCancels) {
    auto other = rt_.submit(nap, 1h);
    auto quick = rt_.submit(nap, 1s);
    run([&]() -> task<> {
        EXPECT_THROW((void)rt_.close(), usage_error);
        rt_.request_close({.drain = 2s});
        rt_.request_close({.drain = 1h}); // the first one counts
        EXPECT_THROW((void)rt_.submit(nap, 1s), closed_error);
        const auto o = co_await as_outcome(sleep_for(1h));
        EXPECT_TRUE(o.was_cancelled());
        EXPECT_EQ(o.why()->kind, reason::shutdown);
    });
    EXPECT_EQ(elapsed(), 2s);
    EXPECT_EQ(quick.status(), task_status::done);
    EXPECT_TRUE(rt_.close().abandoned.empty());
    EXPECT_EQ(other.status(), task_status::cancelled);
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(Shutdown, R088_RequestThatAllHeedLeavesNoTimer) {
    run([&]() -> task<> {
        rt_.request_close({.drain = 1h});
        co_return;
    });
    EXPECT_TRUE(rt_.close().abandoned.empty());
    EXPECT_EQ(elapsed(), 0s);
    EXPECT_TRUE(rt_.audit().clean());
}

// From here on real threads.
TEST(ShutdownOfThreads, R084_HooksRunThoughEveryWorkerIsStuck) {
    auto go = std::make_shared<std::latch>(1);
    auto gone = std::make_shared<std::latch>(1);
    auto entered = std::make_shared<std::latch>(1);
    std::string log;
    {
        runtime rt({.threads = 1});
        rt.on_close([&] { log += "hook"; });
        (void)rt.submit({.name = "stuck"}, [=] {
            entered->count_down();
            go->wait();
            gone->count_down();
        });
        entered->wait();
        const auto report = rt.close({.drain = 0s, .grace = 0s, .workers = 1ms});
        ASSERT_EQ(report.abandoned.size(), 1u);
        EXPECT_EQ(report.abandoned[0].name, "stuck");
    }
    EXPECT_EQ(log, "hook");
    go->count_down();
    gone->wait();
}
TEST(ShutdownOfThreads, R086_HookThatNeverReturnsIsNamed) {
    auto go = std::make_shared<std::latch>(1);
    auto gone = std::make_shared<std::latch>(1);
    {
        runtime rt({.threads = 1});
        rt.on_close([=] {
            go->wait();
            gone->count_down();
        });
        const auto report = rt.close({.grace = 0s, .hook = 1ms, .workers = 1ms});
        ASSERT_EQ(report.abandoned.size(), 1u);
        EXPECT_EQ(report.abandoned[0].name, "on_close");
        EXPECT_EQ(report.errors.size(), 1u);
    }
    go->count_down();
    gone->wait();
}
TEST(ShutdownOfThreads, R084_HooksRunThoughEachOneHoldsItsWorkerForEver) {
    auto entered = std::make_shared<std::latch>(4);
    auto go = std::make_shared<std::latch>(1);
    auto gone = std::make_shared<std::latch>(3);
    {
        runtime rt({.threads = 1});
        rt.on_close([=]() -> task<> {
            entered->count_down();
            co_return;
        });
        for (int i = 0; i < 3; ++i)
            rt.on_close([=] {
                entered->count_down();
                go->wait();
                gone->count_down();
            });
        const auto report = rt.close({.grace = 0s, .hook = 1ms, .workers = 1ms});
        EXPECT_GE(report.abandoned.size(), 3u); // the coroutine, too, if it took longer than the limit
        EXPECT_GE(report.errors.size(), 3u);
    }
    entered->wait();
    go->count_down();
    gone->wait();
}
TEST(ShutdownOfThreads, R084_LimitOfAHookCountsFromItsStart) {
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> functions{0}, coroutines{0};
        runtime rt({.threads = 1});
        for (int i = 0; i < 3; ++i) {
            rt.on_close([&] { ++functions; });
            rt.on_close([&]() -> task<> {
                ++coroutines;
                co_return;
            });
        }
        EXPECT_TRUE(rt.close({.hook = 0s}).abandoned.empty());
        EXPECT_EQ(functions, 3);
        EXPECT_EQ(coroutines, 3);
    }
}
TEST(ShutdownOfThreads, R088_RequestsRaceCloseAndTasks) {
    for (int round = 0; round < 50; ++round) {
        std::atomic<int> hooks{0};
        runtime rt({.threads = 2});
        for (int i = 0; i < 10; ++i)
            rt.on_close([&] { ++hooks; });
        auto requests = [&]() -> task<> {
            rt.request_close({.drain = 0s});
            co_await sleep_for(1h);
        };
        try {
            for (int i = 0; i < 4; ++i)
                (void)rt.submit(requests);
        } catch (const closed_error&) {
            // The first one was quick.
        }
        std::thread other([&] { EXPECT_TRUE(rt.close({.drain = 0s}).abandoned.empty()); });
        EXPECT_TRUE(rt.close({.drain = 0s}).abandoned.empty());
        other.join();
        EXPECT_EQ(hooks, 10);
        EXPECT_TRUE(rt.audit().clean());
    }
}
} // namespace
