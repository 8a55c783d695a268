// task_set: results as they come, or in the order of spawning.
#include "core_test.hpp"

#include <memory>

namespace {
using namespace core_test;

struct TaskSet : virtual_test {};

TEST_F(TaskSet, R079_NextGivesThemInTheOrderOfTheirEnds) {
    std::vector<int> got;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            task_set<int> set(g);
            for (int n : {3, 1, 2})
                set.spawn(give_later, n * 1s, n);
            EXPECT_EQ(set.size(), 3u);
            while (auto ended = co_await set.next())
                got.push_back(co_await std::move(*ended));
            EXPECT_EQ(set.size(), 0u);
            auto none = co_await set.next();
            EXPECT_FALSE(none);
            set.spawn(give, 4); // it goes on with more
            auto more = co_await set.next();
            got.push_back(co_await *more);
        });
    };
    run(parent);
    EXPECT_EQ(got, (std::vector{1, 2, 3, 4}));
    EXPECT_EQ(elapsed(), 3s);
}
TEST_F(TaskSet, R079_NextGivesWhatHadEndedBefore) {
    std::vector<int> got;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            task_set<int> set(g);
            for (int n : {3, 1, 2})
                set.spawn(give_later, n * 1s, n);
            co_await sleep_for(1h);
            while (auto ended = co_await set.next())
                got.push_back(co_await std::move(*ended));
        });
    };
    run(parent);
    EXPECT_EQ(got, (std::vector{1, 2, 3}));
}
TEST_F(TaskSet, R079_NextLosesNothingWhenItsCallerIsCancelled) {
    std::vector<int> got;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            task_set<int> set(g);
            auto take_one = [&]() -> task<> {
                auto ended = co_await set.next();
                got.push_back(co_await std::move(*ended));
            };
            set.spawn(give_later, 2s, 1);
            EXPECT_FALSE(co_await move_on_after(1s, take_one)); // before the end
            EXPECT_FALSE(co_await move_on_after(0s, take_one));
            co_await sleep_for(5s);
            EXPECT_EQ(set.size(), 1u);
            co_await take_one();
            EXPECT_EQ(set.size(), 0u);
        });
    };
    run(parent);
    EXPECT_EQ(got, (std::vector{1}));
}
TEST_F(TaskSet, R079_CancelledAtEveryMomentOfAnEndItIsTakenOrStillThere) {
    // The deadline of the taker and the end of the child fall on one moment, in both orders.
    for (const auto limit : {999ms, 1000ms, 1001ms}) {
        int taken = 0;
        auto parent = [&]() -> task<> {
            co_await with_group([&](group g) -> task<> {
                task_set<int> set(g);
                set.spawn(give_later, 1000ms, 1);
                auto take_one = [&]() -> task<> {
                    auto ended = co_await set.next();
                    taken += co_await std::move(*ended);
                };
                (void)co_await move_on_after(limit, take_one);
                co_await sleep_for(1s);
                EXPECT_EQ(set.size() + static_cast<unsigned>(taken), 1u);
            });
        };
        run(parent);
    }
}
TEST_F(TaskSet, R079_SeveralTakersEachGetOneAndTheLastNothing) {
    int got = 0, empty = 0;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            task_set<int> set(g);
            auto taker = [&]() -> task<> {
                auto ended = co_await set.next();
                ended ? ++got : ++empty;
            };
            for (int i = 0; i < 2; ++i)
                set.spawn(give_later, 1s, i);
            for (int i = 0; i < 3; ++i)
                (void)g.spawn(taker);
            co_await yield();
        });
    };
    run(parent);
    EXPECT_EQ(got, 2);
    EXPECT_EQ(empty, 1);
}
TEST_F(TaskSet, R079_ResultsAreInTheOrderOfSpawning) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            task_set<std::unique_ptr<int>> set(g);
            for (int n : {3, 1, 2})
                set.spawn({.name = "n"}, [n]() -> task<std::unique_ptr<int>> {
                    co_await sleep_for(n * 1s);
                    co_return std::make_unique<int>(n);
                });
            auto first = co_await set.next();
            const auto one = co_await std::move(*first);
            EXPECT_EQ(*one, 1);
            const auto rest = co_await set.results();
            EXPECT_EQ(rest.size(), 2u);
            EXPECT_EQ(*rest[0], 3);
            EXPECT_EQ(*rest[1], 2);
            EXPECT_EQ(set.size(), 0u);
            const auto none = co_await set.results();
            EXPECT_TRUE(none.empty());
        });
    };
    run(parent);
}
TEST_F(TaskSet, R079_ResultsOfVoidWaitForAll) {
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            task_set<> set(g);
            set.spawn(nap, 2s);
            set.spawn(nap, 1s);
            co_await set.results();
            EXPECT_EQ(elapsed(), 2s);
            EXPECT_EQ(set.size(), 0u);
        });
    };
    run(parent);
}
TEST_F(TaskSet, R079_ResultsThrowTheFailureThatCameFirstAndTheSetKeepsAll) {
    std::vector<std::string> failures;
    auto parent = [&]() -> task<> {
        auto body = [&](group g) -> task<> {
            task_set<int> set(g);
            const auto fail = [](tenure::base::duration d, std::string what) -> task<int> {
                co_await sleep_for(d);
                throw my_error(what);
            };
            set.spawn({.name = "late"}, fail, 2s, "second");
            set.spawn({.name = "early"}, fail, 1s, "first");
            set.spawn(give, 1);
            try {
                (void)co_await set.results();
                ADD_FAILURE() << "thrown";
            } catch (const my_error& e) {
                EXPECT_STREQ(e.what(), "first");
            }
            EXPECT_EQ(set.size(), 3u);
            while (auto ended = co_await set.next())
                if (ended->error()) failures.push_back(ended->label().name);
        };
        co_await with_group(supervise([](const tenure::base::task_failure&) {}), body);
    };
    run(parent);
    EXPECT_EQ(failures, (std::vector<std::string>{"early", "late"}));
}
TEST_F(TaskSet, R079_AChildThatWasCancelledGivesNoResults) {
    auto parent = []() -> task<> {
        std::optional<task_set<int>> kept;
        co_await with_group([&](group g) -> task<> {
            kept.emplace(g);
            kept->spawn(give_later, 1h, 1);
            g.cancel();
            co_return;
        });
        // The group has ended; what its children left can still be read.
        EXPECT_THROW((void)co_await kept->results(), task_cancelled);
        auto ended = co_await kept->next();
        EXPECT_EQ(ended->status(), task_status::cancelled);
        EXPECT_THROW(kept->spawn(give, 1), closed_error);
        EXPECT_EQ(kept->size(), 0u);
    };
    run(parent);
}
TEST_F(TaskSet, R079_AFailureIsThrownThoughACancellationCameBeforeIt) {
    auto parent = []() -> task<> {
        std::optional<task_set<>> kept;
        auto body = [&](group g) -> task<> {
            kept.emplace(g);
            kept->spawn(nap, 1h);
            kept->spawn([]() -> task<> {
                (void)co_await as_outcome(nap(1h));
                co_await shield(5s, nap, 1s);
                throw my_error("in cleanup");
            });
            co_await yield();
            g.cancel();
        };
        EXPECT_THROW(co_await with_group(body), my_error);
        EXPECT_THROW(co_await kept->results(), my_error);
    };
    run(parent);
}
TEST_F(TaskSet, R079_DroppedSetLosesNothingAndFreesWhatEnds) {
    int ran = 0;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            {
                task_set<counted> set(g);
                set.spawn([&]() -> task<counted> {
                    co_await sleep_for(1s);
                    ++ran;
                    co_return object();
                });
                set.spawn([&]() -> counted { return object(); });
                co_await yield();
                EXPECT_EQ(objects_.alive, 1); // kept until somebody takes it
            }
            EXPECT_EQ(objects_.alive, 1); // the running child holds the set
            co_await sleep_for(2s);
            EXPECT_EQ(objects_.alive, 0);
        });
    };
    run(parent);
    EXPECT_EQ(ran, 1);
}
TEST_F(TaskSet, R079_AChildNobodyWantsIsFreedAsItEnds) {
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn([&]() -> task<counted> {
                co_await sleep_for(1s);
                co_return object();
            });
            co_await sleep_for(2s);
            EXPECT_GT(objects_.made, 0);
            EXPECT_EQ(objects_.alive, 0);
            co_await sleep_for(1h);
        });
    };
    run(parent);
}
TEST_F(TaskSet, ArgumentThatThrowsWhileCopiedLeavesNoGap) {
    struct grenade {
        grenade() = default;
        grenade(const grenade&) { throw my_error("copied"); }
    };
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            task_set<> set(g);
            const grenade x;
            EXPECT_THROW(set.spawn([](const grenade&) {}, x), my_error);
            EXPECT_EQ(set.size(), 0u);
            auto none = co_await set.next();
            EXPECT_FALSE(none);
        });
    };
    run(parent);
}

