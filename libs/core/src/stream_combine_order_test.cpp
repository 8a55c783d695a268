// Combined streams cancelled at every point, in every order, and on threads.
#include "stream_test.hpp"

#include <tenure/core/stream_combine.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace {
using namespace core_test;
using tenure::core::testing::cancel_at_every_point;

/// Counts up; its local is counted, and its cleanup takes a while.
task<> tidy(sink<int> out, tally& objects, int until) {
    const counted local(objects);
    co_await defer(1min, nap, 1ms);
    co_await count_up(out, until);
}

struct EveryPointOfACombination : ::testing::TestWithParam<std::size_t> {
    tally objects;
    stream_options options() const { return {.capacity = GetParam(), .stall = 1min}; }
    stream<int> source(const group& g, int until) {
        return spawn_stream(g, options(), tidy, std::ref(objects), until);
    }
    /// body(group), in a group that has left nothing when it has ended.
    template <class F>
    void check(F body) {
        auto scope = [&]() -> task<> {
            co_await with_group(std::ref(body));
            require(objects.alive == 0, "a producer lives on");
        };
        EXPECT_GE(cancel_at_every_point(scope, [&] { require(objects.alive == 0, "an object lives on"); }),
                  10u);
    }
};
INSTANTIATE_TEST_SUITE_P(Capacities, EveryPointOfACombination, ::testing::Values(0u, 1u, 3u));

TEST_P(EveryPointOfACombination, R093_MergeLeavesNothing) {
    check([&](group g) -> task<> {
        auto s = merge(source(g, 3), source(g, 9), source(g, 0));
        for (int i = 0; i < 6; ++i)
            require((co_await s.next()).has_value(), "an early end");
        co_await s.stop();
        require(objects.alive == 0, "a producer outlives stop()");
    });
}
TEST_P(EveryPointOfACombination, R093_ZipLeavesNothing) {
    check([&](group g) -> task<> {
        auto s = zip(source(g, 9), source(g, 2), stream_of(g, options(), std::vector<int>{0, 1, 2}));
        for (int i = 0; i < 2; ++i)
            require(co_await s.next() == std::tuple(i, i, i), "not the next item");
        require(!co_await s.next(), "no end");
    });
}
TEST_P(EveryPointOfACombination, R093_TeeLeavesNothing) {
    check([&](group g) -> task<> {
        auto [a, b] = tee(source(g, 9));
        require(co_await a.next() == 0);
        require(co_await b.next() == 0);
        { const auto dropped = std::move(a); }
        for (int i = 1; i < 4; ++i)
            require(co_await b.next() == i, "not the next item");
        co_await b.stop();
        require(objects.alive == 0, "the producer outlives stop()");
    });
}
TEST_P(EveryPointOfACombination, R093_BufferAndTimeoutEachLeaveNothing) {
    check([&](group g) -> task<> {
        auto s = source(g, 9).buffer(2).timeout_each(1h);
        for (int i = 0; i < 4; ++i)
            require(co_await s.next() == i, "not the next item");
    });
}
TEST_P(EveryPointOfACombination, R093_SourcesLeaveNothing) {
    check([&](group g) -> task<> {
        const channel<int> c(GetParam());
        auto from_channel = stream_of(g, options(), c);
        auto beat = ticks(g, 1ms);
        (void)g.spawn(
            [](channel<int> to) -> task<> {
                for (int i = 0; i < 3; ++i)
                    co_await to.send(i);
                to.close();
            },
            c);
        for (int i = 0; i < 3; ++i)
            require(co_await from_channel.next() == i, "not the next item");
        require(co_await beat.next() == 1u, "not the next tick");
        require(!co_await from_channel.next(), "no end");
    });
}
// What was taken out of the select is counted at once, so that at no point of cancellation an item is lost between the two.
TEST_P(EveryPointOfACombination, R096_SelectLosesNoItem) {
    check([&](group g) -> task<> {
        auto a = source(g, 4);
        auto b = source(g, 4);
        int next_a = 0, next_b = 0;
        auto both = [&]() -> task<> {
            for (int ends = 0; ends < 2;) {
                auto got = co_await select_any(a.next(), b.next(), sleep_for(1h));
                if (got.index() == 0 && std::get<0>(got)) require(*std::get<0>(got) == next_a++, "lost");
                if (got.index() == 1 && std::get<1>(got)) require(*std::get<1>(got) == next_b++, "lost");
                ends = next_a == 4 || next_b == 4 ? 2 : 0;
            }
        };
        for (int i = 0; i < 3; ++i) { // cut short in the middle of it
            auto some = [&]() -> task<> { co_await both(); };
            (void)co_await move_on_after(500us, some);
            if (next_a == 4 || next_b == 4) break;
        }
        while (next_a < 4)
            require(co_await a.next() == next_a++, "lost");
        while (next_b < 4)
            require(co_await b.next() == next_b++, "lost");
    });
}

