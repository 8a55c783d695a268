// Streams in every order, cancelled at every point, and on threads.
#include "stream_test.hpp"

#include <random>

namespace {
using namespace core_test;
using tenure::core::testing::cancel_at_every_point;

// Each form cancelled at every point, and in every order.
struct EveryPointOfAStream : ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Capacities, EveryPointOfAStream, ::testing::Values(0u, 1u, 3u));

TEST_P(EveryPointOfAStream, R093_ScopeLeavesNothing) {
    tally objects;
    const stream_options o{.capacity = GetParam(), .stall = 1min};
    auto produce = [&](sink<int> out) -> task<> {
        const counted local(objects);
        co_await defer(1min, nap, 1ms);
        for (int i = 0; i < 4; ++i) {
            co_await out.send(i);
            co_await nap(1ms);
        }
    };
    auto consume = [&](stream<int> s) -> task<> {
        const counted local(objects);
        for (int i = 0; i < 3; ++i)
            require(co_await s.next() == i, "not the next item");
        require(objects.alive == 2, "the producer has ended early");
    };
    const auto points = cancel_at_every_point(
        [&]() -> task<> {
            co_await with_stream(o, consume, produce);
            require(objects.alive == 0, "the producer lives on");
        },
        [&] { require(objects.alive == 0, "an object lives on"); });
    EXPECT_GE(points, 10u);
}
TEST_P(EveryPointOfAStream, R093_ObserverLeavesNothing) {
    const stream_options o{.capacity = GetParam(), .stall = 1min};
    auto body = [&](group g) -> task<> {
        auto a = spawn_stream(g, o, count_up, 5);
        auto b = spawn_stream(g, o, count_up, 1);
        require(co_await a.next() == 0);
        require(co_await b.next() == 0);
        require(!co_await b.next(), "no end");
        require(co_await a.next() == 1);
        co_await a.stop();
    };
    EXPECT_GE(cancel_at_every_point([&]() -> task<> { co_await with_group(body); }), 10u);
}

TEST_P(EveryPointOfAStream, R093_StepsLeaveNothing) {
    const stream_options o{.capacity = GetParam(), .stall = 1min};
    auto body = [&](group g) -> task<> {
        auto even = [](int i) { return i % 2 == 0; };
        auto half = [](int i) -> task<int> {
            co_await nap(1ms);
            co_return i / 2;
        };
        auto s = spawn_stream(g, o, count_up, 10).filter(even).map(half).take(3);
        for (int i = 0; i < 3; ++i)
            require(co_await s.next() == i, "not the next item");
        require(!co_await s.next(), "no end");
    };
    EXPECT_GE(cancel_at_every_point([&]() -> task<> { co_await with_group(body); }), 10u);
}