TEST(TaskSetOnThreads, R079_NothingIsLostOrGivenTwice) {
    runtime rt({.threads = 3});
    constexpr int children = 20'000;
    std::vector<std::atomic<int>> seen(children);
    std::atomic<int> cut_short{0};
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            task_set<int> set(g);
            auto take_all = [&seen, set]() -> task<> { // by value: the body's locals go before its children
                for (;;) {
                    auto ended = co_await set.next();
                    if (!ended) break;
                    ++seen[static_cast<std::size_t>(co_await std::move(*ended))];
                }
            };
            auto take_some = [&seen, &cut_short, set]() -> task<> { // cancelled again and again
                for (int i = 0; i < 200; ++i) {
                    auto one = [&]() -> task<> {
                        auto ended = co_await set.next();
                        if (ended)
                            ++seen[static_cast<std::size_t>(
                                ended->take())]; // no await: it may be cancelled by now
                    };
                    if (!co_await move_on_after(std::chrono::microseconds(20), one)) ++cut_short;
                }
            };
            for (int i = 0; i < children; ++i)
                set.spawn([i]() -> task<int> {
                    co_await yield();
                    co_return i;
                });
            (void)g.spawn(take_some);
            (void)g.spawn(take_all);
            co_await take_all();
        });
    };
    rt.block_on(parent);
    for (const auto& n : seen)
        EXPECT_EQ(n, 1);
    EXPECT_TRUE(rt.close().abandoned.empty());
}

} // namespace