/// A drawn program of streams, and what it must give when it is run by hand: one after the other, in one place.
struct tagged {
    int source, n;
};
struct drawn {
    explicit drawn(std::uint64_t seed) : draw(seed) {}
    std::mt19937_64 draw;
    int below(int n) { return static_cast<int>(draw() % static_cast<unsigned>(n)); }

    enum kind { plain, merged, zipped } how = static_cast<kind>(below(3));
    std::size_t capacity = draw() % 4;
    struct source {
        int items;
        bool fails, naps, of_range;
    };
    std::vector<source> sources = make_sources();
    bool evens = below(3) == 0, buffers = below(3) == 0, timed = below(3) == 0;
    int take = below(3) == 0 ? below(8) : 1000;
    int branches = below(3) == 0 ? 2 : 1;
    int wanted[2] = {1 + below(30), 1 + below(30)};
    bool cancels = below(4) == 0;
    int cancel_after = below(40);

    /// Of zip and of one alone, in order.
    std::vector<int> expected() const {
        int n = sources[0].items;
        for (const source& s : sources)
            n = std::min(n, s.items);
        std::vector<int> all;
        for (int i = 0; i < n && static_cast<int>(all.size()) < take; ++i)
            if (!evens || i % 2 == 0) all.push_back(i);
        return all;
    }
    /// Of merge: how many of one source.
    int expected_of(const source& s) const { return evens ? (s.items + 1) / 2 : s.items; }

private:
    std::vector<source> make_sources() {
        std::vector<source> all(how == plain ? 1 : static_cast<std::size_t>(1 + below(3)));
        for (source& s : all)
            s = {below(9), below(4) == 0, below(3) == 0, below(3) == 0};
        return all;
    }
};
struct source_failed : my_error {
    int source;
    explicit source_failed(int i) : my_error("a source failed"), source(i) {}
};
struct drawn_run {
    explicit drawn_run(std::uint64_t seed) : c(seed) {}
    drawn c;
    tally objects;
    std::set<int> failed;    // the sources that have failed
    std::map<int, int> told; // how often each failure was told
    std::vector<tagged> got[2];
    int ends[2] = {0, 0};

