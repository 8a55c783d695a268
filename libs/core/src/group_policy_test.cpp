// Groups that treat their children in another way: supervised, strict, limited, in the background.
#include "core_test.hpp"

#include <algorithm>

namespace {
using namespace core_test;
using tenure::base::task_failure;

struct GroupPolicy : virtual_test {};

task<> fail_now(std::string what) {
    throw my_error(what);
    co_return;
}

TEST_F(GroupPolicy, R065_ErrorNamesEachTaskAndItsSpawnSite) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            (void)g.spawn({.name = "fetch"}, fail_later, 1s, "no route");
            (void)g.spawn({.name = "parse"}, fail_later, 1s, "line 3");
            co_await sleep_for(1h);
        });
    };
    const std::string what = thrown_by([&] { run(parent); });
    EXPECT_NE(what.find("2 tasks of the group failed:"), std::string::npos) << what;
    EXPECT_NE(what.find("'fetch' spawned at group_policy_test.cpp:"), std::string::npos) << what;
    EXPECT_NE(what.find(": no route"), std::string::npos) << what;
    EXPECT_NE(what.find("'parse' spawned at group_policy_test.cpp:"), std::string::npos) << what;
    EXPECT_NE(what.find(": line 3"), std::string::npos) << what;
}
TEST_F(GroupPolicy, R065_StrictGroupWrapsASingleFailure) {
    auto parent = []() -> task<> {
        co_await with_group(group_options().strict(), [](group g) -> task<> {
            (void)g.spawn({.name = "only"}, fail_now, "alone");
            co_return;
        });
    };
    try {
        run(parent);
        ADD_FAILURE() << "nothing thrown";
    } catch (const group_error& e) {
        ASSERT_EQ(e.failures().size(), 1u);
        EXPECT_EQ(e.failures()[0].task.name, "only");
        EXPECT_EQ(describe(e.errors()[0]), "alone");
    }
}
TEST_F(GroupPolicy, R065_StrictGroupWithoutFailureEndsNormally) {
    auto parent = []() -> task<int> {
        co_return co_await with_group(group_options().strict(), [](group g) -> task<int> {
            auto f = g.spawn(give, 4);
            co_return co_await f;
        });
    };
    EXPECT_EQ(run(parent), 4);
}

