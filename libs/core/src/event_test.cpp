#include "core_test.hpp"

#include <memory>

namespace {
using namespace core_test;

struct Event : virtual_test {};

TEST_F(Event, SetEventIsPassedAtOnce) {
    event e;
    e.set();
    EXPECT_TRUE(e.is_set());
    run([&]() -> task<> { co_await e.wait(); });
    e.reset();
    EXPECT_FALSE(e.is_set());
    EXPECT_THROW(run([&]() -> task<> { co_await e.wait(); }), deadlock_error);
}
TEST_F(Event, SetWakesAllThatWait) {
    event e;
    int woken = 0;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            for (int i = 0; i < 100; ++i) {
                (void)g.spawn([&]() -> task<> {
                    co_await e.wait();
                    ++woken;
                });
            }
            co_await sleep_for(1s);
            EXPECT_EQ(woken, 0);
            e.set();
        });
    };
    run(parent);
    EXPECT_EQ(woken, 100);
}
TEST_F(Event, AnyOfTheWaitersCanBeCancelled) {
    for (int victims = 0; victims < 16; ++victims) {
        event e;
        std::vector<future<void>> all;
        for (int i = 0; i < 4; ++i)
            all.push_back(rt_.submit([&]() -> task<> { co_await e.wait(); }));
        advance(1ms);
        for (int i = 0; i < 4; ++i)
            if (victims & (1 << i)) all[static_cast<std::size_t>(i)].cancel();
        advance(1ms);
        e.set();
        advance(1ms);
        for (int i = 0; i < 4; ++i)
            EXPECT_EQ(all[static_cast<std::size_t>(i)].status(),
                      victims & (1 << i) ? task_status::cancelled : task_status::done);
    }
}
TEST_F(Event, R024_SetBeforeTheCancelIsDelivered) {
    event e;
    bool passed = false;
    auto f = rt_.submit([&]() -> task<> {
        co_await e.wait();
        passed = true;
        co_await checkpoint();
        passed = false;
    });
    advance(1ms);
    e.set();
    f.cancel();
    advance(1ms);
    EXPECT_TRUE(passed);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Event, R024_CancelBeforeTheSetWithdrawsTheWait) {
    event e;
    bool passed = false;
    auto f = rt_.submit([&]() -> task<> {
        co_await e.wait();
        passed = true;
    });
    advance(1ms);
    f.cancel();
    advance(1ms);
    e.set();
    EXPECT_FALSE(passed);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
// The woken tasks have not looked yet when the event is reset and one of them is cancelled: it was woken all the same.
TEST_F(Event, R024_ResetDoesNotTakeBackAWakeUp) {
    event e;
    int passed = 0;
    std::vector<future<void>> all;
    for (int i = 0; i < 3; ++i) {
        all.push_back(rt_.submit([&]() -> task<> {
            co_await e.wait();
            ++passed;
        }));
    }
    advance(1ms);
    e.set();
    e.reset();
    all[1].cancel();
    advance(1ms);
    EXPECT_EQ(passed, 3);
    EXPECT_EQ(all[1].status(), task_status::done);
}
TEST_F(Event, WokenTaskMayFreeTheEvent) {
    auto e = std::make_unique<event>();
    auto f = rt_.submit([&]() -> task<> {
        co_await e->wait();
        e.reset();
    });
    advance(1ms);
    e->set();
    advance(1ms);
    EXPECT_EQ(e, nullptr);
    EXPECT_EQ(f.status(), task_status::done);
}
TEST_F(Event, BudgetRunsOutAtASetEventWithoutHarm) {
    event e;
    e.set();
    auto body = [&]() -> task<int> {
        int n = 0;
        for (; n < 3 * detail::await_budget; ++n)
            co_await e.wait();
        co_return n;
    };
    EXPECT_EQ(run(body), 3 * detail::await_budget);
}
} // namespace
