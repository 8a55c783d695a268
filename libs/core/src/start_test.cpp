// group::start(): children that say when they are ready.
#include "core_test.hpp"

namespace {
using namespace core_test;

struct Start : virtual_test {};

task<> serve(started<int> ready, int port, std::string& log) {
    co_await sleep_for(1s);
    EXPECT_TRUE(ready(port));
    log += "ready ";
    co_await sleep_for(1h);
    log += "served";
}

TEST_F(Start, R076_ReturnsWhatTheChildIsReadyWithAndTheChildGoesOn) {
    std::string log;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            const int port = co_await g.start(serve, 80, std::ref(log));
            EXPECT_EQ(port, 80);
            EXPECT_EQ(elapsed(), 1s);
            log += "started ";
        });
    };
    run(parent);
    EXPECT_EQ(log, "ready started served");
    EXPECT_EQ(elapsed(), 1h + 1s);
}
TEST_F(Start, R076_WithoutAValueAndFromAPlainFunction) {
    int calls = 0;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            co_await g.start([](started<> ready) -> task<> {
                EXPECT_TRUE(ready());
                co_return;
            });
            auto plain = [&](const started<std::unique_ptr<int>>& ready) {
                calls += ready(std::make_unique<int>(3));
            };
            const spawn_options named{.name = "plain"};
            const auto value = co_await g.start(named, plain);
            EXPECT_EQ(*value, 3);
        });
    };
    run(parent);
    EXPECT_EQ(calls, 1);
}
TEST_F(Start, R076_ArgumentsThatAreFuturesAreAwaited) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            auto port = g.spawn(give_later, 1s, 443);
            const int got = co_await g.start(
                [](started<int> ready, const int& p) -> task<> {
                    ready(p);
                    co_return;
                },
                port);
            EXPECT_EQ(got, 443);
        });
    };
    run(parent);
}

TEST_F(Start, R077_FailureBeforeIsThrownAndDoesNotFailTheGroup) {
    auto parent = []() -> task<int> {
        co_return co_await with_group([](group g) -> task<int> {
            auto sibling = g.spawn(give_later, 1h, 4);
            std::string what;
            try {
                co_await g.start([](started<>) -> task<> { co_await fail_later(1s, "no port"); });
            } catch (const my_error& e) {
                what = e.what();
            }
            EXPECT_EQ(what, "no port");
            co_return co_await sibling;
        });
    };
    EXPECT_EQ(run(parent), 4);
    EXPECT_EQ(elapsed(), 1h);
}
TEST_F(Start, R077_FailureAfterwardsFailsTheGroup) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            co_await g.start([](started<> ready) -> task<> {
                ready();
                co_await sleep_for(1s);
                throw my_error("later");
            });
            co_await sleep_for(1h);
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "later");
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(Start, R077_EndingWithoutHavingStartedIsAnError) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            std::string what;
            const spawn_options named{.name = "forgetful"};
            try {
                (void)co_await g.start(named, [](started<int>) -> task<> { co_await sleep_for(1s); });
            } catch (const usage_error& e) {
                what = e.what();
                EXPECT_EQ(e.task().name, "forgetful");
            }
            EXPECT_NE(what.find("without saying that it has started"), std::string::npos) << what;
        });
    };
    run(parent);
}
TEST_F(Start, R077_SayingItTwiceIsAnErrorAndTheFirstStands) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            const int got = co_await g.start([](started<int> ready) -> task<> {
                EXPECT_TRUE(ready(1));
                EXPECT_THROW(ready(2), usage_error);
                co_return;
            });
            EXPECT_EQ(got, 1);
        });
    };
    run(parent);
}
TEST_F(Start, R077_SayingItAfterTheEndReachesNobody) {
    auto parent = []() -> task<> {
        std::optional<started<int>> kept;
        co_await with_group([&](group g) -> task<> {
            auto keep = [&](started<int> ready) { kept.emplace(std::move(ready)); };
            EXPECT_THROW(co_await g.start(keep), usage_error);
        });
        EXPECT_FALSE((*kept)(3));
    };
    run(parent);
}
TEST_F(Start, R077_ChildCancelledByItsGroupBeforeItStarted) {
    auto parent = []() -> task<> {
        co_await with_group([](group outer) -> task<> {
            auto waits = [](group inner) -> task<> {
                (void)co_await inner.start([](started<int>) -> task<> { co_await sleep_for(1h); });
            };
            auto other = [&](group inner) -> task<> {
                // The starter is not in the group that is cancelled.
                auto starter = outer.spawn(waits, inner);
                co_await sleep_for(1s);
                inner.cancel();
                EXPECT_EQ(co_await starter.join(), task_status::failed);
                EXPECT_THROW(starter.get(), task_cancelled);
            };
            EXPECT_THROW(co_await with_group(other), task_cancelled);
        });
    };
    EXPECT_THROW(run(parent), task_cancelled);
}

