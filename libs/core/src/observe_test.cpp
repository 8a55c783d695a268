#include "core_test.hpp"

#include <memory>

namespace {
using namespace core_test;

struct Observe : virtual_test {};

TEST_F(Observe, TurnsEveryEndOfATaskIntoAnOutcome) {
    auto parent = []() -> task<> {
        auto value = co_await as_outcome(give_later(1s, 4));
        EXPECT_EQ(value.value(), 4);
        auto failed = co_await as_outcome(fail_later(1s, "x"));
        EXPECT_EQ(describe(failed.error()), "x");
        auto cancelled = co_await as_outcome(with_timeout(1s, []() -> task<> {
            auto o = co_await as_outcome(nap(1h));
            EXPECT_TRUE(o.was_cancelled());
            EXPECT_EQ(o.why()->kind, reason::deadline);
        }));
        EXPECT_TRUE(cancelled.has_value()); // the body observed it and returned
    };
    run(parent);
}
TEST_F(Observe, WorksOnOperationsFuturesAndScopes) {
    auto parent = []() -> task<> {
        auto slept = co_await as_outcome(sleep_for(1s));
        EXPECT_TRUE(slept.has_value());
        co_await with_group([](group g) -> task<> {
            auto f = g.spawn(give_later, 1s, 5);
            auto v = co_await as_outcome(f);
            EXPECT_EQ(v.value(), 5);
            auto moved = co_await as_outcome(std::move(f));
            EXPECT_EQ(moved.value(), 5);
            auto gone = g.spawn(nap, 1h);
            gone.cancel("gone");
            auto o = co_await as_outcome(gone);
            EXPECT_THROW(o.value(), task_cancelled); // somebody else's cancellation is a failure here
        });
        auto group_value = co_await as_outcome(with_group([](group) -> task<int> { co_return 6; }));
        EXPECT_EQ(group_value.value(), 6);
        EXPECT_FALSE(this_task::cancel_requested());
    };
    run(parent);
}
TEST_F(Observe, MoveOnlyValuesPassThrough) {
    auto parent = []() -> task<int> {
        auto make = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
        auto o = co_await as_outcome(make());
        auto p = std::move(o).value();
        co_return *p;
    };
    EXPECT_EQ(run(parent), 3);
}
TEST_F(Observe, R031_BodyThatObservesTheCancelAndReturnsIsDone) {
    auto f = rt_.submit([]() -> task<int> {
        (void)co_await as_outcome(sleep_for(1h));
        co_return 7;
    });
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_EQ(f.get(), 7);
    EXPECT_EQ(f.status(), task_status::done);
    EXPECT_TRUE(f.cancel_requested());
}
TEST_F(Observe, ObservedTaskDiesBeforeItsOutcomeIsSeen) {
    std::string log;
    auto inner = [&]() -> task<> {
        const mourner m(log, 'm');
        co_await sleep_for(1h);
    };
    auto f = rt_.submit([&]() -> task<> {
        (void)co_await as_outcome(inner());
        log += "after";
    });
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_EQ(log, "mafter");
}
TEST_F(Observe, ReadyOperationInACancelledTaskIsCancelledAtItsEntry) {
    std::string log;
    auto f = rt_.submit([&]() -> task<> {
        (void)co_await as_outcome(sleep_for(1h));
        auto o = co_await as_outcome(checkpoint());
        log += o.was_cancelled() ? "cancelled" : "value";
    });
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_EQ(log, "cancelled");
}
} // namespace