    void tell(const std::exception_ptr& e) {
        try {
            std::rethrow_exception(e);
        } catch (const source_failed& f) {
            ++told[f.source];
        } catch (const group_error& all) {
            for (const auto& each : all.errors())
                tell(each);
        }
    }
    stream<tagged> source(const group& g, int i) {
        const stream_options o{.capacity = c.capacity, .stall = 1h};
        const drawn::source& what = c.sources[static_cast<std::size_t>(i)];
        if (what.of_range)
            return stream_of(g, o,
                             std::views::iota(0, what.items + (what.fails ? 1 : 0)) |
                                 std::views::transform([this, i, &what](int n) {
                                     if (n == what.items) {
                                         failed.insert(i);
                                         throw source_failed(i);
                                     }
                                     return tagged{i, n};
                                 }));
        auto produce = [](sink<tagged> out, drawn_run& r, int number) -> task<> {
            const counted local(r.objects);
            const drawn::source& me = r.c.sources[static_cast<std::size_t>(number)];
            co_await defer(1min, nap, 1ms);
            for (int n = 0; n < me.items; ++n) {
                co_await out.send(tagged{number, n});
                if (me.naps) co_await nap(1ms);
            }
            if (me.fails) {
                r.failed.insert(number);
                throw source_failed(number);
            }
        };
        return spawn_stream(g, o, produce, std::ref(*this), i);
    }
    stream<tagged> combined(const group& g) {
        const int n = static_cast<int>(c.sources.size());
        if (c.how == drawn::merged) {
            std::vector<stream<tagged>> all;
            for (int i = 0; i < n; ++i)
                all.push_back(source(g, i));
            return merge(std::move(all));
        }
        if (n == 1) return source(g, 0);
        auto same = [](const tagged& a, const tagged& b) {
            require(a.n == b.n, "not the counterpart");
            return a;
        };
        auto of_two = [same](std::tuple<tagged, tagged> p) { return same(std::get<0>(p), std::get<1>(p)); };
        auto pairs = zip(source(g, 0), source(g, 1)).map(of_two);
        if (n == 2) return pairs;
        return zip(std::move(pairs), source(g, 2)).map(of_two);
    }
    task<> read(stream<tagged> s, int branch) {
        for (int i = 0; i < c.wanted[branch]; ++i) {
            try {
                if (auto v = co_await s.next()) {
                    require(ends[branch] == 0, "an item after the end");
                    got[branch].push_back(*v);
                } else {
                    ++ends[branch];
                }
            } catch (...) {
                require(ends[branch]++ == 0, "a failure after the end");
                if (branch == 0 || c.branches == 1) tell(std::current_exception());
            }
        }
    }
    task<> all(group g) {
        auto s = combined(g);
        if (c.evens) s = std::move(s).filter([](const tagged& t) { return t.n % 2 == 0; });
        if (c.buffers) s = std::move(s).buffer(2);
        if (c.take < 1000) s = std::move(s).take(static_cast<std::size_t>(c.take));
        if (c.timed) s = std::move(s).timeout_each(1h);
        if (c.branches == 1) co_return co_await read(std::move(s), 0);
        auto [a, b] = tee(std::move(s));
        (void)g.spawn([](drawn_run& r, stream<tagged>& from) { return r.read(std::move(from), 1); },
                      std::ref(*this), std::move(b));
        co_await read(std::move(a), 0);
    }
    task<> operator()() {
        auto scope = [&](group g) -> task<> { return all(std::move(g)); };
        auto canceller = [&](group g) -> task<> {
            auto f = g.spawn([&]() -> task<> { co_await with_group(std::ref(scope)); });
            for (int n = c.cancel_after; n > 0 && c.cancels; --n)
                co_await yield();
            if (c.cancels) f.cancel();
            (void)co_await f.join();
        };
        bool thrown = false;
        try {
            co_await with_group(std::ref(canceller));
        } catch (...) {
            tell(std::current_exception());
            thrown = true;
        }
        require(objects.alive == 0, "a producer lives on");
        for (const auto& [source, times] : told) {
            require(failed.contains(source), "a failure of nobody");
            require(times == 1 || c.branches == 2, "a failure was told twice");
        }
        for (const int source : failed)
            require(told.contains(source) || c.branches == 2 || c.cancels, "a failure was told to nobody");
        for (int branch = 0; branch < c.branches; ++branch)
            check(branch, thrown);
    }
    void check(int branch, bool thrown) {
        const auto& items = got[branch];
        const bool whole = !c.cancels && !thrown && failed.empty() && c.take == 1000 && ends[branch] > 0;
        require(static_cast<int>(items.size()) <= c.take, "too many");
        if (c.how == drawn::merged) {
            for (std::size_t i = 0; i < c.sources.size(); ++i) {
                std::vector<int> of_this;
                for (const tagged& t : items)
                    if (t.source == static_cast<int>(i)) of_this.push_back(c.evens ? t.n / 2 : t.n);
                require(of_this == numbers(0, static_cast<int>(of_this.size())),
                        "lost, doubled or out of order");
                const int expected = c.expected_of(c.sources[i]);
                require(whole ? static_cast<int>(of_this.size()) == expected
                              : static_cast<int>(of_this.size()) <= expected,
                        "not all of a source");
            }
            return;
        }
        const auto expected = c.expected();
        std::vector<int> seen;
        for (const tagged& t : items)
            seen.push_back(t.n);
        require(seen.size() <= expected.size() && std::equal(seen.begin(), seen.end(), expected.begin()),
                "not the items by hand");
        // A failure may only cut short what nobody has waited for any more.
        if (!c.cancels && !thrown && ends[branch] > 0) require(seen == expected, "items are missing");
    }
};
TEST(StreamOrder, R093_CombinedStreamsGiveWhatIsComputedByHandAndLeaveNothing) {
    for (std::uint64_t seed = 1; seed <= 10'000; ++seed)
        tenure::core::testing::run(seed, [seed]() -> task<> {
            drawn_run r(seed);
            co_await r();
        });
}

// On threads.
TEST(CombineThreads, MergeZipAndTeeOfManyItems) {
    runtime rt({.threads = 2});
    for (const std::size_t capacity : {0u, 1u, 64u}) {
        const stream_options o{.capacity = capacity, .stall = 1h};
        auto app = [&](group g) -> task<> {
            auto pairs = zip(spawn_stream(g, o, count_up, 2000), spawn_stream(g, o, count_up, 3000));
            auto [a, b] = tee(
                merge(spawn_stream(g, o, count_up, 2000), std::move(pairs).map([](std::tuple<int, int> p) {
                    EXPECT_EQ(std::get<0>(p), std::get<1>(p));
                    return std::get<0>(p);
                })));
            auto other = g.spawn([](stream<int>& s) { return std::move(s).collect(); }, std::move(b));
            const auto mine = co_await std::move(a).collect();
            EXPECT_EQ(mine.size(), 4000u);
            EXPECT_EQ(co_await other, mine);
        };
        rt.block_on([&]() -> task<> { co_await with_group(std::ref(app)); });
    }
    rt.close();
    EXPECT_TRUE(rt.audit().clean());
}
TEST(CombineThreads, R093_AbandonedMidwayNothingIsLeftBeforeTheNextStatement) {
    runtime rt({.threads = 2});
    tally objects;
    auto app = [&]() -> task<> {
        for (int i = 0; i < 300; ++i) {
            const stream_options o{.capacity = static_cast<std::size_t>(i % 4)};
            auto some = [](stream<int>& s, int n) -> task<> {
                while (n-- > 0)
                    EXPECT_TRUE(co_await s.next());
            };
            auto body = [&](group g) -> task<> {
                auto source = [&] { return spawn_stream(g, o, tidy, std::ref(objects), 1'000'000); };
                auto first =
                    zip(source(), source()).map([](std::tuple<int, int> p) { return std::get<0>(p); });
                auto branches = tee<3>(merge(std::move(first), source()));
                (void)g.spawn(some, std::move(branches[1]), 1 + i % 5);
                (void)g.spawn(some, std::move(branches[2]), 1 + i % 7);
                co_await some(branches[0], 1 + i % 3);
                if (i % 3 == 0) throw my_error("enough");
            };
            auto scope = [&]() -> task<> { co_await with_group(std::ref(body)); };
            (void)co_await as_outcome(scope());
            EXPECT_EQ(objects.alive, 0);
        }
    };
    rt.block_on(std::ref(app));
    rt.close();
    EXPECT_TRUE(rt.audit().clean());
}
TEST(CombineThreads, R094_FailureIsToldOnceWhenTheReaderLeavesAtThatMoment) {
    std::atomic<int> failures{0}, told{0};
    runtime rt({.threads = 2, .on_unread_failure = [&](const unread_failure&) { ++told; }});
    auto produce = [&](sink<int> out) -> task<> {
        co_await count_up(out, 3);
        ++failures;
        throw my_error("the source failed");
    };
    auto app = [&]() -> task<> {
        for (int i = 0; i < 1500; ++i) {
            auto leave = [i](stream<int> s) -> task<> {
                int n = 0;
                while (co_await s.next())
                    if (++n == 3 && i % 3 < 2) break;
            };
            auto same = [](int v) { return v; };
            auto in_a_group = [&](group g) -> task<> {
                co_await leave(merge(spawn_stream(g, produce).map(same), spawn_stream(g, count_up, 0)));
            };
            auto scope = [&]() -> task<> { co_await with_group(in_a_group); };
            told += (co_await as_outcome(scope())).has_failed();
            auto without = [&]() -> task<> {
                auto s = merge(spawn_stream(rt, produce).map(same), spawn_stream(rt, count_up, 0));
                auto end = s.shared();
                co_await leave(std::move(s));
            };
            told += (co_await as_outcome(without())).has_failed();
        }
    };
    rt.block_on(std::ref(app));
    rt.close();
    EXPECT_EQ(told, failures);
}
TEST(CombineThreads, PlainCodeReadsEachOfThem) {
    runtime rt({.threads = 2});
    const auto sum = [](stream<int> s) {
        int n = 0;
        for (const int v : s)
            n += v;
        return n;
    };
    for (int round = 0; round < 20; ++round) {
        EXPECT_EQ(sum(merge(spawn_stream(rt, count_up, 100), stream_of(rt, numbers(0, 100)))), 9900);
        EXPECT_EQ(sum(spawn_stream(rt, count_up, 100).buffer(7).timeout_each(1h)), 4950);
        int n = 0;
        for (const auto& [a, b] : zip(spawn_stream(rt, count_up, 100), stream_of(rt, std::views::iota(0))))
            n += a == b;
        EXPECT_EQ(n, 100);
        auto [a, b] = tee(spawn_stream(rt, {.capacity = 100}, count_up, 100));
        EXPECT_EQ(sum(std::move(a)) + sum(std::move(b)), 9900);
        const channel<int> c(4);
        auto received = stream_of(rt, c);
        for (int i = 0; i < 20; ++i) // 4, 16, and one on its way
            c.blocking_send(i);
        c.close();
        EXPECT_EQ(sum(std::move(received)), 190);
        auto beat = ticks(rt, 1us);
        EXPECT_GE(beat.blocking_next(), 1u);
        EXPECT_THROW((void)spawn_stream(rt, [](sink<int>) -> task<> { co_await sleep_for(24h); })
                         .timeout_each(1ms)
                         .blocking_next(),
                     stalled_error);
    }
    rt.close();
    EXPECT_TRUE(rt.audit().clean());
}
TEST(CombineThreads, R111_SelectOverStreamsTakesEachItemOnce) {
    runtime rt({.threads = 2});
    for (const std::size_t capacity : {0u, 1u, 8u}) {
        const stream_options o{.capacity = capacity, .stall = 1h};
        auto app = [&](group g) -> task<> {
            auto a = spawn_stream(g, o, count_up, 3000);
            auto b = spawn_stream(g, o, count_up, 3000);
            int next_a = 0, next_b = 0;
            for (bool more_a = true, more_b = true; more_a || more_b;) {
                auto which = select_any(more_a ? std::optional(a.next()) : std::nullopt,
                                        more_b ? std::optional(b.next()) : std::nullopt, sleep_for(1us));
                auto got = co_await which;
                if (got.index() == 0) {
                    const auto& v = std::get<0>(got);
                    v ? require(*v == next_a++) : void(more_a = false);
                } else if (got.index() == 1) {
                    const auto& v = std::get<1>(got);
                    v ? require(*v == next_b++) : void(more_b = false);
                }
            }
            EXPECT_EQ(next_a + next_b, 6000);
        };
        rt.block_on([&]() -> task<> { co_await with_group(std::ref(app)); });
    }
}
TEST(CombineThreads, RuntimeClosesMeanwhile) {
    for (int round = 0; round < 200; ++round) {
        tally objects;
        {
            runtime rt({.threads = 2, .on_unread_failure = [](const unread_failure&) {}});
            auto source = [&] {
                return spawn_stream(rt, {.capacity = 1}, tidy, std::ref(objects), 1'000'000);
            };
            auto [a, b] = tee(merge(source(), zip(source(), source()).map([](std::tuple<int, int> p) {
                return std::get<0>(p);
            })));
            for (int i = 0; i < round % 4; ++i) {
                (void)a.blocking_next();
                (void)b.blocking_next();
            }
            if (round % 3 == 0) {
                const auto dropped = std::move(a);
            }
            EXPECT_TRUE(rt.close({.drain = 0s, .grace = 1min}).abandoned.empty());
            EXPECT_TRUE(rt.audit().clean());
        }
        EXPECT_EQ(objects.alive, 0);
    }
}
} // namespace
