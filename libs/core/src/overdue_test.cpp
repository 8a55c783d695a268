#include "core_test.hpp"

#include <tenure/core/timer.hpp>

#include <algorithm>
#include <latch>

namespace {
using namespace core_test;
using tenure::base::duration;

struct Overdue : virtual_test {
    std::vector<overdue_task> told;
    overdue_handler note() {
        return [this](const overdue_task& t) { told.push_back(t); };
    }
    /// Cleans up for d once it is cancelled.
    static task<> slow_to_end(duration d) {
        (void)co_await as_outcome(sleep_for(1h));
        co_await shield(1h, nap, d);
    }
    std::vector<duration> times() const {
        std::vector<duration> t;
        for (const auto& o : told)
            t.push_back(o.since);
        return t;
    }
};

TEST_F(Overdue, ChildThatDoesNotEndIsReportedWithItsNamePlaceAndAwaits) {
    run([&]() -> task<> {
        auto body = [](group g) -> task<> {
            (void)g.spawn({.name = "slow"}, slow_to_end, 2s);
            (void)g.spawn({.name = "quick"}, nap, 1h);
            co_await sleep_for(1s);
            g.cancel();
        };
        co_await with_group(group_options().report_overdue(1s, note()), body);
    });
    EXPECT_EQ(elapsed(), 3s);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].task.name, "slow");
    EXPECT_NE(to_string(told[0].task).find("overdue_test.cpp:"), std::string::npos);
    EXPECT_EQ(told[0].since, 1s);
    EXPECT_EQ(told[0].doing, task_activity::waiting);
    EXPECT_EQ(told[0].awaits.size(), 2u); // in nap(), and in the shield
}
TEST_F(Overdue, ItIsReportedAgainEachTimeAfterTwiceTheTime) {
    run([&]() -> task<> {
        auto body = [](group g) -> task<> {
            (void)g.spawn(slow_to_end, 20s);
            co_await sleep_for(1s);
            g.cancel();
        };
        co_await with_group(group_options().report_overdue(1s, note()), body);
    });
    EXPECT_EQ(times(), (std::vector<duration>{1s, 3s, 7s, 15s}));
    EXPECT_EQ(elapsed(), 21s);
}
TEST_F(Overdue, CancellationFromOutsideAndByAFailureCountToo) {
    auto in_group = [&]() -> task<> {
        auto body = [](group g) -> task<> {
            (void)g.spawn(slow_to_end, 2s);
            co_await sleep_for(1h);
        };
        co_await with_group(group_options().report_overdue(1s, note()), body);
    };
    auto f = rt_.submit(in_group);
    advance(1s);
    f.cancel();
    advance(1min);
    EXPECT_EQ(f.status(), task_status::cancelled);
    EXPECT_EQ(times(), (std::vector<duration>{1s}));
    told.clear();
    auto failing = [&]() -> task<> {
        auto body = [](group g) -> task<> {
            (void)g.spawn(slow_to_end, 2s);
            (void)g.spawn(fail_later, 1s, "it failed");
            co_return;
        };
        co_await with_group(group_options().report_overdue(1s, note()), body);
    };
    EXPECT_EQ(thrown_by([&] { run(failing); }), "it failed");
    EXPECT_EQ(times(), (std::vector<duration>{1s}));
}
TEST_F(Overdue, WhoeverIsInTimeIsNotReportedAndNoTimerIsLeft) {
    run([&]() -> task<> {
        auto body = [&](group g) -> task<> {
            (void)g.spawn(slow_to_end, 999ms);
            co_await sleep_for(1s);
            EXPECT_EQ(rt_.audit().timers,
                      1u); // the child's: the watch has none as long as nothing is cancelled
            g.cancel();
        };
        co_await with_group(group_options().report_overdue(1s, note()), body);
        EXPECT_EQ(rt_.audit().timers, 0u);
        EXPECT_EQ(rt_.audit().callbacks, 0u);
        auto quiet = [](group g) -> task<> {
            (void)g.spawn(nap, 1h); // not cancelled: not overdue
            co_return;
        };
        co_await with_group(group_options().report_overdue(1s, note()), quiet);
        EXPECT_EQ(rt_.audit().callbacks, 0u);
    });
    EXPECT_TRUE(told.empty());
}
TEST_F(Overdue, TasksFurtherDownAndBackgroundChildrenAreReported) {
    run([&]() -> task<> {
        auto nested = []() -> task<> {
            co_await with_group([](group g) -> task<> {
                (void)g.spawn({.name = "inner"}, slow_to_end, 2s);
                co_return;
            });
        };
        auto body = [&](group g) -> task<> {
            (void)g.spawn({.name = "outer"}, nested);
            (void)g.spawn_background({.name = "server"}, slow_to_end, 2s);
            co_await sleep_for(1s);
            g.cancel();
        };
        co_await with_group(group_options().report_overdue(1s, note()), body);
    });
    std::vector<std::string> names;
    for (const auto& t : told)
        names.push_back(t.task.name);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, (std::vector<std::string>{"inner", "outer", "server"}));
}
TEST_F(Overdue, HandlerThatThrowsHarmsNobody) {
    run([&]() -> task<> {
        auto body = [](group g) -> task<> {
            (void)g.spawn(slow_to_end, 5s);
            co_await sleep_for(1s);
            g.cancel();
        };
        int calls = 0;
        auto throws = [&](const overdue_task&) {
            if (++calls == 1) throw my_error("cannot tell");
        };
        co_await with_group(group_options().report_overdue(1s, throws), body);
        EXPECT_EQ(calls, 2);
    });
    expected_unread_ = {"cannot tell"};
}
TEST_F(Overdue, WhatTheBodyDoesIsNotReported) {
    run([&]() -> task<> {
        auto body = [](group g) -> task<> {
            g.cancel();
            co_await shield(1h, nap, 2s);
        };
        co_await with_group(group_options().report_overdue(1s, note()), body);
    });
    EXPECT_TRUE(told.empty());
}
TEST_F(Overdue, TimeMustBePositive) {
    EXPECT_THROW((void)group_options().report_overdue(0s, note()), usage_error);
    EXPECT_THROW((void)group_options().report_overdue(-1s, note()), usage_error);
}

