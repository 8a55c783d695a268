#include "core_test.hpp"

#include <tenure/core/channel.hpp>

#include <deque>
#include <memory>
#include <numeric>
#include <random>
#include <thread>

namespace {
using namespace core_test;
using tenure::core::testing::require;

struct Channel : virtual_test {};

task<> send_all(channel<int> to, int from, int until) {
    for (int i = from; i < until; ++i)
        co_await to.send(i);
}
task<> send_all_and_close(channel<int> to, int from, int until) {
    co_await send_all(to, from, until);
    to.close();
}
task<> receive_all(channel<int> from, std::vector<int>& into) {
    while (auto v = co_await from.receive())
        into.push_back(*v);
}
std::vector<int> numbers(int from, int until) {
    std::vector<int> all(static_cast<std::size_t>(until - from));
    std::iota(all.begin(), all.end(), from);
    return all;
}

TEST_F(Channel, ItemsArriveInOrderWhateverTheCapacity) {
    for (const std::size_t capacity : {0u, 1u, 2u, 3u, 5u, 64u}) {
        channel<int> c(capacity);
        EXPECT_EQ(c.capacity(), capacity);
        std::vector<int> got;
        run([&]() -> task<> {
            co_await with_group([&](group g) -> task<> {
                (void)g.spawn(send_all_and_close, c, 0, 200);
                (void)g.spawn(receive_all, c, std::ref(got));
                co_return;
            });
        });
        EXPECT_EQ(got, numbers(0, 200)) << capacity;
    }
}
TEST_F(Channel, R095_SenderIsNeverMoreThanTheCapacityAhead) {
    for (const std::size_t capacity : {0u, 1u, 3u, 4u}) {
        channel<int> c(capacity);
        int sent = 0;
        auto producer = [&]() -> task<> {
            for (;;) {
                co_await c.send(sent);
                ++sent;
            }
        };
        auto f = rt_.submit(producer);
        for (int received = 0; received < 20; ++received) {
            advance(1s);
            EXPECT_EQ(sent, received + static_cast<int>(capacity));
            EXPECT_EQ(c.size(), capacity);
            EXPECT_EQ(c.try_receive(), received);
        }
        f.cancel();
        advance(1s);
    }
}
TEST_F(Channel, CloseLetsWhatIsInsideOutAndNothingIn) {
    channel<int> c(4);
    int one = 1;
    EXPECT_TRUE(c.try_send(one));
    EXPECT_TRUE(c.try_send(2));
    EXPECT_FALSE(c.closed());
    EXPECT_TRUE(c.close());
    EXPECT_FALSE(c.close());
    EXPECT_TRUE(c.closed());
    EXPECT_FALSE(c.try_send(3));
    const std::string text = thrown_by([&] { run([&]() -> task<> { co_await c.send(4); }); });
    EXPECT_EQ(text, "send: the channel is closed; nothing more can be sent through it");
    std::vector<int> got;
    run(receive_all, c, std::ref(got));
    EXPECT_EQ(got, (std::vector{1, 2}));
    EXPECT_EQ(run([&]() -> task<bool> { co_return (co_await c.receive()).has_value(); }), false);
}
TEST_F(Channel, CloseWakesAllThatWait) {
    for (const std::size_t capacity : {0u, 1u}) {
        channel<int> empty(capacity), full(capacity);
        if (capacity > 0) {
            EXPECT_TRUE(full.try_send(0));
        }
        int ended = 0, refused = 0;
        for (int i = 0; i < 5; ++i) {
            (void)rt_.submit([&]() -> task<> { ended += !(co_await empty.receive()).has_value(); });
            (void)rt_.submit([&]() -> task<> {
                try {
                    co_await full.send(1);
                } catch (const closed_error&) {
                    ++refused;
                }
            });
        }
        advance(1s);
        EXPECT_EQ(ended + refused, 0);
        empty.close();
        full.close();
        advance(1s);
        EXPECT_EQ(ended, 5);
        EXPECT_EQ(refused, 5);
    }
}
TEST_F(Channel, WithoutCapacitySendReturnsWhenTheItemIsReceived) {
    channel<int> c(0);
    EXPECT_FALSE(c.try_send(1));
    EXPECT_FALSE(c.try_receive().has_value());
    bool sent = false;
    auto f = rt_.submit([&]() -> task<> {
        co_await c.send(7);
        sent = true;
    });
    advance(1s);
    EXPECT_FALSE(sent);
    EXPECT_EQ(c.size(), 0u);
    EXPECT_EQ(c.try_receive(), 7);
    advance(1s);
    EXPECT_TRUE(sent);
    std::optional<int> got;
    (void)rt_.submit([&]() -> task<> { got = co_await c.receive(); });
    advance(1s);
    EXPECT_TRUE(c.try_send(8));
    advance(1s);
    EXPECT_EQ(got, 8);
}
TEST_F(Channel, WhoWaitsLongestIsServedFirst) {
    for (const std::size_t capacity : {0u, 2u}) {
        channel<int> c(capacity);
        std::vector<int> order;
        for (int i = 0; i < 4; ++i) {
            (void)rt_.submit([&, i]() -> task<> {
                (void)co_await c.receive();
                order.push_back(i);
            });
            advance(1s);
        }
        for (int i = 0; i < 4; ++i) {
            EXPECT_TRUE(c.try_send(i));
            advance(1s);
        }
        EXPECT_EQ(order, (std::vector{0, 1, 2, 3}));
    }
}
TEST_F(Channel, R096_CancelOfAWaitingReceiverLosesNoItem) {
    for (const std::size_t capacity : {0u, 1u, 2u}) {
        for (int when = 0; when < 2; ++when) { // before the item is sent, and between that and the wake-up
            channel<int> c(capacity);
            std::optional<int> first, second;
            auto a = rt_.submit([&]() -> task<> { first = co_await c.receive(); });
            auto b = rt_.submit([&]() -> task<> { second = co_await c.receive(); });
            advance(1s);
            if (when == 0) a.cancel();
            EXPECT_TRUE(c.try_send(1));
            if (when == 1) a.cancel();
            advance(1s);
            ASSERT_TRUE(first || second) << "lost, with capacity " << capacity;
            EXPECT_NE(first.has_value(), second.has_value());
            if (capacity > 0) { // a buffered item stays for whoever was not cancelled
                EXPECT_EQ(second, 1);
            }
            if (!second) b.cancel();
            advance(1s);
            EXPECT_EQ(c.size(), 0u);
        }
    }
}
TEST_F(Channel, CancelOfAWaitingSenderLeavesTheChannelAsItWas) {
    for (const std::size_t capacity : {0u, 1u}) {
        channel<int> c(capacity);
        if (capacity > 0) {
            EXPECT_TRUE(c.try_send(1));
        }
        auto a = rt_.submit([&]() -> task<> { co_await c.send(2); });
        auto b = rt_.submit([&]() -> task<> { co_await c.send(3); });
        advance(1s);
        a.cancel();
        advance(1s);
        EXPECT_EQ(a.status(), task_status::cancelled);
        if (capacity > 0) {
            EXPECT_EQ(c.try_receive(), 1);
        }
        advance(1s);
        EXPECT_EQ(c.try_receive(), 3);
        EXPECT_FALSE(c.try_receive().has_value());
        advance(1s);
        EXPECT_EQ(b.status(), task_status::done);
    }
}
TEST_F(Channel, ReceiverWithATimeLimitLeavesTheItem) {
    channel<int> c(1);
    auto body = [&]() -> task<> {
        const auto none =
            co_await as_outcome(with_timeout(1s, [&]() -> task<> { (void)co_await c.receive(); }));
        EXPECT_TRUE(none.has_failed());
        co_await c.send(5);
        EXPECT_EQ(co_await c.receive(), 5);
    };
    run(body);
}
TEST_F(Channel, ItemsNeedOnlyBeMovableAndDieWithTheChannel) {
    struct item {
        std::unique_ptr<int> number;
        counted one;
        item(int n, tally& t) : number(std::make_unique<int>(n)), one(t) {}
        item(item&&) noexcept = default;
    };
    {
        channel<item> c(3);
        run([&]() -> task<> {
            for (int i = 0; i < 3; ++i)
                co_await c.send(item(i, objects_));
            auto first = co_await c.receive();
            EXPECT_EQ(*first->number, 0);
        });
        EXPECT_EQ(objects_.alive, 2);
        item rejected(9, objects_);
        EXPECT_TRUE(c.try_send(rejected));
        EXPECT_EQ(rejected.number, nullptr);
        item kept(10, objects_);
        EXPECT_FALSE(c.try_send(kept));
        EXPECT_EQ(*kept.number, 10); // untouched: there was no room
    }
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Channel, LastHandleMayGoWhileATaskWaits) {
    auto c = std::make_unique<channel<int>>(1);
    auto f = rt_.submit([](channel<int>* in) -> task<> { (void)co_await in->receive(); }, c.get());
    advance(1s);
    c.reset();
    f.cancel();
    advance(1s);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Channel, ReceiveCanBeAwaitedAgainAndSendCannot) {
    channel<std::unique_ptr<int>> c(2);
    run([&]() -> task<> {
        co_await c.send(std::make_unique<int>(1));
        co_await c.send(std::make_unique<int>(2));
        c.close();
        std::vector<int> got;
        auto op = c.receive();
        while (auto v = co_await op)
            got.push_back(**v);
        EXPECT_EQ(got, (std::vector{1, 2}));
    });
    channel<int> d(4);
    auto twice = [&]() -> task<> {
        auto op = d.send(1);
        co_await op;
        co_await op;
    };
    EXPECT_THROW(run(std::ref(twice)), usage_error);
    EXPECT_EQ(d.size(), 1u);
}
TEST_F(Channel, WaitThatNobodyCanEndIsADeadlock) {
    channel<int> c(1);
    EXPECT_THROW(run([&]() -> task<> { (void)co_await c.receive(); }), deadlock_error);
}
TEST_F(Channel, BlockingCallInACoroutineIsRefused) {
    channel<int> c(0);
    const std::string text = thrown_by([&] {
        run([&]() -> task<> {
            c.blocking_send(1);
            co_return;
        });
    });
    EXPECT_NE(text.find("co_await"), std::string::npos) << text;
}
TEST_F(Channel, CapacityThatCannotBeMeantIsRefused) {
    EXPECT_THROW(channel<int>(static_cast<std::size_t>(-1)), usage_error);
}

struct counted_pause {
    static inline int n = 0;
    static void pause() noexcept { ++n; }
};
TEST(StepBack, PausesOnceForManyItemsAndLessAndLessInVain) {
    counted_pause::n = 0;
    tenure::core::detail::basic_step_back<counted_pause> side;
    constexpr std::size_t least = decltype(side)::least;
    EXPECT_FALSE(side.paused(0)) << "at the first item nobody is ahead";
    EXPECT_FALSE(side.paused(least - 1));
    EXPECT_TRUE(side.paused(least));
    side.found(true);
    EXPECT_FALSE(side.paused(2 * least - 1)) << "a single item is not held up";
    EXPECT_TRUE(side.paused(2 * least));
    side.found(false);
    EXPECT_FALSE(side.paused(3 * least)) << "the last one was in vain";
    EXPECT_TRUE(side.paused(4 * least));
    side.found(true);
    EXPECT_TRUE(side.paused(5 * least)) << "the last one was not";
    EXPECT_EQ(counted_pause::n, 4);

    counted_pause::n = 0;
    std::size_t items = 5 * least;
    for (int i = 0; i < 100'000; ++i, items += least)
        if (side.paused(items)) side.found(false);
    EXPECT_LE(counted_pause::n, 20) << "in vain: as on the only worker";
}
// What a channel must do, in one thread and one place: a queue, with who waits at its ends.
TEST(ChannelOrder, R112_EveryItemArrivesOnceInEveryOrderAndUnderEveryCancel) {
    for (std::uint64_t seed = 1; seed <= 10'000; ++seed)
        tenure::core::testing::run(seed, [seed]() -> task<> {
            std::mt19937_64 draw(seed);
            const std::size_t capacity = draw() % 4;
            const int senders = 1 + static_cast<int>(draw() % 3),
                      receivers = 1 + static_cast<int>(draw() % 3);
            const int each = 1 + static_cast<int>(draw() % 12);
            channel<int> c(capacity);
            std::vector<std::vector<int>> got(static_cast<std::size_t>(receivers) + 1);
            std::vector<int> sent(static_cast<std::size_t>(senders), 0);
            auto producer = [&](int who) -> task<> {
                for (int i = 0; i < each; ++i) {
                    co_await c.send(who * 1000 + i);
                    ++sent[static_cast<std::size_t>(who)];
                }
            };
            auto consumer = [&](std::size_t who) -> task<> {
                for (;;) {
                    auto v = co_await c.receive();
                    if (!v) co_return;
                    got[who].push_back(*v);
                }
            };
            co_await with_group([&](group g) -> task<> {
                std::vector<future<void>> from, to;
                for (int i = 0; i < senders; ++i)
                    from.push_back(g.spawn(producer, i));
                for (std::size_t i = 0; i < static_cast<std::size_t>(receivers); ++i)
                    to.push_back(g.spawn(consumer, i));
                for (auto n = draw() % 20; n > 0; --n)
                    co_await yield();
                for (auto& f : to)
                    if (draw() % 2) f.cancel(); // at whatever point it has come to
                for (auto& f : from)
                    if (draw() % 4 == 0) f.cancel();
                (void)g.spawn(consumer, static_cast<std::size_t>(receivers)); // whom nobody cancels
                for (auto& f : from)
                    (void)co_await f.join();
                c.close();
            });
            std::vector<int> all;
            for (const auto& part : got) {
                std::vector<int> last(static_cast<std::size_t>(senders), -1);
                for (const int v : part) {
                    auto& before = last[static_cast<std::size_t>(v / 1000)];
                    require(v % 1000 > before, "out of order");
                    before = v % 1000;
                    all.push_back(v);
                }
            }
            std::sort(all.begin(), all.end());
            require(std::adjacent_find(all.begin(), all.end()) == all.end(), "received twice");
            // Whoever was cancelled with an item in its hands has noted it before it ended, and so has who had sent one.
            require(static_cast<int>(all.size()) == std::accumulate(sent.begin(), sent.end(), 0),
                    "lost, or made up");
        });
}

/// All items, each receiver's own in order by sender, each once.
void expect_all(const std::vector<std::vector<int>>& got, int each, int all) {
    std::vector<int> seen;
    for (const auto& part : got) {
        std::vector<int> last(static_cast<std::size_t>(all / each), -1);
        for (const int v : part) {
            auto& before = last[static_cast<std::size_t>(v / each)];
            EXPECT_GT(v, before);
            before = v;
            seen.push_back(v);
        }
    }
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, numbers(0, all));
}
TEST(ChannelThreads, EveryItemArrivesOnceAndInOrder) {
    for (const std::size_t capacity : {0u, 1u, 3u, 64u}) {
        runtime rt({.threads = 2});
        constexpr int senders = 3, each = 2000;
        const channel<int> c(capacity);
        std::vector<std::vector<int>> got(4);
        std::thread outside([&] {
            while (auto v = c.blocking_receive())
                got[3].push_back(*v);
        });
        auto send_everything = [&](group from) -> task<> {
            for (int s = 1; s < senders; ++s)
                (void)from.spawn(send_all, c, s * each, (s + 1) * each);
            (void)from.spawn([&] { // a plain function that blocks
                for (int i = 0; i < each; ++i)
                    c.blocking_send(i);
            });
            co_return;
        };
        auto app = [&](group g) -> task<> {
            for (std::size_t r = 0; r < 3; ++r)
                (void)g.spawn(receive_all, c, std::ref(got[r]));
            co_await with_group(std::ref(send_everything));
            c.close();
        };
        rt.block_on([&]() -> task<> { co_await with_group(std::ref(app)); });
        outside.join();
        expect_all(got, each, senders * each);
    }
}
TEST(ChannelThreads, R096_CancelledReceiversLoseNothing) {
    for (const std::size_t capacity : {1u, 2u, 16u}) {
        runtime rt({.threads = 2});
        const channel<int> c(capacity);
        constexpr int all = 5000;
        std::atomic<int> received{0};
        auto one = [&]() -> task<> {
            if (co_await c.receive()) ++received;
        };
        // Each takes one item, or is cancelled while it waits; one that is woken and then cancelled must leave it to others.
        auto churn = [&](group g) -> task<> {
            auto from = g.spawn(send_all_and_close, c, 0, all);
            while (from.status() == task_status::pending || c.size() > 0) {
                auto a = g.spawn(std::ref(one));
                auto b = g.spawn(std::ref(one));
                co_await yield();
                a.cancel();
                (void)co_await a.join();
                (void)co_await b.join();
            }
        };
        rt.block_on([&]() -> task<> { co_await with_group(std::ref(churn)); });
        EXPECT_EQ(received, all);
    }
}
} // namespace