TEST_F(Start, R078_CancelledFirstTheChildIsCancelledAndAwaited) {
    std::string log;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            auto slow = [&](started<int> ready) -> task<> {
                auto o = co_await as_outcome(nap(1h));
                EXPECT_TRUE(o.was_cancelled());
                EXPECT_EQ(o.why()->kind, reason::deadline);
                co_await shield(5s, nap, 2s);
                log += ready(7) ? "handed over " : "nobody there ";
            };
            auto starts = [&]() -> task<> {
                (void)co_await g.start(slow);
                log += "never";
            };
            const bool in_time = co_await move_on_after(1s, starts);
            EXPECT_FALSE(in_time);
            EXPECT_EQ(elapsed(), 3s);
            log += "left ";
            co_await sleep_for(1s); // the group goes on
        });
        log += "end";
    };
    run(parent);
    EXPECT_EQ(log, "nobody there left end");
}
TEST_F(Start, R078_FailureOfAChildThatNobodyWaitsForAnyMoreIsTheGroups) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            auto slow = [](started<int>) -> task<> {
                (void)co_await as_outcome(nap(1h));
                throw my_error("in cleanup");
            };
            auto starts = [&]() -> task<> { (void)co_await g.start(slow); };
            (void)co_await move_on_after(1s, starts);
            co_await sleep_for(1h);
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "in cleanup");
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(Start, R078_BothCancelledByOneRequestUnwind) {
    bool reached = false;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn(fail_later, 1s, "stop");
            (void)co_await as_outcome(g.start([](started<> ready) -> task<> {
                co_await sleep_for(1h);
                ready();
            }));
            reached = true;
            co_await sleep_for(1s);
            ADD_FAILURE() << "cancelled";
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "stop");
    EXPECT_TRUE(reached);
}
TEST_F(Start, R078_APendingStartKeepsTheGroupOpen) {
    auto parent = [&]() -> task<> {
        co_await with_group([&](group outer) -> task<> {
            co_await with_group([&](group g) -> task<> {
                (void)outer.spawn(
                    [](group in) -> task<> {
                        co_await in.start([](started<> ready) -> task<> {
                            co_await sleep_for(2s);
                            ready();
                            co_await sleep_for(1s);
                        });
                    },
                    g);
                co_await yield();
            });
            EXPECT_EQ(elapsed(), 3s);
        });
    };
    run(parent);
}
TEST_F(Start, R078_InAGroupThatHasEndedItSaysSo) {
    auto parent = []() -> task<> {
        std::optional<group> ended;
        co_await with_group([&](group g) -> task<> {
            ended = g;
            co_return;
        });
        EXPECT_THROW(co_await ended->start([](const started<>& ready) { ready(); }), closed_error);
        // A cancelled one never enters the child.
        co_await with_group([&](group g) -> task<> {
            g.cancel();
            EXPECT_THROW(co_await g.start([](const started<>&) { ADD_FAILURE(); }), task_cancelled);
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "nothing");
}

// On threads: the child says it, fails, or is cancelled, all at about the same moment; whatever wins, it is one of the three.
TEST(StartOnThreads, R078_HandOverAndCancellationRaceToOneEnd) {
    runtime rt({.threads = 3});
    std::atomic<int> handed{0}, refused{0}, got{0};
    auto once = [&](int i) -> task<> {
        co_await with_group([&](group g) -> task<> {
            auto child = [&, i](started<int> ready) -> task<> {
                if (i % 3) co_await yield();
                ready(i) ? ++handed : ++refused;
            };
            auto starts = [&]() -> task<> {
                if (co_await g.start(child) == i) ++got;
            };
            auto f = g.spawn(starts);
            if (i % 2) co_await yield();
            f.cancel();
            (void)co_await f.join();
        });
    };
    constexpr int rounds = 3000;
    for (int i = 0; i < rounds; ++i)
        rt.block_on(once, i);
    EXPECT_EQ(handed, got);
    EXPECT_LE(handed + refused, rounds);
    EXPECT_TRUE(rt.close().abandoned.empty());
}

} // namespace
