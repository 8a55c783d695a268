// merge, zip, tee, buffer, timeout_each, sources, and a stream in select_any.
#include "stream_test.hpp"

#include <tenure/core/stream_combine.hpp>

#include <algorithm>
#include <list>
#include <map>
#include <ranges>
#include <sstream>

namespace {
using namespace core_test;

struct Combine : virtual_test {
    /// Runs body(group) in a group.
    template <class F>
    auto in_group(F body) {
        return in_group_of<tenure::core::detail::task_value_t<F&, group>>(std::ref(body));
    }

private:
    template <class T>
    T in_group_of(const std::function<task<T>(group)>& body) {
        return run([&]() -> task<T> { co_return co_await with_group(std::ref(body)); });
    }
};

/// from, from + step, …: n of them, one each d.
task<> count_by(sink<int> out, int from, int step, int n, tenure::base::duration d) {
    for (int i = 0; i < n; ++i) {
        if (d > 0s) co_await sleep_for(d);
        co_await out.send(from + i * step);
    }
}
task<> stay_silent(sink<int>) { co_await sleep_for(24h); }
task<> fail_after(sink<int> out, int n, tenure::base::duration d, std::string what) {
    co_await count_by(out, 0, 1, n, d);
    co_await sleep_for(d);
    throw my_error(what);
}
template <class T>
task<std::vector<T>> rest_of(stream<T>& s) {
    std::vector<T> got;
    while (auto v = co_await s.next())
        got.push_back(std::move(*v));
    co_return got;
}
template <class T>
task<std::string> failure_of(stream<T>& s) {
    const auto o = co_await as_outcome(s.next());
    co_return o.has_failed() ? describe(o.error()) : "nothing";
}

// merge
TEST_F(Combine, MergeGivesTheItemsAsTheyComeAndEndsWhenAllHaveEnded) {
    for (const std::size_t capacity : {0u, 1u, 16u}) {
        const stream_options o{.capacity = capacity};
        in_group([&](group g) -> task<> {
            const auto began = elapsed();
            auto s =
                merge(spawn_stream(g, o, count_by, 0, 1, 3, 2s), spawn_stream(g, o, count_by, 10, 1, 2, 3s),
                      spawn_stream(g, o, count_by, 20, 1, 0, 0s));
            std::multimap<int, int> when;
            while (auto v = co_await s.next())
                when.emplace((elapsed() - began) / 1s, *v);
            const std::multimap<int, int> expected{{2, 0}, {3, 10}, {4, 1}, {6, 2}, {6, 11}};
            EXPECT_TRUE(std::is_permutation(when.begin(), when.end(), expected.begin(), expected.end()));
            EXPECT_FALSE(co_await s.next());
        });
    }
}
TEST_F(Combine, MergeOfManyAndOfOne) {
    in_group([&](group g) -> task<> {
        std::vector<stream<int>> many;
        for (int i = 0; i < 50; ++i)
            many.push_back(spawn_stream(g, count_by, i, 50, 20, 0s));
        auto got = co_await merge(std::move(many)).collect();
        std::sort(got.begin(), got.end());
        EXPECT_EQ(got, numbers(0, 1000));
        EXPECT_EQ(co_await merge(spawn_stream(g, count_up, 5)).collect(), numbers(0, 5));
        EXPECT_THROW((void)merge(std::vector<stream<int>>()), usage_error);
    });
}
TEST_F(Combine, R094_MergeTellsTheFirstFailureOnceAtOnceAndEndsTheRest) {
    std::string log;
    in_group([&](group g) -> task<> {
        auto s = merge(spawn_stream(g, count_and_clean_up, 10s, std::ref(log)),
                       spawn_stream(g, fail_after, 0, 1s, "this one"), spawn_stream(g, stay_silent));
        co_await nap(2s);
        EXPECT_EQ(elapsed(), 2s);
        int n = 0;
        std::string failure;
        try {
            while (co_await s.next())
                ++n;
        } catch (const my_error& e) {
            failure = e.what();
        }
        EXPECT_GT(n, 0);
        EXPECT_EQ(failure, "this one");
        EXPECT_EQ(elapsed(), 2s); // while the first cleans up
        EXPECT_FALSE(co_await s.next());
        EXPECT_EQ(log, "l");
        co_await s.stop();
        EXPECT_EQ(log, "lc");
    });
}
TEST_F(Combine, R093_WhoStopsReadingAMergeEndsItAll) {
    std::string a, b;
    in_group([&](group g) -> task<> {
        auto s = merge(spawn_stream(g, count_and_clean_up, 2s, std::ref(a)),
                       spawn_stream(g, count_and_clean_up, 3s, std::ref(b)), spawn_stream(g, stay_silent));
        for (int i = 0; i < 10; ++i)
            EXPECT_TRUE(co_await s.next());
        co_await s.stop();
        EXPECT_EQ(a + b, "lclc");
        EXPECT_EQ(elapsed(), 3s); // all at once
    });
}
TEST_F(Combine, R096_CleanupErrorsOfAMergeReachTheOwnerTogether) {
    auto body = [&](group g) -> task<> {
        auto s =
            merge(spawn_stream(g, count_and_fail_in_cleanup), spawn_stream(g, count_and_fail_in_cleanup));
        EXPECT_TRUE(co_await s.next());
        try {
            co_await s.stop();
            ADD_FAILURE();
        } catch (const group_error& e) {
            EXPECT_EQ(e.errors().size(), 2u);
        }
        auto dropped = merge(spawn_stream(g, count_and_fail_in_cleanup), spawn_stream(g, stay_silent));
        EXPECT_TRUE(co_await dropped.next());
    };
    EXPECT_EQ(thrown_by([&] { in_group(body); }), "the history was not written");
}

// zip
TEST_F(Combine, ZipPairsTheItemsAndEndsWithTheShortest) {
    for (const std::size_t capacity : {0u, 1u, 16u}) {
        const stream_options o{.capacity = capacity};
        in_group([&](group g) -> task<> {
            auto words = stream_of(g, o, std::vector<std::string>{"a", "b", "c"});
            auto s = zip(spawn_stream(g, o, count_for_ever), std::move(words),
                         spawn_stream(g, o, count_by, 7, -1, 5, 1s));
            static_assert(std::is_same_v<decltype(s), stream<std::tuple<int, std::string, int>>>);
            const std::vector<std::tuple<int, std::string, int>> expected{
                {0, "a", 7}, {1, "b", 6}, {2, "c", 5}};
            EXPECT_EQ(co_await rest_of(s), expected);
            EXPECT_FALSE(co_await s.next());
            EXPECT_EQ((co_await zip(spawn_stream(g, o, count_up, 3)).collect()).size(), 3u);
            EXPECT_TRUE(
                (co_await zip(spawn_stream(g, o, count_up, 0), spawn_stream(g, o, count_up, 9)).collect())
                    .empty());
        });
    }
}
TEST_F(Combine, ZipEndsAtOnceThoughAnotherOneIsSilent) {
    std::string log;
    auto hang = [](sink<int> out, std::string& to) -> task<> {
        const mourner local(to, 'l');
        co_await out.send(1);
        co_await nap_and_clean_up(5s, *std::make_unique<bool>());
    };
    in_group([&](group g) -> task<> {
        auto s = zip(spawn_stream(g, hang, std::ref(log)), spawn_stream(g, count_by, 0, 1, 1, 1s));
        EXPECT_EQ(co_await s.next(), (std::tuple{1, 0}));
        EXPECT_FALSE(co_await s.next());
        EXPECT_EQ(elapsed(), 1s);
        co_await s.stop();
        EXPECT_EQ(log, "l");
        EXPECT_EQ(elapsed(), 6s);
    });
}
TEST_F(Combine, R094_FailureOfOneInAZipIsToldOnceAtOnce) {
    in_group([&](group g) -> task<> {
        auto s = zip(spawn_stream(g, stay_silent), spawn_stream(g, fail_after, 0, 1s, "this one"));
        EXPECT_EQ(co_await failure_of(s), "this one");
        EXPECT_EQ(elapsed(), 1s);
        EXPECT_FALSE(co_await s.next());
    });
}
TEST_F(Combine, R094_FailureInAZipThatIsThereBeforeItsTurnIsToldOnce) {
    in_group([&](group g) -> task<> {
        auto s = zip(spawn_stream(g, count_by, 0, 1, 9, 1s), spawn_stream(g, fail_after, 2, 0s, "long ago"));
        for (int i = 0; i < 2; ++i)
            EXPECT_EQ(co_await s.next(), std::tuple(i, i));
        EXPECT_EQ(co_await failure_of(s), "long ago");
        EXPECT_EQ(elapsed(), 2s) << "it waited for the third item of the other one";
        EXPECT_FALSE(co_await s.next());
    });
}
TEST_F(Combine, StallOfOneInAZipIsToldAtItsLimitWhereverItStands) {
    auto stall_after_3 = [](sink<int> out) -> task<> {
        co_await count_up(out, 3);
        co_await sleep_for(24h);
    };
    for (const bool stalls_first : {true, false}) {
        const auto begin = elapsed();
        in_group([&](group g) -> task<> {
            auto stalls = spawn_stream(g, {.stall = 5s}, stall_after_3);
            auto goes_on = spawn_stream(g, {.stall = 7s}, count_for_ever);
            auto s = stalls_first ? zip(std::move(stalls), std::move(goes_on))
                                  : zip(std::move(goes_on), std::move(stalls));
            for (int i = 0; i < 3; ++i)
                EXPECT_EQ(co_await s.next(), std::tuple(i, i));
            EXPECT_THROW((void)co_await s.next(), stalled_error);
            EXPECT_EQ(elapsed() - begin, 5s);
            EXPECT_FALSE(co_await s.next());
        });
    }
}
TEST_F(Combine, ZipOfItemsThatOnlyMove) {
    in_group([&](group g) -> task<> {
        std::vector<std::unique_ptr<int>> owned;
        for (int i = 0; i < 3; ++i)
            owned.push_back(std::make_unique<int>(i));
        auto s = zip(stream_of(g, std::move(owned)), spawn_stream(g, count_up, 9));
        int n = 0;
        while (auto v = co_await s.next()) {
            EXPECT_EQ(*std::get<0>(*v), n);
            EXPECT_EQ(std::get<1>(*v), n++);
        }
        EXPECT_EQ(n, 3);
    });
}

// buffer
TEST_F(Combine, R095_BufferReadsSoManyItemsAheadAndOneOnItsWay) {
    for (const std::size_t n : {0u, 1u, 5u}) {
        int sent = 0;
        auto produce = [&](sink<int> out) -> task<> {
            for (;;) {
                co_await out.send(sent);
                ++sent;
            }
        };
        in_group([&](group g) -> task<> {
            const stream_options o{.capacity = 0};
            auto s = spawn_stream(g, o, produce).buffer(n);
            for (int i = 0; i < 10; ++i) {
                co_await nap(1s);
                EXPECT_EQ(sent, i + static_cast<int>(n) + 1);
                EXPECT_EQ(co_await s.next(), i);
            }
        });
    }
}

// timeout_each
TEST_F(Combine, R098_TimeoutEachIsToldOnTimeThoughWhatIsReadHangsInItsCleanup) {
    bool cleaned = false;
    auto produce = [](sink<int> out, bool& done) -> task<> {
        co_await count_by(out, 0, 1, 3, 900ms);
        out.heartbeat();
        co_await nap_and_clean_up(30s, done);
    };
    in_group([&](group g) -> task<> {
        auto s = spawn_stream(g, produce, std::ref(cleaned)).map([](int i) { return i; }).timeout_each(1s);
        for (int i = 0; i < 3; ++i)
            EXPECT_EQ(co_await s.next(), i);
        EXPECT_EQ(elapsed(), 2700ms);
        EXPECT_THROW((void)co_await s.next(), stalled_error);
        EXPECT_EQ(elapsed(), 3700ms);
        EXPECT_FALSE(co_await s.next());
        EXPECT_FALSE(cleaned);
        co_await s.stop();
        EXPECT_TRUE(cleaned);
        EXPECT_THROW((void)spawn_stream(g, count_up, 1).timeout_each(0s), usage_error);
    });
}
TEST_F(Combine, R098_SlowReaderOfTimeoutEachIsNoStall) {
    in_group([&](group g) -> task<> {
        auto s = spawn_stream(g, count_up, 40).timeout_each(1s);
        for (int i = 0; i < 40; ++i) {
            co_await nap(1min);
            EXPECT_EQ(co_await s.next(), i);
        }
        EXPECT_FALSE(co_await s.next());
    });
}
TEST_F(Combine, StallAndFailureOfTheFirstComeThroughTheStepsWhileItCleansUp) {
    bool cleaned = false;
    in_group([&](group g) -> task<> {
        auto silent = [](sink<int>, bool& done) -> task<> { co_await nap_and_clean_up(30s, done); };
        auto s = spawn_stream(g, {.stall = 1s}, silent, std::ref(cleaned))
                     .map([](int i) { return i; })
                     .filter([](int) { return true; })
                     .take(5);
        EXPECT_THROW((void)co_await s.next(), stalled_error);
        EXPECT_EQ(elapsed(), 1s);
        EXPECT_FALSE(co_await s.next());
        EXPECT_FALSE(cleaned);
        std::string log;
        auto some = spawn_stream(g, count_and_clean_up, 5s, std::ref(log)).take(2);
        EXPECT_EQ(co_await rest_of(some), numbers(0, 2)); // the end, too
        EXPECT_EQ(elapsed(), 1s);
        EXPECT_EQ(log, "l");
        co_await some.stop();
        EXPECT_EQ(log, "lc");
    });
    EXPECT_TRUE(cleaned);
}
TEST_F(Combine, R096_CleanupErrorAfterTheEndWasToldIsTheOwners) {
    auto body = [&](group g) -> task<> {
        EXPECT_EQ(co_await spawn_stream(g, count_and_fail_in_cleanup).take(3).collect(), numbers(0, 3));
        EXPECT_EQ(elapsed(), 0s);
    };
    EXPECT_EQ(thrown_by([&] { in_group(body); }), "the history was not written");
    auto stopped = [&](group g) -> task<> {
        auto s = spawn_stream(g, count_and_fail_in_cleanup).take(3);
        EXPECT_EQ(co_await rest_of(s), numbers(0, 3));
        const auto o = co_await as_outcome(s.stop());
        EXPECT_EQ(describe(o.error()), "the history was not written");
    };
    in_group(stopped);
    run([&]() -> task<> { // without a group: the hook, once
        EXPECT_EQ(co_await spawn_stream(rt_, count_and_fail_in_cleanup).take(3).collect(), numbers(0, 3));
    });
    advance(2s);
    expected_unread_ = {"the history was not written"};
}
TEST_F(Combine, R094_FailureOfAStepThatNobodyReadsGoesToTheHookOnceWithoutAGroup) {
    auto fail_twice = [](sink<int> out) -> task<> {
        auto cleanup = []() -> task<> {
            co_await nap(1s);
            throw my_error("and in its cleanup");
        };
        co_await defer(1min, cleanup);
        co_await count_up(out, 3);
        co_await nap(1s);
        throw my_error("the source failed");
    };
    // Dropped before, while and after what it reads from cleans up.
    for (const auto after : {500ms, 1500ms, 2500ms, 3500ms}) {
        auto bad_map = [](int i) {
            if (i == 2) throw my_error("not this one");
            return i;
        };
        auto one = [&]() -> task<> {
            auto s = spawn_stream(rt_, fail_twice).map(bad_map);
            EXPECT_EQ(co_await s.next(), 0);
            co_await nap(after);
        };
        run(one);
        advance(5s);
        EXPECT_GE(unread_.size(), 1u);
        const auto told = [&](const char* what) {
            return std::count_if(unread_.begin(), unread_.end(),
                                 [&](const std::string& u) { return u.find(what) != std::string::npos; });
        };
        EXPECT_EQ(told("not this one"), 1);
        EXPECT_EQ(told("and in its cleanup"), 1);
        unread_.clear();
    }
}
TEST_F(Combine, R093_StepThatWasCancelledBeforeItBeganWaitsForWhatItReads) {
    std::string log;
    in_group([&](group g) -> task<> {
        auto first = spawn_stream(g, count_and_clean_up, 1s, std::ref(log));
        co_await nap(1s);
        auto s = std::move(first).take(5);
        co_await s.stop(); // it has not been entered
        EXPECT_EQ(log, "lc");
        auto second = spawn_stream(g, count_and_clean_up, 1s, std::ref(log));
        co_await nap(1s);
        auto [a, b] = tee(std::move(second));
        co_await a.stop();
        EXPECT_EQ(log, "lc");
        co_await b.stop();
        EXPECT_EQ(log, "lclc");
    });
}

// tee
TEST_F(Combine, EachBranchOfATeeHasEveryItemAtItsOwnPace) {
    for (const std::size_t capacity : {0u, 1u, 4u}) {
        const stream_options o{.capacity = capacity};
        in_group([&](group g) -> task<> {
            auto [fast, slow, odd] = tee<3>(spawn_stream(g, o, count_up, 20));
            auto f = g.spawn([](stream<int>& s) { return rest_of(s); }, std::move(fast));
            auto l = g.spawn(
                [](stream<int>& s) -> task<std::vector<int>> {
                    std::vector<int> got;
                    while (auto v = co_await s.next()) {
                        got.push_back(*v);
                        co_await nap(1s);
                    }
                    co_return got;
                },
                std::move(slow));
            auto only_odd = std::move(odd).filter([](int i) { return i % 2 == 1; });
            EXPECT_EQ((co_await rest_of(only_odd)).size(), 10u);
            EXPECT_EQ(co_await f, numbers(0, 20));
            EXPECT_EQ(co_await l, numbers(0, 20));
        });
    }
}
TEST_F(Combine, R095_BranchIsAheadOfTheSlowestByTheCapacityAndOne) {
    for (const std::size_t capacity : {0u, 1u, 4u}) {
        const stream_options o{.capacity = capacity};
        in_group([&](group g) -> task<> {
            auto [a, b] = tee(spawn_stream(g, o, count_for_ever));
            int n = 0;
            auto count = [&]() -> task<> {
                while (co_await a.next())
                    ++n;
            };
            EXPECT_FALSE(co_await move_on_after(1s, count));
            EXPECT_EQ(n, static_cast<int>(capacity) + 1);
            EXPECT_EQ(co_await b.next(), 0);
            EXPECT_FALSE(co_await move_on_after(1s, count));
            EXPECT_EQ(n, static_cast<int>(capacity) + 2);
        });
    }
}
TEST_F(Combine, R093_DroppedBranchHoldsNobodyAndTheLastOneEndsTheRest) {
    std::string log;
    in_group([&](group g) -> task<> {
        for (int order = 0; order < 6; ++order) {
            log.clear();
            auto branches = tee<3>(spawn_stream(g, count_and_clean_up, 1s, std::ref(log)));
            std::vector<std::optional<stream<int>>> s;
            for (auto& b : branches)
                s.emplace_back(std::move(b));
            for (auto& each : s)
                EXPECT_EQ(co_await each->next(), 0);
            std::vector<std::size_t> drop{0, 1, 2};
            for (int i = 0; i < order; ++i)
                std::next_permutation(drop.begin(), drop.end());
            s[drop[0]].reset();
            for (int i = 1; i < 50; ++i) {
                EXPECT_EQ(co_await s[drop[1]]->next(), i);
                EXPECT_EQ(co_await s[drop[2]]->next(), i);
            }
            co_await s[drop[1]]->stop();
            EXPECT_EQ(log, "");
            for (int i = 50; i < 100; ++i)
                EXPECT_EQ(co_await s[drop[2]]->next(), i);
            EXPECT_EQ(log, "");
            co_await s[drop[2]]->stop();
            EXPECT_EQ(log, "lc");
        }
    });
}
TEST_F(Combine, BranchThatIsDroppedWhileTheOthersWaitForItLetsThemGoOn) {
    in_group([&](group g) -> task<> {
        auto branches = tee(spawn_stream(g, {.capacity = 2}, count_up, 100));
        auto a = std::move(branches[0]);
        std::optional<stream<int>> b(std::move(branches[1]));
        EXPECT_EQ(co_await b->next(), 0);
        auto all = g.spawn([](stream<int>& s) { return rest_of(s); }, std::move(a));
        co_await nap(1s);
        EXPECT_EQ(all.status(), task_status::pending);
        b.reset();
        EXPECT_EQ(co_await all, numbers(0, 100));
    });
}
TEST_F(Combine, R094_FailureIsToldToEachBranchOnce) {
    in_group([&](group g) -> task<> {
        auto [a, b, c] = tee<3>(spawn_stream(g, count_and_fail, 2));
        for (auto* s : {&a, &b, &c}) {
            EXPECT_EQ(co_await s->next(), 0);
            EXPECT_EQ(co_await s->next(), 1);
            EXPECT_EQ(co_await failure_of(*s), "the source failed");
            EXPECT_FALSE(co_await s->next());
        }
    });
    auto unread = [&](group g) -> task<> {
        auto [a, b] = tee(spawn_stream(g, count_and_fail, 2));
        EXPECT_EQ(co_await a.next(), 0);
        EXPECT_EQ(co_await b.next(), 0);
        co_await nap(1s);
    };
    EXPECT_EQ(thrown_by([&] { in_group(unread); }), "the source failed");
}
TEST_F(Combine, ItemWhoseCopyThrowsFailsTheTee) {
    struct item {
        int n;
        explicit item(int i) : n(i) {}
        item(item&&) noexcept = default;
        item(const item& o) : n(o.n) {
            if (n == 1) throw closed_error("not this one");
        }
    };
    auto produce = [](sink<item> out) -> task<> {
        for (int i = 0; i < 3; ++i)
            co_await out.send(item(i));
    };
    in_group([&](group g) -> task<> {
        auto [a, b] = tee(spawn_stream(g, produce));
        for (auto* s : {&a, &b}) {
            EXPECT_EQ((co_await s->next())->n, 0);
            EXPECT_EQ(co_await failure_of(*s), "not this one");
        }
    });
}

// Sources
TEST_F(Combine, RangesAreReadAsTheStreamIs) {
    in_group([&](group g) -> task<> {
        EXPECT_EQ(co_await stream_of(g, numbers(0, 100)).collect(), numbers(0, 100));
        EXPECT_TRUE((co_await stream_of(g, std::vector<int>()).collect()).empty());
        const std::list<int> kept{0, 1, 2}; // copied
        EXPECT_EQ(co_await stream_of(g, kept).collect(), numbers(0, 3));
        EXPECT_EQ(co_await stream_of(g, std::cref(kept)).collect(), numbers(0, 3));
        std::vector<std::string> words{"long enough to be on the heap, this one"};
        EXPECT_EQ((co_await stream_of(g, std::ref(words)).collect()).size(), 1u);
        EXPECT_EQ((co_await stream_of(g, std::views::all(words)).collect()).size(), 1u);
        EXPECT_FALSE(words[0].empty()); // borrowed
        const std::vector<bool> bits(3, true);
        EXPECT_EQ(co_await stream_of(g, bits).collect(), bits);
        const stream_options o{.capacity = 0};
        EXPECT_EQ(co_await stream_of(rt_, o, numbers(0, 3)).collect(), numbers(0, 3));
        std::istringstream text("3 4 5");
        EXPECT_EQ(co_await stream_of(g, std::ranges::istream_view<int>(text)).collect(), numbers(3, 6));

        int asked = 0;
        auto squares = std::views::iota(0) | std::views::transform([&asked](int i) {
                           ++asked;
                           return std::make_unique<int>(i * i);
                       });
        auto s = stream_of(g, {.capacity = 2}, squares); // without an end, and its items only move
        for (int i = 0; i < 5; ++i) {
            co_await nap(1s);
            EXPECT_EQ(asked, i + 3); // lazy
            EXPECT_EQ(**co_await s.next(), i * i);
        }
    });
}
TEST_F(Combine, R094_RangeThatThrowsMidwayGivesItsItemsThenTheErrorOnce) {
    in_group([&](group g) -> task<> {
        auto s = stream_of(g, std::views::iota(0) | std::views::transform([](int i) {
                                  if (i == 3) throw my_error("the range failed");
                                  return i;
                              }));
        for (int i = 0; i < 3; ++i)
            EXPECT_EQ(co_await s.next(), i);
        EXPECT_EQ(co_await failure_of(s), "the range failed");
        EXPECT_FALSE(co_await s.next());
    });
}
TEST_F(Combine, ItemsOfAnOwnedRangeDieWithTheStream) {
    in_group([&](group g) -> task<> {
        std::vector<counted> many(10, object());
        auto s = stream_of(g, {.capacity = 2}, std::move(many));
        EXPECT_TRUE(co_await s.next());
        co_await s.stop();
    });
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Combine, StreamOfAChannelEndsWhenThatIsClosed) {
    for (const std::size_t capacity : {0u, 2u}) {
        in_group([&](group g) -> task<> {
            const channel<int> c(capacity);
            auto s = stream_of(g, {.capacity = 1}, c);
            (void)g.spawn(
                [](channel<int> to) -> task<> {
                    for (int i = 0; i < 10; ++i)
                        co_await to.send(i);
                    to.close();
                },
                c);
            EXPECT_EQ(co_await rest_of(s), numbers(0, 10));
        });
    }
}
TEST_F(Combine, StreamOfAChannelTakesNoMoreThanItsCapacityAndOne) {
    in_group([&](group g) -> task<> {
        const channel<int> c(10);
        for (int i = 0; i < 10; ++i)
            EXPECT_TRUE(c.try_send(i));
        {
            auto s = stream_of(g, {.capacity = 2}, c);
            EXPECT_EQ(co_await s.next(), 0);
            co_await nap(1s);
            co_await s.stop();
        }
        EXPECT_EQ(c.try_receive(), 4);
    });
}
TEST_F(Combine, TicksComeOnTheirBeatAndThoseWithoutRoomAreLeftOut) {
    in_group([&](group g) -> task<> {
        auto s = ticks(g, 10ms);
        for (std::uint64_t n = 1; n <= 5; ++n) {
            EXPECT_EQ(co_await s.next(), n);
            EXPECT_EQ(elapsed(), static_cast<int>(n) * 10ms);
        }
        co_await nap(95ms);                // at 145 ms
        EXPECT_EQ(co_await s.next(), 6u);  // waited
        EXPECT_EQ(co_await s.next(), 15u); // the others were left out
        EXPECT_EQ(elapsed(), 150ms);
        co_await s.stop();
        EXPECT_FALSE(co_await s.next());
        EXPECT_THROW((void)ticks(g, 0s), usage_error);
        EXPECT_THROW((void)ticks(g, -1s), usage_error);
        auto never = ticks(g, std::chrono::hours::max());
        auto wait = [&]() -> task<> { (void)co_await never.next(); };
        EXPECT_FALSE(co_await move_on_after(24h, wait));
    });
}

// An arm of select_any
TEST_F(Combine, R111_StreamIsAnArmOfSelectOfWhichNoItemIsLost) {
    for (const std::size_t capacity : {0u, 1u, 3u}) {
        const stream_options o{.capacity = capacity};
        in_group([&](group g) -> task<> {
            auto a = spawn_stream(g, o, count_by, 0, 1, 30, 30ms);
            auto b = spawn_stream(g, o, count_by, 100, 1, 20, 50ms);
            std::vector<int> from_a, from_b;
            int timeouts = 0;
            for (bool more_a = true, more_b = true; more_a || more_b;) {
                auto which = select_any(more_a ? std::optional(a.next()) : std::nullopt,
                                        more_b ? std::optional(b.next()) : std::nullopt, sleep_for(7ms));
                auto got = co_await which;
                switch (got.index()) {
                case 0: std::get<0>(got) ? from_a.push_back(*std::get<0>(got)) : void(more_a = false); break;
                case 1: std::get<1>(got) ? from_b.push_back(*std::get<1>(got)) : void(more_b = false); break;
                default: ++timeouts; break;
                }
            }
            EXPECT_EQ(from_a, numbers(0, 30));
            EXPECT_EQ(from_b, numbers(100, 120));
            EXPECT_GT(timeouts, 50);
        });
    }
}
TEST_F(Combine, R094_FailureOfAStreamComesOutOfTheSelectOnce) {
    in_group([&](group g) -> task<> {
        auto s = spawn_stream(g, count_and_fail, 1);
        std::string seen;
        for (int i = 0; i < 3; ++i) {
            try {
                auto got = co_await select_any(biased, s.next(), sleep_for(1s));
                seen += std::get<0>(got) ? 'i' : 'e';
            } catch (const my_error&) {
                seen += 'f';
            }
        }
        EXPECT_EQ(seen, "ife");
    });
}
TEST_F(Combine, R098_StallLimitRunsWhileASelectWaits) {
    for (const std::size_t capacity : {0u, 4u}) {
        const auto began = elapsed();
        in_group([&](group g) -> task<> {
            auto s = spawn_stream(g, {.capacity = capacity, .stall = 5s}, stay_silent);
            for (int i = 0; i < 2; ++i) { // cut short: they count together
                auto got = co_await select_any(s.next(), sleep_for(2s));
                EXPECT_EQ(got.index(), 1u);
                co_await nap(10s); // nobody waits
            }
            EXPECT_THROW((void)co_await select_any(s.next(), sleep_for(2s)), stalled_error);
            EXPECT_EQ(elapsed() - began, 25s);
            auto end = co_await select_any(biased, s.next(), sleep_for(2s));
            EXPECT_FALSE(std::get<0>(end));
        });
    }
}
TEST_F(Combine, ArmsThatAreSwitchedOffAreNeverTaken) {
    in_group([&](group) -> task<> {
        const channel<int> c(1);
        EXPECT_TRUE(c.try_send(1));
        using receive = decltype(c.receive());
        auto got = co_await select_any(std::optional<receive>(), sleep_for(1s));
        EXPECT_EQ(got.index(), 1u);
        auto on = co_await select_any(biased, std::optional(c.receive()), sleep_for(1s));
        EXPECT_EQ(*std::get<0>(on), 1);
        auto none = []() -> task<> { (void)co_await select_any(std::optional<receive>()); };
        EXPECT_FALSE(co_await move_on_after(1s, none));
    });
}

// All together
TEST_F(Combine, TeeOfAMergeOfAZipTakesNoSlotAndLeavesNothing) {
    auto body = [&](group g) -> task<> {
        auto pairs = zip(stream_of(g, std::views::iota(0)), stream_of(g, numbers(0, 50)));
        auto sums =
            std::move(pairs).map([](std::tuple<int, int> p) { return std::get<0>(p) + std::get<1>(p); });
        auto [a, b] = tee(merge(std::move(sums), stream_of(g, numbers(1000, 1050))).buffer(3));
        auto all = merge(std::move(a), std::move(b)).timeout_each(1min);
        EXPECT_EQ((co_await rest_of(all)).size(), 200u);
    };
    run([&]() -> task<> { co_await with_group(group_options().max_concurrency(3), std::ref(body)); });
}
TEST_F(Combine, StreamsThatWereMovedFromAreRefused) {
    in_group([&](group g) -> task<> {
        auto s = spawn_stream(g, count_up, 3);
        auto t = std::move(s);
        // NOLINTBEGIN(bugprone-use-after-move)
        EXPECT_THROW((void)merge(std::move(s), std::move(t)), usage_error);
        auto u = spawn_stream(g, count_up, 3);
        EXPECT_THROW((void)zip(std::move(u), std::move(s)), usage_error);
        EXPECT_THROW((void)tee(std::move(s)), usage_error);
        EXPECT_THROW((void)std::move(s).buffer(1), usage_error);
        // NOLINTEND(bugprone-use-after-move)
        co_return;
    });
    unread_.clear(); // of those that were dropped unread
}
} // namespace