TEST_F(GroupPolicy, R074_ChildFailureReachesTheHandlerOnceAndDisturbsNobody) {
    std::vector<task_failure> told;
    int ended = 0;
    auto parent = [&]() -> task<> {
        auto handler = [&](const task_failure& f) { told.push_back(f); };
        auto body = [&](group g) -> task<> {
            (void)g.spawn({.name = "bad"}, fail_later, 1s, "one");
            (void)g.spawn([&]() -> task<> {
                co_await sleep_for(2s);
                ++ended;
            });
            co_await sleep_for(3s);
            (void)g.spawn(fail_now, "two");
            co_await sleep_for(1s);
            ++ended;
        };
        co_await with_group(supervise(handler), body);
        ++ended;
    };
    run(parent);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[0].task.name, "bad");
    EXPECT_EQ(describe(told[0].error), "one");
    EXPECT_EQ(describe(told[1].error), "two");
    EXPECT_EQ(ended, 3);
    EXPECT_EQ(elapsed(), 4s);
}
TEST_F(GroupPolicy, R074_BodyFailureStillCancelsAll) {
    int told = 0;
    auto parent = [&]() -> task<> {
        auto handler = [&](const task_failure&) { ++told; };
        co_await with_group(supervise(handler), [](group g) -> task<> {
            (void)g.spawn(nap, 1h);
            co_await sleep_for(1s);
            throw my_error("body");
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "body");
    EXPECT_EQ(told, 0);
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(GroupPolicy, R074_OuterCancelStillCancelsAll) {
    int told = 0;
    auto parent = [&]() -> task<> {
        auto handler = [&](const task_failure&) { ++told; };
        co_await with_group(supervise(handler), [](group g) -> task<> {
            (void)g.spawn(nap, 1h);
            co_await sleep_for(1h);
        });
    };
    auto timed = [&]() -> task<> { co_await with_timeout(1s, parent); };
    EXPECT_THROW(run(timed), timeout_error);
    EXPECT_EQ(told, 0);
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(GroupPolicy, R074_HandlerThatThrowsFailsTheGroup) {
    auto parent = []() -> task<> {
        co_await with_group(supervise([](const task_failure& f) { std::rethrow_exception(f.error); }),
                            [](group g) -> task<> {
                                (void)g.spawn(fail_later, 1s, "passed on");
                                co_await sleep_for(1h);
                            });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "passed on");
    EXPECT_EQ(elapsed(), 1s);
}

task<> serve(int& rounds) {
    for (;;) {
        co_await sleep_for(1s);
        ++rounds;
    }
}
TEST_F(GroupPolicy, R075_BackgroundChildIsCancelledWhenTheOthersHaveEnded) {
    int rounds = 0;
    auto parent = [&]() -> task<future<void>> {
        co_return co_await with_group([&](group g) -> task<future<void>> {
            auto f = g.spawn_background({.name = "server"}, serve, std::ref(rounds));
            (void)g.spawn(nap, 10500ms);
            co_return f;
        });
    };
    const auto server = run(parent);
    EXPECT_EQ(elapsed(), 10500ms);
    EXPECT_EQ(rounds, 10);
    EXPECT_EQ(server.status(), task_status::cancelled);
    EXPECT_EQ(server.why()->message, "the group has only background children left");
}
TEST_F(GroupPolicy, R075_BackgroundChildIsCancelledWhenTheBodyEndsLast) {
    int rounds = 0;
    auto parent = [&]() -> task<int> {
        co_return co_await with_group([&](group g) -> task<int> {
            (void)g.spawn_background(serve, std::ref(rounds));
            (void)g.spawn_background(serve, std::ref(rounds));
            co_await sleep_for(2500ms);
            co_return 7;
        });
    };
    EXPECT_EQ(run(parent), 7);
    EXPECT_EQ(rounds, 4);
}
TEST_F(GroupPolicy, R075_CleanupOfABackgroundChildIsAwaitedAndMaySpawn) {
    int ended = 0;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn_background([&, g]() -> task<> {
                auto cleanup = [&](group again) -> task<> {
                    co_await sleep_for(1s);
                    (void)again.spawn([&]() -> task<> {
                        co_await sleep_for(1s);
                        ++ended;
                    });
                    (void)again.spawn_background([&]() -> task<> {
                        ++ended; // never: born cancelled
                        co_return;
                    });
                };
                auto body = []() -> task<> { co_await sleep_for(1h); };
                auto bound = [&]() -> task<> { co_await cleanup(g); };
                co_await with_cleanup(1min, body, bound);
            });
            co_await sleep_for(1s);
        });
    };
    run(parent);
    EXPECT_EQ(ended, 1);
    EXPECT_EQ(elapsed(), 3s);
}
TEST_F(GroupPolicy, R075_FailureOfABackgroundChildFailsTheGroup) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            (void)g.spawn_background(fail_later, 1s, "background");
            co_await sleep_for(1h);
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "background");
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(GroupPolicy, R075_OuterCancelReachesBackgroundChildren) {
    int rounds = 0;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn_background(serve, std::ref(rounds));
            co_await sleep_for(1h);
        });
    };
    auto timed = [&]() -> task<> { co_await with_timeout(1500ms, parent); };
    EXPECT_THROW(run(timed), timeout_error);
    EXPECT_EQ(rounds, 1);
}

TEST_F(GroupPolicy, R071_TrySpawnTellsWhetherTheChildWasAccepted) {
    auto parent = [&]() -> task<> {
        group kept = co_await with_group([&](group g) -> task<group> {
            auto f = g.try_spawn(give, 3);
            EXPECT_TRUE(f.has_value());
            EXPECT_EQ(co_await *f, 3);
            g.cancel();
            auto no = g.try_spawn({.name = "late"}, [](const counted&) { ADD_FAILURE(); }, object());
            EXPECT_FALSE(no.has_value());
            EXPECT_EQ(objects_.alive, 0);
            co_return g;
        });
        EXPECT_FALSE(kept.try_spawn(give, 3).has_value());
    };
    run(parent);
}