// From here on real threads.
TEST(OverdueOnThreads, StuckFunctionIsReportedWhileItRuns) {
    runtime rt({.threads = 2});
    std::latch told(1);
    std::atomic<int> running{0};
    rt.block_on([&]() -> task<> {
        event entered;
        auto stuck = [&] {
            entered.set();
            told.wait();
        };
        auto body = [&](group g) -> task<> {
            (void)g.spawn({.name = "stuck"}, stuck);
            co_await entered.wait();
            g.cancel();
        };
        auto note = [&](const overdue_task& t) {
            if (t.task.name != "stuck") return;
            if (t.doing == task_activity::running && running++ == 0) told.count_down();
        };
        co_await with_group(group_options().report_overdue(1ms, note), body);
    });
    EXPECT_GE(running, 1);
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_TRUE(rt.audit().clean());
}
TEST(OverdueOnThreads, EndOfTheGroupRacesCancelAndReport) {
    runtime rt({.threads = 2});
    for (int round = 0; round < 300; ++round) {
        rt.block_on([&]() -> task<> {
            auto body = [](group g) -> task<> {
                for (int i = 0; i < 4; ++i)
                    (void)g.spawn(nap, 10us);
                auto cancel = [g] { g.cancel(); };
                (void)g.spawn(cancel);
                co_await yield();
            };
            auto ignore = [](const overdue_task&) {};
            co_await with_group(group_options().report_overdue(1ns, ignore), body);
        });
    }
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_TRUE(rt.audit().clean());
}
} // namespace
