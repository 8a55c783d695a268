#include "conformance.hpp"

#include "jobs.hpp"

#include <tenure/core/context_scope.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/observe.hpp>
#include <tenure/core/scope.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/core/this_task.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace runner_conformance {

using namespace std::chrono_literals;
using core::future;
using core::group;
using core::task;
using core::task_status;
using runner::call;
using runner::fn;
using runner::submit;

std::ostream& operator<<(std::ostream& to, const setup& s) { return to << s.name; }

namespace {

class RunnerConformance : public ::testing::TestWithParam<setup> {
protected:
    core::runtime rt_{GetParam().options()};
    std::unique_ptr<runner::runner> runner_ = GetParam().make(rt_, 2);
    signs signs_;

    void run(const std::function<task<>(group, runner::runner&)>& body) {
        rt_.block_on([this, &body]() -> task<> {
            auto in_group = [this, &body](group g) -> task<> { co_await body(g, *runner_); };
            co_await core::with_group(in_group);
        });
    }
    /// Waits until that many were left.
    static task<> see(std::string sign, std::size_t many = 1) {
        while (signs::count(sign) < many)
            co_await core::sleep_for(1ms);
    }
    void TearDown() override {
        runner_.reset();
        const auto report = rt_.close();
        EXPECT_TRUE(report.abandoned.empty()) << core::to_string(report.tree);
        EXPECT_TRUE(rt_.audit().clean());
    }
};
// Those of whom more can be asked.
class RunnerBesideTasks : public RunnerConformance {};
class RunnerOnTime : public RunnerConformance {};
class RunnerWithWidth : public RunnerConformance {};
class RunnerWithWidthHere : public RunnerConformance {};
class RunnerForNestedCalls : public RunnerConformance {};
// One that is in another process has no memory of the test's.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RunnerWithWidthHere);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RunnerForNestedCalls);

auto those(bool (*can)(const setup&)) {
    std::vector<setup> some = setups();
    std::erase_if(some, [can](const setup& s) { return !can(s); });
    return testing::ValuesIn(some);
}
std::string name_of(const testing::TestParamInfo<setup>& s) { return s.param.name; }

INSTANTIATE_TEST_SUITE_P(Runners, RunnerConformance, testing::ValuesIn(setups()), name_of);
INSTANTIATE_TEST_SUITE_P(Runners, RunnerBesideTasks, those([](const setup& s) { return s.runs_beside; }),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Runners, RunnerOnTime,
                         those([](const setup& s) { return !s.runs_beside || !s.virtual_time; }), name_of);
INSTANTIATE_TEST_SUITE_P(Runners, RunnerWithWidth, those([](const setup& s) { return s.has_width; }),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Runners, RunnerWithWidthHere,
                         those([](const setup& s) { return s.has_width && s.shares_memory; }), name_of);
INSTANTIATE_TEST_SUITE_P(Runners, RunnerForNestedCalls,
                         those([](const setup& s) { return s.may_wait && s.shares_memory; }), name_of);

// ---- values

TEST_P(RunnerConformance, GivesWhatTheFunctionReturns) {
    run([](group, runner::runner& r) -> task<> {
        EXPECT_EQ(co_await call(r, fn<&add>, 3, 4), 7);
        EXPECT_EQ(co_await call(r, fn<&repeated>, "ab", 3), "ababab");
        const record sent{.name = "n", .values = {1, 2}, .inner = {{"k", 1.5}}};
        EXPECT_EQ(co_await call(r, fn<&same_record>, sent), sent);
        EXPECT_EQ(co_await call(r, fn<&length>, std::string(100, 'x')), 100u);
        co_await call(r, fn<&nothing>);
    });
}
TEST_P(RunnerConformance, CallsLambdasWithoutCapturesAndFunctionObjects) {
    run([](group g, runner::runner& r) -> task<> {
        const auto product = [](int a, int b) { return a * b; };
        const scaled thrice{.by = 3, .unit = " mm"};
        EXPECT_EQ(co_await call(r, product, 3, 4), 12);
        EXPECT_EQ(co_await call(r, thrice, 4), "12 mm");
        EXPECT_EQ(co_await submit(g, r, product, 3, 4), 12);
        EXPECT_EQ(co_await submit(g, r, thrice, 4), "12 mm");
    });
}
TEST_P(RunnerConformance, MovesArgumentsAndResults) {
    run([](group g, runner::runner& r) -> task<> {
        EXPECT_EQ(*co_await call(r, fn<&plus_one>, std::make_unique<int>(1)), 2);
        auto f = submit(g, r, fn<&plus_one>, std::make_unique<int>(2));
        EXPECT_EQ(*co_await std::move(f), 3);
    });
}
TEST_P(RunnerConformance, CarriesMegabytes) {
    run([](group g, runner::runner& r) -> task<> {
        constexpr std::size_t many = 1'000'000;
        std::vector<std::uint64_t> sent(many);
        std::iota(sent.begin(), sent.end(), 7u);
        const auto back = co_await call(r, fn<&reversed>, sent);
        EXPECT_TRUE(std::equal(back.rbegin(), back.rend(), sent.begin(), sent.end()));
        auto made = submit(g, r, fn<&numbers>, many);
        const auto got = co_await std::move(made);
        EXPECT_EQ(got.size(), many);
        EXPECT_EQ(co_await call(r, fn<&length>, std::string(8 * many, 'x')), 8 * many);
    });
}

// ---- failures

TEST_P(RunnerConformance, FailureArrivesAsItself) {
    run([](group, runner::runner& r) -> task<> {
        try {
            (void)co_await call(r, fn<&fails>, "no such file");
            ADD_FAILURE();
        } catch (const odd_error& e) {
            EXPECT_TRUE(GetParam().keeps_types);
            EXPECT_STREQ(e.what(), "no such file");
        } catch (const runner::remote_error& e) {
            EXPECT_FALSE(GetParam().keeps_types);
            EXPECT_NE(e.type().find("odd_error"), std::string::npos) << e.type();
            EXPECT_EQ(e.message(), "no such file");
        }
    });
}
TEST_P(RunnerConformance, WhatIsNoStdExceptionArrivesToo) {
    run([](group, runner::runner& r) -> task<> {
        try {
            co_await call(r, fn<&throws_a_number>);
            ADD_FAILURE();
        } catch (const odd_number& e) {
            EXPECT_TRUE(GetParam().keeps_types);
            EXPECT_EQ(e.value, 42);
        } catch (const runner::remote_error& e) {
            EXPECT_FALSE(GetParam().keeps_types);
            EXPECT_NE(e.type().find("odd_number"), std::string::npos) << e.type();
        }
        EXPECT_EQ(co_await call(r, fn<&add>, 3, 4), 7); // the runner is as it was
    });
}

// ---- cancellation

TEST_P(RunnerConformance, CallInACancelledGroupNeverBegins) {
    const std::string begun = signs_.one("begun");
    run([&](group g, runner::runner& r) -> task<> {
        (void)g.cancel();
        (void)submit(g, r, fn<&leave_sign>, begun);
        co_return;
    });
    EXPECT_EQ(signs::count(begun), 0u);
}
TEST_P(RunnerWithWidth, QueuedCallThatIsCancelledNeverBegins) {
    runner_ = GetParam().make(rt_, 1);
    ASSERT_EQ(runner_->width(), 1u);
    const std::string begun = signs_.one("begun"), second = signs_.one("second");
    run([&](group g, runner::runner& r) -> task<> {
        auto first = submit(g, r, fn<&run_until_told>, begun);
        co_await see(begun);
        auto f = submit(g, r, fn<&leave_sign>, second);
        co_await core::sleep_for(1ms);
        f.cancel();
        EXPECT_EQ(co_await f.join(), task_status::cancelled);
        EXPECT_EQ(first.status(), task_status::pending);
        (void)co_await first.cancel_and_join();
        EXPECT_EQ(co_await call(r, fn<&add>, 3, 4), 7); // no place was lost
    });
    EXPECT_EQ(signs::count(second), 0u);
}
TEST_P(RunnerBesideTasks, RunningJobThatLooksEndsAsCancelled) {
    const std::string begun = signs_.one("begun");
    run([&](group g, runner::runner& r) -> task<> {
        auto f = submit(g, r, fn<&run_until_told>, begun);
        co_await see(begun);
        EXPECT_EQ(co_await f.cancel_and_join(), task_status::cancelled);
        EXPECT_EQ(co_await call(r, fn<&add>, 3, 4), 7);
    });
    EXPECT_EQ(signs::count(begun), 1u);
}
TEST_P(RunnerBesideTasks, RunningJobThatDoesNotLookIsEndedOrWaitedFor) {
    const std::string begun = signs_.one("begun"), go = signs_.one("go");
    run([&](group g, runner::runner& r) -> task<> {
        auto f = submit(g, r, fn<&run_until_sign>, begun, go);
        co_await see(begun);
        f.cancel();
        if (GetParam().ends_jobs) {
            EXPECT_EQ(co_await f.join(), task_status::cancelled);
        } else {
            co_await core::sleep_for(2ms);
            EXPECT_EQ(f.status(), task_status::pending);
            leave_sign(go);
            EXPECT_EQ(co_await f, 7); // a value that it returns is kept
        }
        EXPECT_EQ(co_await call(r, fn<&add>, 3, 4), 7);
    });
}
TEST_P(RunnerConformance, CancelAfterTheEndChangesNothing) {
    run([](group g, runner::runner& r) -> task<> {
        auto f = submit(g, r, fn<&add>, 3, 4);
        EXPECT_EQ(co_await f.join(), task_status::done);
        EXPECT_FALSE(f.cancel());
        EXPECT_EQ(co_await f, 7);
    });
}

// ---- time

TEST_P(RunnerConformance, JobOfATaskWithoutADeadlineHasNone) {
    run([](group, runner::runner& r) -> task<> {
        EXPECT_EQ(co_await call(r, fn<&deadline_here>), base::never);
    });
}
TEST_P(RunnerOnTime, JobKnowsItsDeadline) {
    run([](group, runner::runner& r) -> task<> {
        auto body = [&r]() -> task<> {
            EXPECT_EQ(co_await call(r, fn<&deadline_here>), core::this_task::deadline());
            EXPECT_NE(core::this_task::deadline(), base::never);
        };
        co_await core::with_timeout(1h, body);
    });
}
TEST_P(RunnerConformance, PastDeadlineBeginsNothing) {
    const std::string begun = signs_.one("begun");
    run([&](group, runner::runner& r) -> task<> {
        auto body = [&]() -> task<> { co_await call(r, fn<&leave_sign>, begun); };
        const auto o = co_await core::as_outcome(core::with_timeout(0s, body));
        EXPECT_TRUE(o.has_failed());
    });
    EXPECT_EQ(signs::count(begun), 0u);
}
TEST_P(RunnerBesideTasks, JobThatLooksEndsAtItsDeadline) {
    const std::string begun = signs_.one("begun");
    run([&](group, runner::runner& r) -> task<> {
        auto body = [&]() -> task<> { co_await call(r, fn<&run_until_told>, begun); };
        const auto o = co_await core::as_outcome(core::with_timeout(5ms, body));
        EXPECT_THROW((void)o.value(), base::timeout_error);
        EXPECT_EQ(co_await call(r, fn<&add>, 3, 4), 7);
    });
}
TEST_P(RunnerBesideTasks, JobThatDoesNotLookIsEndedAtItsDeadlineOrWaitedFor) {
    const std::string begun = signs_.one("begun"), go = signs_.one("go");
    run([&](group g, runner::runner& r) -> task<> {
        auto release = [&]() -> task<> {
            co_await see(begun);
            co_await core::sleep_for(20ms); // twice the deadline
            leave_sign(go);
        };
        if (!GetParam().ends_jobs) (void)g.spawn(release);
        auto body = [&]() -> task<int> { co_return co_await call(r, fn<&run_until_sign>, begun, go); };
        const auto o = co_await core::as_outcome(core::with_timeout(10ms, body));
        if (signs::count(begun) == 0) { // it was in the queue until then
            EXPECT_TRUE(o.has_failed());
            leave_sign(begun);
        } else if (GetParam().ends_jobs) {
            EXPECT_THROW((void)o.value(), base::timeout_error);
        } else {
            EXPECT_EQ(o.value(), 7); // a value wins over the expiry
        }
        EXPECT_EQ(co_await call(r, fn<&add>, 3, 4), 7);
    });
}

// ---- context

TEST_P(RunnerConformance, JobSeesTheValuesOfKeysThatTravel) {
    run([](group g, runner::runner& r) -> task<> {
        auto body = [g, &r]() mutable -> task<> {
            EXPECT_EQ(co_await call(r, fn<&trace_here>), "a-1");
            EXPECT_EQ(co_await submit(g, r, fn<&trace_here>), "a-1");
        };
        co_await core::with_value(trace_id, std::string("a-1"), body);
        EXPECT_EQ(co_await call(r, fn<&trace_here>), "none");
    });
}

// ---- many

TEST_P(RunnerConformance, EachOfManyEndsOnce) {
    const std::string calls = signs_.one("calls");
    run([&](group, runner::runner& r) -> task<> {
        constexpr int many = 10'000;
        std::vector<future<int>> all;
        auto body = [&](group g) -> task<> {
            for (int i = 0; i < many; ++i)
                all.push_back(submit(g, r, fn<&double_unless_seventh>, i, calls));
            co_return;
        };
        const auto failed = std::make_shared<std::atomic<int>>(0);
        auto count = [failed](const base::task_failure&) { ++*failed; };
        co_await core::with_group(core::supervise(count), body);
        EXPECT_EQ(failed->load(), (many + 6) / 7);
        for (int i = 0; i < many; ++i) {
            const auto o = all[static_cast<std::size_t>(i)].try_outcome();
            if (i % 7 == 0)
                EXPECT_TRUE(o && o->has_failed()) << i;
            else
                EXPECT_TRUE(o && o->has_value() && o->value() == 2 * i) << i;
        }
        EXPECT_EQ(signs::count(calls), static_cast<std::size_t>(many));
    });
}
TEST_P(RunnerConformance, DroppedHandlesLoseNothing) {
    const std::string calls = signs_.one("calls");
    run([&](group g, runner::runner& r) -> task<> {
        for (int i = 0; i < 100; ++i)
            (void)submit(g, r, fn<&leave_sign>, calls);
        co_return;
    });
    EXPECT_EQ(signs::count(calls), 100u);
}
TEST_P(RunnerWithWidth, AsManyRunAtOnceAsItSays) {
    EXPECT_EQ(runner_->width(), 2u);
    const std::string begun = signs_.one("begun");
    run([&](group g, runner::runner& r) -> task<> {
        (void)submit(g, r, fn<&wait_for_signs>, begun, std::size_t{2}); // each waits for the other
        (void)submit(g, r, fn<&wait_for_signs>, begun, std::size_t{2});
        co_return;
    });
}
TEST_P(RunnerWithWidthHere, NeverMoreAtOnceThanItSays) {
    const unsigned width = runner_->width();
    most_at_once = 0;
    run([&](group g, runner::runner& r) -> task<> {
        for (int i = 0; i < 500; ++i)
            (void)submit(g, r, fn<&count_those_at_once>);
        co_return;
    });
    EXPECT_GT(most_at_once, 0u);
    EXPECT_LE(most_at_once, width);
}

// ---- the end

TEST_P(RunnerConformance, RunnerMayGoAfterItsLastCall) {
    run([&](group g, runner::runner&) -> task<> {
        for (int i = 0; i < 10; ++i) {
            const auto mine = GetParam().make(rt_, 1);
            EXPECT_EQ(co_await call(*mine, fn<&add>, 3, 4), 7);
            EXPECT_EQ(co_await submit(g, *mine, fn<&add>, 3, 4), 7);
        }
    });
}

// ---- calls inside of calls

/// Where the jobs of a test make their calls: they share its memory.
struct nesting {
    core::runtime* rt = nullptr;
    runner::runner* on = nullptr;
};
nesting nested_in;
int sum_up_to(int n) {
    count_those_at_once();
    const int below = n == 0 ? 0 : submit(*nested_in.rt, *nested_in.on, fn<&sum_up_to>, n - 1).get();
    count_those_at_once();
    return n + below;
}
int leaves_of_tree(int depth) {
    count_those_at_once();
    if (depth == 0) return 1;
    std::vector<future<int>> branches;
    for (int i = 0; i < 3; ++i)
        branches.push_back(submit(*nested_in.rt, *nested_in.on, fn<&leaves_of_tree>, depth - 1));
    int all = 0;
    for (auto& each : branches)
        all += each.get();
    count_those_at_once();
    return all;
}

TEST_P(RunnerForNestedCalls, JobsMayWaitForCallsOnTheSameRunner) {
    for (const unsigned width : {1u, 2u}) {
        runner_ = GetParam().make(rt_, width);
        nested_in = {&rt_, runner_.get()};
        most_at_once = 0;
        run([](group g, runner::runner& r) -> task<> {
            EXPECT_EQ(co_await call(r, fn<&sum_up_to>, 10), 55);
            EXPECT_EQ(co_await call(r, fn<&leaves_of_tree>, 3), 27);
            std::vector<future<int>> many;
            for (int i = 0; i < 20; ++i)
                many.push_back(submit(g, r, fn<&leaves_of_tree>, 2));
            for (auto& each : many)
                EXPECT_EQ(co_await each, 9);
        });
        EXPECT_GT(most_at_once, 0u);
        EXPECT_LE(most_at_once, width); // those that wait do not count
    }
}

} // namespace
} // namespace runner_conformance
