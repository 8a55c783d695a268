#include "core_test.hpp"

#include <tenure/core/select.hpp>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

namespace {
using namespace core_test;
using tenure::core::testing::cancel_at_every_point;
using tenure::core::testing::require;

struct Select : virtual_test {};

TEST_F(Select, R111_TakesWhatIsReadyAndLeavesTheRest) {
    channel<int> a(1), b(1), full(1);
    EXPECT_TRUE(b.try_send(7));
    EXPECT_TRUE(full.try_send(0));
    run([&]() -> task<> {
        auto r = co_await select_any(a.receive(), b.receive(), full.send(1), sleep_for(1h));
        EXPECT_EQ(r.index(), 1u);
        EXPECT_EQ(std::get<1>(r), 7);
    });
    EXPECT_EQ(elapsed(), 0s);
    EXPECT_EQ(full.try_receive(), 0);
    EXPECT_FALSE(full.try_receive().has_value());
}
TEST_F(Select, R111_OfTwoReceivesThatAreReadyOneIsTakenAndTheOtherLosesNothing) {
    for (const std::size_t capacity : {0u, 1u}) {
        channel<int> a(capacity), b(capacity);
        auto sender = [](channel<int> c, int v) -> task<> { co_await c.send(v); };
        (void)rt_.submit(sender, a, 1);
        (void)rt_.submit(sender, b, 2);
        advance(1s);
        int taken = 0;
        run([&]() -> task<> {
            auto r = co_await select_any(a.receive(), b.receive());
            taken = r.index() == 0 ? *std::get<0>(r) : *std::get<1>(r);
        });
        EXPECT_EQ(taken == 1 ? b.try_receive() : a.try_receive(), 3 - taken);
        EXPECT_FALSE(a.try_receive().has_value());
        EXPECT_FALSE(b.try_receive().has_value());
        advance(1s);
    }
}
TEST_F(Select, R111_WaitsForTheFirstOfAllKindsOfArm) {
    enum { receive, send, time, end, cancel };
    for (const auto which : {receive, send, time, end, cancel}) {
        channel<int> in(0), out(0);
        event go;
        auto task_that_ends = rt_.submit([&]() -> task<> { co_await go.wait(); });
        const context c = rt_.context().with_cancel();
        auto all = [&]() -> task<std::size_t> {
            auto r = co_await select_any(in.receive(), out.send(5), sleep_for(which == time ? 2s : 2h),
                                         task_that_ends, c);
            if (r.index() == receive) {
                EXPECT_EQ(std::get<receive>(r), 9);
            }
            if (r.index() == cancel) {
                EXPECT_EQ(std::get<cancel>(r)->message, "enough");
            }
            co_return r.index();
        };
        auto f = rt_.submit(all);
        advance(1s);
        EXPECT_EQ(f.status(), task_status::pending);
        switch (which) {
        case receive: EXPECT_TRUE(in.try_send(9)); break;
        case send: EXPECT_EQ(out.try_receive(), 5); break;
        case time: break;
        case end: go.set(); break;
        case cancel: c.cancel("enough"); break;
        }
        advance(1s);
        EXPECT_EQ(f.take(), static_cast<std::size_t>(which));
        EXPECT_FALSE(in.try_send(1)) << "somebody still waits";
        EXPECT_FALSE(out.try_receive().has_value());
        EXPECT_EQ(rt_.audit().timers, 0u);
        EXPECT_EQ(rt_.audit().callbacks, 0u);
        go.set();
        advance(1s);
    }
}
TEST_F(Select, ArmsThatAreReadyBeforehandAreTaken) {
    auto ended = rt_.submit([] {});
    advance(1s);
    const context cancelled = rt_.context().with_cancel();
    cancelled.cancel();
    channel<int> closed(1);
    closed.close();
    run([&]() -> task<> {
        EXPECT_EQ((co_await select_any(ended)).index(), 0u);
        EXPECT_EQ((co_await select_any(cancelled)).index(), 0u);
        EXPECT_EQ((co_await select_any(sleep_for(-1s))).index(), 0u);
        EXPECT_EQ(std::get<0>(co_await select_any(closed.receive())), std::nullopt);
        const auto o = co_await as_outcome(select_any(closed.send(1)));
        EXPECT_TRUE(o.has_failed());
    });
}
TEST_F(Select, BiasedTakesTheFirstAndOtherwiseEachIsTakenAlike) {
    channel<int> a(1), b(1), c(1);
    std::map<std::size_t, int> fair, in_order;
    run([&]() -> task<> {
        for (int i = 0; i < 300; ++i) {
            EXPECT_TRUE(a.try_send(i) || a.size() == 1);
            EXPECT_TRUE(b.try_send(i) || b.size() == 1);
            EXPECT_TRUE(c.try_send(i) || c.size() == 1);
            ++fair[(co_await select_any(a.receive(), b.receive(), c.receive())).index()];
            EXPECT_TRUE(a.try_send(i) || a.size() == 1);
            ++in_order[(co_await select_any(biased, a.receive(), b.receive())).index()];
        }
    });
    EXPECT_EQ(fair.size(), 3u);
    for (const auto& [arm, times] : fair)
        EXPECT_NEAR(times, 100, 35) << arm; // the same in every run, on virtual time
    EXPECT_EQ(in_order, (std::map<std::size_t, int>{{0, 300}}));
}
TEST_F(Select, R111_EachIsAsLikelyAlsoWhereOthersAreNotReady) {
    channel<int> first(1), last(1), never(1);
    std::map<std::size_t, int> taken;
    run([&]() -> task<> {
        for (int i = 0; i < 400; ++i) {
            EXPECT_TRUE(first.try_send(i) || first.size() == 1);
            EXPECT_TRUE(last.try_send(i) || last.size() == 1);
            auto r = co_await select_any(first.receive(), never.receive(), never.receive(), never.receive(),
                                         last.receive());
            ++taken[r.index()];
        }
    });
    EXPECT_EQ(taken.size(), 2u);
    EXPECT_NEAR(taken[0], 200, 50);
}
TEST_F(Select, OperationWithANameLeavesNothingAfterItsEnd) {
    run([&]() -> task<> {
        channel<int> ready(1);
        EXPECT_TRUE(ready.try_send(1));
        const context c = context::current();
        auto op = select_any(ready.receive(), sleep_for(1h), c);
        EXPECT_EQ((co_await op).index(), 0u);
        EXPECT_EQ(rt_.audit().timers, 0u);
        EXPECT_EQ(rt_.audit().callbacks, 0u);
    });
}
TEST_F(Select, WhoIsWokenForNothingOvertakesNobodyElsewhere) {
    channel<int> x(1), y(0);
    std::optional<int> older;
    (void)rt_.submit([&]() -> task<> { older = co_await y.receive(); });
    advance(1s);
    auto s = rt_.submit([&]() -> task<> { (void)co_await select_any(x.receive(), y.receive()); });
    advance(1s);
    EXPECT_TRUE(x.try_send(1));
    EXPECT_EQ(x.try_receive(), 1); // before the one that was woken for it
    advance(1s);
    EXPECT_EQ(s.status(), task_status::pending);
    EXPECT_TRUE(y.try_send(2));
    advance(1s);
    EXPECT_EQ(older, 2);
    s.cancel();
    advance(1s);
}
TEST_F(Select, TwoSelectsMeetOnOneOfTwoChannelsWithoutBuffer) {
    channel<int> a(0), b(0);
    int sent = 0, received = 0;
    auto one = [&]() -> task<> {
        for (int i = 0; i < 50; ++i) {
            (void)co_await select_any(a.send(i), b.send(i));
            ++sent;
        }
    };
    auto other = [&]() -> task<> {
        for (int i = 0; i < 50; ++i) {
            auto r = co_await select_any(b.receive(), a.receive());
            EXPECT_EQ(r.index() == 0 ? std::get<0>(r) : std::get<1>(r), i);
            ++received;
        }
    };
    auto f = rt_.submit(one), g = rt_.submit(other);
    advance(1s);
    EXPECT_EQ(sent, 50);
    EXPECT_EQ(received, 50);
}
TEST_F(Select, OneChannelOnBothSidesDoesNotMeetItself) {
    channel<int> c(0);
    auto f = rt_.submit([&]() -> task<std::size_t> {
        auto r = co_await select_any(c.send(1), c.receive());
        co_return r.index();
    });
    advance(1s);
    EXPECT_EQ(f.status(), task_status::pending);
    EXPECT_TRUE(c.try_send(2));
    advance(1s);
    EXPECT_EQ(f.take(), 1u);
}
TEST_F(Select, ClosedChannelEndsASendThatWaits) {
    channel<int> c(0), other(0);
    auto f = rt_.submit([&]() -> task<> { (void)co_await select_any(c.send(1), other.receive()); });
    advance(1s);
    c.close();
    advance(1s);
    EXPECT_EQ(f.status(), task_status::failed);
    EXPECT_THROW(f.get(), closed_error);
}
TEST_F(Select, AwaitingOneselfIsRefused) {
    std::optional<future<void>> self;
    self = rt_.submit([&]() -> task<> { (void)co_await select_any(*self, sleep_for(1s)); });
    advance(1s);
    EXPECT_THROW(self->get(), usage_error);
}
TEST_F(Select, R112_CancelAtEveryPointLeavesNothing) {
    for (const std::size_t capacity : {0u, 1u}) {
        EXPECT_GE(cancel_at_every_point([capacity](runtime& rt) -> task<> {
                      channel<int> a(capacity), b(capacity);
                      const context c = rt.context().with_cancel();
                      auto body = [&](group g) -> task<> {
                          auto sleeper = g.spawn(nap, 3s);
                          (void)g.spawn(
                              [](channel<int> to) -> task<> {
                                  co_await sleep_for(1s);
                                  co_await to.send(1);
                              },
                              b);
                          auto r = co_await select_any(a.receive(), b.receive(), sleep_for(1h), sleeper, c);
                          require(r.index() == 1, "the other arms are not ready");
                      };
                      co_await with_group(std::ref(body));
                  }),
                  4u);
    }
}

// Selects over up to three channels with and without buffers, in 10,000 seeded orders, some cancelled: what was sent has
// been received once, or is still inside.
TEST(SelectOrder, R111_EveryItemIsTakenOnceInEveryOrder) {
    for (std::uint64_t seed = 1; seed <= 10'000; ++seed) {
        tenure::core::testing::run(seed, [seed]() -> task<> {
            std::mt19937_64 draw(seed);
            std::vector<channel<int>> c;
            for (int i = 0; i < 3; ++i)
                c.emplace_back(draw() % 3);
            std::vector<int> sent, received;
            int next = 0;
            auto sender = [&]() -> task<> {
                for (int i = 0; i < 5; ++i) {
                    const int v = next++;
                    (void)co_await select_any(c[0].send(v), c[1].send(v), c[2].send(v));
                    sent.push_back(v);
                }
            };
            auto receiver = [&](std::size_t from) -> task<> {
                for (;;) {
                    auto r = co_await select_any(c[from].receive(), c[(from + 1) % 3].receive());
                    const auto v = r.index() == 0 ? std::get<0>(r) : std::get<1>(r);
                    if (!v) break;
                    received.push_back(*v);
                }
                for (const std::size_t i : {from, (from + 1) % 3}) // all are closed
                    while (const auto v = co_await c[i].receive())
                        received.push_back(*v);
            };
            auto body = [&](group g) -> task<> {
                std::vector<future<void>> from;
                for (int i = 0; i < 3; ++i)
                    from.push_back(g.spawn(std::ref(sender)));
                std::vector<future<void>> to;
                for (std::size_t i = 0; i < 2; ++i)
                    to.push_back(g.spawn(std::ref(receiver), i));
                for (auto n = draw() % 30; n > 0; --n)
                    co_await yield();
                if (draw() % 2) to[draw() % 2].cancel();
                if (draw() % 2) from[draw() % 3].cancel();
                for (std::size_t i = 0; i < 3; ++i) // whom nobody cancels
                    (void)g.spawn(std::ref(receiver), i);
                for (auto& f : from)
                    (void)co_await f.join();
                for (auto& each : c)
                    each.close();
            };
            co_await with_group(std::ref(body));
            std::sort(sent.begin(), sent.end());
            std::sort(received.begin(), received.end());
            require(sent == received, "an item was lost, made up, or taken twice");
        });
    }
}

TEST(SelectThreads, R111_EveryItemIsTakenOnce) {
    for (const std::size_t capacity : {0u, 1u, 8u}) {
        runtime rt({.threads = 2});
        const channel<int> a(capacity), b(capacity), stop(0);
        constexpr int each = 2000, senders = 3;
        std::vector<std::vector<int>> got(3);
        auto sender = [&](int first) -> task<> {
            for (int i = first; i < first + each; ++i)
                (void)co_await select_any(a.send(i), b.send(i));
        };
        auto receiver = [&](std::size_t who) -> task<> {
            for (;;) {
                auto r = co_await select_any(a.receive(), b.receive(), stop.receive());
                if (r.index() == 2) co_return;
                const auto v = r.index() == 0 ? std::get<0>(r) : std::get<1>(r);
                if (!v) co_return;
                got[who].push_back(*v);
            }
        };
        auto send_all = [&](group g) -> task<> {
            for (int s = 0; s < senders; ++s)
                (void)g.spawn(std::ref(sender), s * each);
            co_return;
        };
        auto app = [&](group g) -> task<> {
            for (std::size_t r = 0; r < got.size(); ++r)
                (void)g.spawn(std::ref(receiver), r);
            co_await with_group(std::ref(send_all));
            while (a.size() + b.size() > 0)
                co_await yield();
            stop.close();
        };
        rt.block_on([&]() -> task<> { co_await with_group(std::ref(app)); });
        std::vector<int> all;
        for (const auto& part : got)
            all.insert(all.end(), part.begin(), part.end());
        std::sort(all.begin(), all.end());
        std::vector<int> expected(each * senders);
        std::iota(expected.begin(), expected.end(), 0);
        EXPECT_EQ(all, expected);
    }
}
TEST(SelectThreads, R111_TimersEndsAndCancellationsRace) {
    runtime rt({.threads = 2});
    std::map<std::size_t, int> seen;
    auto once = [&]() -> task<> {
        const channel<int> c(1);
        const context ctx = context::current();
        auto body = [&](group g) -> task<> {
            auto ends = g.spawn([] {});
            (void)g.spawn([&] { (void)c.try_send(1); });
            (void)g.spawn([&] { ctx.cancel(); });
            auto r = co_await select_any(ends, c.receive(), ctx, sleep_for(1us));
            ++seen[r.index()];
        };
        co_await with_group(std::ref(body));
    };
    for (int i = 0; i < 2000; ++i)
        rt.block_on(std::ref(once));
    int all = 0;
    for (const auto& [arm, times] : seen)
        all += times;
    EXPECT_EQ(all, 2000);
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_TRUE(rt.audit().clean());
}
} // namespace
