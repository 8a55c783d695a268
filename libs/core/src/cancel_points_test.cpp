// Groups, scopes, cleanup and futures, each cancelled at every point where a task suspends.
#include "core_test.hpp"

namespace {
using namespace core_test;
using tenure::core::testing::cancel_at_every_point;
using tenure::core::testing::require;

/// Something that must be given back, as a pool would count it.
struct lent_items {
    int out = 0;
    void take() { ++out; }
    void give_back() { --out; }
    auto all_back() {
        return [this] { require(out == 0, "an item was not given back"); };
    }
};
struct loan {
    lent_items& of;
    explicit loan(lent_items& l) : of(l) { of.take(); }
    loan(const loan&) = delete;
    loan& operator=(const loan&) = delete;
    ~loan() { of.give_back(); }
};

TEST(CancelAtEveryPoint, R112_CountsThePointsOfATest) {
    EXPECT_EQ(cancel_at_every_point([]() -> task<> { co_return; }),
              1u); // before it starts; then it has ended
    EXPECT_EQ(cancel_at_every_point([]() -> task<> {
                  co_await yield();
                  co_await checkpoint(); // ready awaits count
                  co_await sleep_for(1h);
              }),
              1u + 3u);
}
TEST(CancelAtEveryPoint, R112_FindsAnItemThatOnlyTheHappyPathGivesBack) {
    lent_items items;
    const std::string text = thrown_by([&] {
        cancel_at_every_point(
            [&]() -> task<> {
                items.take();
                co_await sleep_for(1s);
                items.give_back();
            },
            items.all_back());
    });
    EXPECT_EQ(text.find("cancelled at suspension 1: an item was not given back (cancel_points_test.cpp:"), 0u)
        << text;
    EXPECT_NE(text.find("\nat that point 1 task lives\n"), std::string::npos) << text;
    EXPECT_NE(text.find("at cancel_points_test.cpp:"), std::string::npos) << text;
}
TEST(CancelAtEveryPoint, R112_AcceptsTheSameWithAnOwner) {
    lent_items items;
    EXPECT_GE(cancel_at_every_point(
                  [&]() -> task<> {
                      const loan l(items);
                      co_await sleep_for(1s);
                  },
                  items.all_back()),
              2u);
}
TEST(CancelAtEveryPoint, R112_FindsATaskThatWaitsForTheOneThatWasCancelled) {
    const std::string text = thrown_by([] {
        auto done = std::make_shared<event>();
        cancel_at_every_point([&](runtime& rt) -> task<> {
            done->reset();
            auto waits = [done]() -> task<> { co_await done->wait(); };
            (void)rt.submit({.name = "waits for ever"}, waits);
            co_await sleep_for(1s);
            done->set();
        });
    });
    EXPECT_NE(text.find("a task outlived the test"), std::string::npos) << text;
    EXPECT_NE(text.find("'waits for ever'"), std::string::npos) << text;
}
TEST(CancelAtEveryPoint, R112_FindsAFailureOfCleanup) {
    const std::string text = thrown_by([] {
        cancel_at_every_point([]() -> task<> {
            bool finished = false;
            auto cleanup = [&finished]() -> task<> {
                require(finished, "cleanup before the end");
                co_return;
            };
            auto body = [&finished]() -> task<> {
                co_await sleep_for(1s);
                finished = true;
            };
            co_await with_cleanup(1s, body, cleanup);
        });
    });
    EXPECT_NE(text.find("cleanup before the end (cancel_points_test.cpp:"), std::string::npos) << text;
}
TEST(CancelAtEveryPoint, R112_FindsATestThatDoesNotEnd) {
    const std::string text = thrown_by([] {
        cancel_at_every_point([]() -> task<> {
            event set;
            auto body = [&](group g) -> task<> {
                (void)g.spawn(set_after, 1s, std::ref(set));
                // The setter is cancelled with us, and the shield waits for it without end.
                co_await shield(tenure::base::duration::max(), wait_for, std::ref(set));
            };
            co_await with_group(body);
        });
    });
    EXPECT_NE(text.find("deadlock"), std::string::npos) << text;
    EXPECT_NE(text.find("shield"), std::string::npos) << text;
}
TEST(CancelAtEveryPoint, R112_ATestThatFailsUncancelledIsToldApart) {
    const std::string text =
        thrown_by([] { cancel_at_every_point([]() -> task<> { co_await fail_later(1s, "always"); }); });
    EXPECT_EQ(text, "not cancelled: always");
}

// The scopes of this library, as its users combine them.
class EveryPoint : public ::testing::Test {
protected:
    lent_items items_;
    /// Cancelled anywhere, it gives back what it holds and leaves nothing behind.
    template <class F>
    void check(F test, std::size_t at_least) {
        EXPECT_GE(cancel_at_every_point(std::move(test), items_.all_back()), at_least);
    }
};

TEST_F(EveryPoint, R063_GroupOfChildrenThatSpawnChildren) {
    struct tree {
        static task<> grow(lent_items& items, int depth) {
            const loan l(items);
            co_await sleep_for(depth * 1ms);
            if (depth == 0) co_return;
            auto body = [&items, depth](group g) -> task<> {
                (void)g.spawn(grow, std::ref(items), depth - 1);
                (void)g.spawn(grow, std::ref(items), depth - 1);
                co_await yield();
            };
            co_await with_group(body);
        }
    };
    check([&]() { return tree::grow(items_, 3); }, 30);
}
TEST_F(EveryPoint, R064_GroupThatAFailureCancels) {
    check(
        [&]() -> task<> {
            const loan outer(items_);
            auto body = [&](group g) -> task<> {
                (void)g.spawn([&]() -> task<> {
                    const loan l(items_);
                    co_await sleep_for(1h);
                });
                co_await sleep_for(1ms);
                throw my_error("expected");
            };
            auto o = co_await as_outcome(with_group(body));
            require(!o.has_value(), "the failure was lost");
        },
        5);
}
TEST_F(EveryPoint, R055_TimeoutsInsideTimeouts) {
    check(
        [&]() -> task<> {
            auto work = [&]() -> task<> {
                const loan l(items_);
                (void)co_await move_on_after(2ms, nap, 1h);
                co_await nap(1ms);
            };
            co_await with_timeout(1s, work);
            (void)co_await move_on_after(1ms, work);
        },
        6);
}
TEST_F(EveryPoint, R029_CleanupThatWaitsUnderAShield) {
    check(
        [&]() -> task<> {
            items_.take();
            auto give_back = [](lent_items& items) -> task<> {
                co_await nap(2ms);
                items.give_back();
            };
            co_await defer(1s, give_back, std::ref(items_));
            const loan l(items_);
            co_await shield(1s, nap, 3ms);
            co_await nap(1ms);
        },
        6);
}
TEST_F(EveryPoint, R092_CleanupThatBorrowsLocalsOfAGroup) {
    check(
        [&]() -> task<> {
            auto child = [&]() -> task<> {
                auto body = [&]() -> task<> {
                    items_.take();
                    co_await nap(1ms);
                };
                auto cleanup = [&]() -> task<> {
                    co_await nap(1ms);
                    if (items_.out > 0) items_.give_back();
                };
                co_await with_cleanup(1s, body, cleanup);
            };
            auto group_body = [&](group g) -> task<> {
                (void)g.spawn(child);
                co_await nap(5ms);
                (void)g.spawn(child);
            };
            co_await with_group(group_body);
        },
        8);
}
TEST_F(EveryPoint, R005_FuturesThatAreAwaitedTakenAndJoined) {
    check(
        [&]() -> task<> {
            auto body = [&](group g) -> task<> {
                auto a = g.spawn(give_later, 1ms, 1);
                auto b = g.spawn([&]() -> task<int> {
                    const loan l(items_);
                    co_return co_await a + 1;
                });
                require(co_await std::move(b) == 2, "not the sum");
                auto c = g.spawn(nap, 1h);
                co_await c.cancel_and_join();
                require(co_await c.join() == task_status::cancelled, "c went on");
            };
            co_await with_group(body);
        },
        8);
}
TEST_F(EveryPoint, R020_BodyThatObservesItsCancellationAndGoesOn) {
    check(
        [&]() -> task<> {
            for (int i = 0; i < 3; ++i) {
                const loan l(items_);
                (void)co_await as_outcome(nap(1ms));
            }
        },
        4);
}
TEST_F(EveryPoint, R024_EventsAreNotLostBetweenWaiters) {
    check(
        [&]() -> task<> {
            event ready;
            auto waiter = [&]() -> task<> {
                const loan l(items_);
                co_await ready.wait();
            };
            auto body = [&](group g) -> task<> {
                (void)g.spawn(waiter);
                (void)g.spawn(waiter);
                co_await nap(1ms);
                ready.set();
            };
            co_await with_group(body);
        },
        6);
}

} // namespace