struct load {
    int now = 0, most = 0;
    std::string order;
};
task<> work(load& l, char name) {
    l.most = std::max(l.most, ++l.now);
    l.order += name;
    co_await sleep_for(1s);
    --l.now;
}
TEST_F(GroupPolicy, R081_AtMostNChildrenRunInTheOrderOfSpawning) {
    load l;
    auto parent = [&]() -> task<> {
        co_await with_group(group_options().max_concurrency(2), [&](group g) -> task<> {
            for (const char c : std::string("abcdefg"))
                (void)g.spawn(work, std::ref(l), c);
            co_return;
        });
    };
    run(parent);
    EXPECT_EQ(l.most, 2);
    EXPECT_EQ(l.order, "abcdefg");
    EXPECT_EQ(elapsed(), 4s);
}
TEST_F(GroupPolicy, R081_QueuedChildIsCancelledUnstarted) {
    load l;
    auto parent = [&]() -> task<> {
        co_await with_group(group_options().max_concurrency(1), [&](group g) -> task<> {
            (void)g.spawn(work, std::ref(l), 'a');
            auto b = g.spawn(
                [](const counted&) -> task<> {
                    ADD_FAILURE();
                    co_return;
                },
                object());
            (void)g.spawn(work, std::ref(l), 'c');
            co_await sleep_for(500ms);
            EXPECT_TRUE(b.cancel());
            EXPECT_EQ(co_await b.join(), task_status::cancelled);
            EXPECT_EQ(objects_.alive, 0);
            EXPECT_EQ(elapsed(), 500ms);
        });
    };
    run(parent);
    EXPECT_EQ(l.order, "ac");
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(GroupPolicy, R081_FailureCancelsTheQueuedOnes) {
    load l;
    auto parent = [&]() -> task<> {
        co_await with_group(group_options().max_concurrency(1), [&](group g) -> task<> {
            (void)g.spawn(fail_later, 1s, "first");
            for (int i = 0; i < 100; ++i)
                (void)g.spawn(work, std::ref(l), 'x');
            co_return;
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "first");
    EXPECT_EQ(l.order, "");
}
TEST_F(GroupPolicy, R081_SlotIsGivenOnByFailuresCancelsAndFunctions) {
    load l;
    int told = 0;
    auto parent = [&]() -> task<> {
        auto handler = [&](const task_failure&) { ++told; };
        co_await with_group(supervise(handler).max_concurrency(1), [&](group g) -> task<> {
            (void)g.spawn(fail_now, "1");
            auto b = g.spawn(nap, 1h);
            (void)g.spawn([] {});
            (void)g.spawn_background(serve, std::ref(l.now)); // does not count
            (void)g.spawn(work, std::ref(l), 'd');
            co_await sleep_for(1500ms);
            b.cancel();
            co_return;
        });
    };
    run(parent);
    EXPECT_EQ(told, 1);
    EXPECT_EQ(l.order, "d");
    EXPECT_EQ(elapsed(), 2500ms);
}

TEST(GroupPolicyThreads, R081_LimitHoldsOnRealThreadsWhileChildrenAreCancelled) {
    std::atomic<int> now{0}, most{0}, ran{0};
    runtime rt({.threads = 2});
    auto parent = [&]() -> task<> {
        co_await with_group(group_options().max_concurrency(3), [&](group g) -> task<> {
            for (int i = 0; i < 3000; ++i) {
                auto f = g.spawn([&]() -> task<> {
                    const int n = ++now;
                    int seen = most;
                    while (n > seen && !most.compare_exchange_weak(seen, n)) {}
                    co_await defer(
                        1s,
                        [](std::atomic<int>& counted) -> task<> {
                            --counted;
                            co_return;
                        },
                        std::ref(now));
                    ++ran;
                    co_await yield();
                });
                if (i % 3 == 0) f.cancel();
            }
            co_return;
        });
    };
    rt.block_on(parent);
    EXPECT_LE(most, 3);
    EXPECT_GE(ran, 2000);
    EXPECT_EQ(now, 0);
}
TEST(GroupPolicyThreads, R075_BackgroundChildrenEndOnRealThreads) {
    runtime rt({.threads = 2});
    std::atomic<int> ended{0};
    auto parent = [&]() -> task<> {
        for (int i = 0; i < 300; ++i)
            co_await with_group([&](group g) -> task<> {
                for (int k = 0; k < 3; ++k)
                    (void)g.spawn_background([&]() -> task<> {
                        co_await defer(
                            1s,
                            [](std::atomic<int>& n) -> task<> {
                                ++n;
                                co_return;
                            },
                            std::ref(ended));
                        co_await sleep_for(1h);
                    });
                for (int k = 0; k < 3; ++k)
                    (void)g.spawn([]() -> task<> { co_await yield(); });
                co_await yield();
            });
    };
    rt.block_on(parent);
    EXPECT_GT(ended, 0);
}
TEST(GroupPolicyThreads, R074_EachFailureReachesTheHandlerOnceOnRealThreads) {
    runtime rt({.threads = 2});
    std::atomic<int> told{0};
    auto parent = [&]() -> task<> {
        auto handler = [&](const task_failure&) { ++told; };
        co_await with_group(supervise(handler), [](group g) -> task<> {
            for (int i = 0; i < 500; ++i)
                (void)g.spawn(fail_now, "x");
            co_return;
        });
    };
    rt.block_on(parent);
    EXPECT_EQ(told, 500);
}

} // namespace