/// What a stream must do, in one thread and one place: its producer's items from the first on, without a gap, then how it
/// ended, as far as the consumer reads.
struct drawn_case {
    explicit drawn_case(std::uint64_t seed) : draw(seed) {}
    std::mt19937_64 draw;
    int below(int n) { return static_cast<int>(draw() % static_cast<unsigned>(n)); }
    std::size_t capacity = draw() % 4;
    int items = below(12), wanted = 1 + below(13);
    bool fails = below(2) == 0, cancels_consumer = below(3) == 0, scope = below(2) == 0, naps = below(2) == 0;
    int cancel_after = below(12);
};
TEST(StreamOrder, R094_WhatIsReadIsWhatWasSentInEveryOrderAndUnderEveryCancel) {
    for (std::uint64_t seed = 1; seed <= 10'000; ++seed)
        tenure::core::testing::run(seed, [seed]() -> task<> {
            drawn_case c(seed);
            std::vector<int> got;
            int sent = 0, failures = 0, ends = 0, alive = 0;
            auto produce = [&](sink<int> out) -> task<> {
                struct life {
                    int& n;
                    explicit life(int& i) : n(i) { ++n; }
                    life(const life&) = delete;
                    life& operator=(const life&) = delete;
                    ~life() { --n; }
                };
                const life here(alive);
                co_await defer(1min, nap, 1ms);
                for (int i = 0; i < c.items; ++i) {
                    co_await out.send(i);
                    ++sent;
                    if (c.naps) co_await nap(1ms);
                    require(sent <= static_cast<int>(got.size()) + static_cast<int>(c.capacity) + 1,
                            "too far ahead");
                }
                if (c.fails) throw my_error("expected");
            };
            auto consume = [&](stream<int> s) -> task<> {
                for (int i = 0; i < c.wanted; ++i) {
                    try {
                        if (auto v = co_await s.next())
                            got.push_back(*v);
                        else
                            ++ends;
                    } catch (const my_error&) {
                        require(ends == 0, "a failure after the end");
                        ++failures;
                    }
                }
            };
            auto whole = [&](group g) -> task<> {
                const stream_options o{.capacity = c.capacity, .stall = 1h};
                if (c.scope)
                    co_await with_stream(o, std::ref(consume), produce);
                else
                    co_await consume(spawn_stream(g, o, produce));
            };
            bool thrown = false;
            auto canceller = [&](group g) -> task<> {
                auto f = g.spawn([&]() -> task<> { co_await with_group(std::ref(whole)); });
                for (int n = c.cancel_after; n > 0 && c.cancels_consumer; --n)
                    co_await yield();
                if (c.cancels_consumer) f.cancel();
                (void)co_await f.join();
            };
            try {
                co_await with_group(std::ref(canceller));
            } catch (const my_error&) {
                thrown = true;
            }
            require(alive == 0, "the producer lives on");
            require(got == numbers(0, static_cast<int>(got.size())), "not what was sent");
            require(sent - static_cast<int>(got.size()) <= static_cast<int>(c.capacity), "too far ahead");
            require(failures + thrown <= 1, "the failure was told twice");
            if (!c.fails) require(failures + thrown == 0, "a failure of nobody");
            if (c.cancels_consumer) co_return;
            require(static_cast<int>(got.size()) == std::min(c.items, c.wanted), "lost");
            if (c.fails && c.wanted > c.items) {
                require(failures == 1 && !thrown, "the failure was not told");
                require(ends == c.wanted - c.items - 1, "not the end for ever");
            } else if (!c.fails) {
                require(ends == std::max(0, c.wanted - c.items), "not the end for ever");
            }
        });
}

// The same on threads.
TEST(StreamThreads, ItemsArriveInOrderAndTheFailureOnce) {
    for (const std::size_t capacity : {0u, 1u, 3u, 64u}) {
        runtime rt({.threads = 2});
        const stream_options o{.capacity = capacity, .stall = 1h};
        auto consume = [](stream<int> s) -> task<int> {
            int n = 0;
            bool failed = false;
            try {
                while (auto v = co_await s.next())
                    EXPECT_EQ(*v, n++);
            } catch (const my_error&) {
                failed = true;
            }
            EXPECT_TRUE(failed);
            EXPECT_FALSE(co_await s.next());
            co_return n;
        };
        EXPECT_EQ(rt.block_on([&]() -> task<int> {
            co_return co_await with_stream(o, consume, count_and_fail, 5000);
        }),
                  5000);
    }
}
TEST(StreamThreads, R093_AbandonedMidwayTheProducerHasEndedBeforeTheNextStatement) {
    runtime rt({.threads = 2});
    tally objects;
    auto produce = [](sink<int> out, counted) -> task<> { co_await count_for_ever(out); };
    auto app = [&]() -> task<> {
        for (int i = 0; i < 2000; ++i) {
            const stream_options o{.capacity = static_cast<std::size_t>(i % 4)};
            co_await with_stream(
                o, [i](stream<int> s) { return read_some(std::move(s), 1 + i % 7); }, produce,
                counted(objects));
            EXPECT_EQ(objects.alive, 0);
        }
    };
    rt.block_on(std::ref(app));
    rt.close();
    EXPECT_TRUE(rt.audit().clean());
}
TEST(StreamThreads, R094_FailureThatRacesWithTheConsumersLeavingIsToldOnce) {
    std::atomic<int> failures{0}, told{0};
    runtime rt({.threads = 2, .on_unread_failure = [&](const unread_failure&) { ++told; }});
    auto produce = [&](sink<int> out) -> task<> {
        co_await count_up(out, 3);
        ++failures;
        throw my_error("the source failed");
    };
    auto app = [&]() -> task<> {
        for (int i = 0; i < 3000; ++i) {
            auto leave = [i](stream<int> s) -> task<> {
                while (auto v = co_await s.next())
                    if (*v == 2 && i % 3 < 2) break; // the producer fails at this moment
            };
            auto scope = [&]() -> task<> { co_await with_stream(leave, produce); };
            told += (co_await as_outcome(scope())).has_failed();
            auto observer = [&](group g) -> task<> { co_await leave(spawn_stream(g, produce)); };
            auto observe = [&]() -> task<> { co_await with_group(observer); };
            told += (co_await as_outcome(observe())).has_failed();
            auto without_a_group = [&]() -> task<> { co_await leave(spawn_stream(rt, produce)); };
            told += (co_await as_outcome(without_a_group())).has_failed();
        }
    };
    rt.block_on(std::ref(app));
    rt.close();
    EXPECT_GE(failures, 3000);
    EXPECT_EQ(told, failures);
}
TEST(StreamThreads, R093_ConsumerThatLeavesWhileTheProducerIsWokenFailsNobody) {
    runtime rt({.threads = 2});
    for (int round = 0; round < 5000; ++round) {
        auto app = [&]() -> task<> {
            const stream_options o{.capacity = 1};
            auto some = [&](stream<int> s) -> task<> {
                for (int i = 0; i < 1 + round % 20; ++i)
                    (void)co_await s.next();
            };
            co_await with_stream(o, some, count_for_ever);
        };
        ASSERT_NO_THROW(rt.block_on(std::ref(app)));
    }
}
TEST(StreamThreads, PlainCodeIteratesAndMayLeaveEarly) {
    runtime rt({.threads = 2});
    for (const std::size_t capacity : {0u, 1u, 16u}) {
        auto s = spawn_stream(rt, {.capacity = capacity, .stall = 1h}, count_up, 3000);
        int n = 0;
        for (const int v : s)
            EXPECT_EQ(v, n++);
        EXPECT_EQ(n, 3000);
        EXPECT_FALSE(s.blocking_next());
        n = 0;
        for (const int v : spawn_stream(rt, count_for_ever)) {
            EXPECT_EQ(v, n);
            if (++n == 100) break;
        }
        auto failing = spawn_stream(rt, {.capacity = capacity}, count_and_fail, 10);
        n = 0;
        EXPECT_THROW(
            {
                for (const int v : failing)
                    EXPECT_EQ(v, n++);
            },
            my_error);
        EXPECT_EQ(n, 10);
    }
    rt.close();
    EXPECT_TRUE(rt.audit().clean());
}
TEST(StreamThreads, R098_PlainCodeHearsOfAStall) {
    for (bool begun = false; !begun;) { // it may have stalled before anybody began it
        bool cleaned = false;
        runtime rt({.threads = 2});
        auto s = spawn_stream(
            rt, {.stall = 1ms},
            [](sink<int>, bool& b, bool& c) -> task<> {
                b = true;
                co_await nap_and_clean_up(1ms, c);
            },
            std::ref(begun), std::ref(cleaned));
        EXPECT_THROW((void)s.blocking_next(), stalled_error);
        EXPECT_FALSE(s.blocking_next());
        rt.close();
        EXPECT_EQ(cleaned, begun);
    }
}
TEST(StreamThreads, HandleMayOutliveTheRuntime) {
    std::optional<stream<int>> s;
    {
        runtime rt({.threads = 1});
        s.emplace(spawn_stream(rt, {.capacity = 2, .stall = 1h}, count_up, 2));
        while (!s->blocking_next()) {}
        rt.close();
    }
    EXPECT_EQ(s->blocking_next(), 1);
    EXPECT_FALSE(s->blocking_next());
    EXPECT_THROW((void)std::move(*s).take(1), closed_error);
}

} // namespace
