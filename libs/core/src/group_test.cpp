#include "core_test.hpp"

#include <algorithm>

namespace {
using namespace core_test;

struct Group : virtual_test {};

task<> slow_to_end(int& ended) {
    co_await defer(
        1min,
        [](int& n) -> task<> {
            co_await sleep_for(5s);
            ++n;
        },
        std::ref(ended));
    co_await sleep_for(10s);
}

TEST_F(Group, EmptyGroupEndsAtOnce) {
    auto parent = []() -> task<int> {
        co_await with_group([](group) -> task<> { co_return; });
        co_return co_await with_group([](group) -> task<int> { co_return 3; });
    };
    EXPECT_EQ(run(parent), 3);
    EXPECT_EQ(elapsed(), 0s);
}
TEST_F(Group, ChildrenRunConcurrently) {
    int sum = 0;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            std::vector<future<int>> all;
            for (int i = 0; i < 100; ++i)
                all.push_back(g.spawn(give_later, 1s, i));
            for (auto& f : all)
                sum += co_await f;
        });
    };
    run(parent);
    EXPECT_EQ(sum, 4950);
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(Group, PlainFunctionsAreChildrenToo) {
    auto parent = []() -> task<int> {
        co_return co_await with_group([](group g) -> task<int> {
            auto f = g.spawn([](int a, int b, int c, int d) { return a + b + c + d; }, 1, 2, 3, 4);
            auto h = g.spawn(
                {.name = "five"}, [](int a, int b, int c, int d, int e) { return a + b + c + d + e; }, 1, 2,
                3, 4, 5);
            const int a = co_await f;
            const int b = co_await h;
            co_return a + b;
        });
    };
    EXPECT_EQ(run(parent), 25);
}
TEST_F(Group, ChildrenMayBorrowTheCallersLocals) {
    auto parent = []() -> task<int> {
        int local = 0;
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn([&local]() -> task<> {
                co_await sleep_for(1s);
                local = 8;
            });
            co_return;
        });
        co_return local;
    };
    EXPECT_EQ(run(parent), 8);
}
TEST_F(Group, SameScopeCanBeAwaitedTwice) {
    auto parent = []() -> task<> {
        int runs = 0;
        auto scope = with_group([&runs](group g) -> task<int> {
            (void)g.spawn(nap, 1s);
            if (++runs == 1) throw my_error("first");
            co_return runs;
        });
        bool failed = false;
        try {
            (void)co_await scope;
        } catch (const my_error&) {
            failed = true;
        }
        EXPECT_TRUE(failed);
        const int second = co_await scope;
        EXPECT_EQ(second, 2);
    };
    run(parent);
}
TEST_F(Group, R008_TasksKnowTheirNameAndSite) {
    tenure::base::task_label named, plain;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn({.name = "fetch"}, [&] { named = this_task::label(); });
            (void)g.spawn([&] { plain = this_task::label(); });
            co_return;
        });
    };
    run(parent);
    EXPECT_EQ(named.name, "fetch");
    EXPECT_NE(named.id, plain.id);
    EXPECT_NE(to_string(named).find("'fetch' spawned at group_test.cpp:"), std::string::npos)
        << to_string(named);
    EXPECT_NE(to_string(plain).find("spawned at group_test.cpp:"), std::string::npos) << to_string(plain);
}

TEST_F(Group, R063_NotLeftBeforeEveryChildHasEnded) {
    enum how { returns, throws, cancels_group, cancelled_from_outside };
    for (const how h : {returns, throws, cancels_group, cancelled_from_outside}) {
        int ended = 0;
        int seen_at_exit = -1;
        auto parent = [&]() -> task<> {
            struct at_exit {
                int& ended;
                int& seen;
                ~at_exit() { seen = ended; }
            };
            const at_exit look{ended, seen_at_exit};
            co_await with_group([&](group g) -> task<> {
                for (int i = 0; i < 4; ++i)
                    (void)g.spawn(slow_to_end, std::ref(ended));
                co_await sleep_for(1s);
                if (h == throws) throw my_error("body");
                if (h == cancels_group) g.cancel();
                if (h == cancelled_from_outside) co_await sleep_for(1h);
            });
        };
        auto f = rt_.submit(parent);
        advance(2s);
        if (h == cancelled_from_outside) f.cancel();
        advance(20s);
        EXPECT_EQ(ended, 4) << h;
        EXPECT_EQ(seen_at_exit, 4) << h;
        const auto expected = h == throws                   ? task_status::failed
                              : h == cancelled_from_outside ? task_status::cancelled
                                                            : task_status::done;
        EXPECT_EQ(f.status(), expected) << h;
        if (h == throws) {
            EXPECT_THROW(f.get(), my_error);
        }
    }
}
TEST_F(Group, R064_FirstFailureCancelsSiblingsAndWakesTheBody) {
    bool body_went_on = false;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn(nap, 1h);
            (void)g.spawn(fail_later, 1s, "one");
            co_await sleep_for(1h);
            body_went_on = true;
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "one");
    EXPECT_FALSE(body_went_on);
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(Group, R064_SiblingsSeeFailureAsTheReason) {
    reason seen = reason::none;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn([&]() -> task<> {
                auto o = co_await as_outcome(sleep_for(1h));
                seen = o.why()->kind;
            });
            (void)g.spawn(fail_later, 1s, "one");
            co_return;
        });
    };
    EXPECT_THROW(run(parent), my_error);
    EXPECT_EQ(seen, reason::failure);
}
TEST_F(Group, R065_SingleFailureKeepsItsType) {
    struct special : std::exception {};
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            (void)g.spawn([]() -> task<> {
                throw special();
                co_return;
            });
            co_return;
        });
    };
    EXPECT_THROW(run(parent), special);
}
TEST_F(Group, R065_SeveralFailuresInFailureOrderWithoutTheCancelled) {
    auto parent = []() -> task<std::vector<std::string>> {
        std::vector<std::string> found;
        try {
            co_await with_group([](group g) -> task<> {
                (void)g.spawn(nap, 1h);
                for (const int i : {3, 1, 2}) {
                    (void)g.spawn(
                        [](int k) -> task<> {
                            co_await defer(1min, fail_later, std::chrono::seconds(k), std::to_string(k));
                            co_await sleep_for(1h);
                        },
                        i);
                }
                (void)g.spawn(fail_later, 1s, "first");
                co_await sleep_for(1h);
            });
        } catch (const group_error& e) {
            for (const auto& x : e.errors())
                found.push_back(describe(x));
        }
        co_return found;
    };
    EXPECT_EQ(run(parent), (std::vector<std::string>{"first", "1", "2", "3"}));
}
TEST_F(Group, R065_FailureReadThroughAFutureCountsOnce) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            auto bad = g.spawn(fail_later, 1s, "x");
            (void)g.spawn([bad]() -> task<> { co_await bad; });
            co_await bad;
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "x");
}
TEST_F(Group, R065_FailureCaughtThroughAFutureStillFailsTheGroup) {
    bool caught = false;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            auto bad = g.spawn(fail_later, 1s, "x");
            auto observe = [&caught, bad]() -> task<> {
                try {
                    co_await bad;
                } catch (const my_error&) {
                    caught = true;
                }
            };
            co_await shield(1min, observe);
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "x");
    EXPECT_TRUE(caught);
}
TEST_F(Group, R065_HundredThousandFailuresAreKept) {
    constexpr std::size_t n = 100'000;
    std::size_t found = 0;
    auto parent = [&]() -> task<> {
        try {
            co_await with_group([](group g) -> task<> {
                for (std::size_t i = 0; i < n; ++i)
                    (void)g.spawn([]() -> task<> {
                        co_await shield(1min, nap, 1s);
                        throw my_error("x");
                    });
                co_return;
            });
        } catch (const group_error& e) {
            found = e.errors().size();
        }
    };
    run(parent);
    EXPECT_EQ(found, n);
}
TEST_F(Group, R066_BodyFailureCancelsChildrenAndComesFirst) {
    auto parent = []() -> task<std::vector<std::string>> {
        std::vector<std::string> found;
        try {
            co_await with_group([](group g) -> task<> {
                (void)g.spawn([]() -> task<> {
                    co_await defer(1min, fail_later, 1s, "child");
                    co_await sleep_for(1h);
                });
                co_await sleep_for(1s);
                throw my_error("body");
            });
        } catch (const group_error& e) {
            for (const auto& x : e.errors())
                found.push_back(describe(x));
        }
        co_return found;
    };
    EXPECT_EQ(run(parent), (std::vector<std::string>{"body", "child"}));
}
TEST_F(Group, R066_CallableThatThrowsBeforeItIsACoroutine) {
    auto body = [](group g) -> task<> {
        (void)g.spawn(nap, 1h);
        throw my_error("no coroutine");
    };
    auto parent = [&]() -> task<> { co_await with_group(body); };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "no coroutine");
    EXPECT_EQ(elapsed(), 0s);
}
TEST_F(Group, R067_CancelledFromOutsideLeavesAsCancelled) {
    bool after = false;
    auto f = rt_.submit([&]() -> task<> {
        co_await with_group([](group g) -> task<> {
            (void)g.spawn(nap, 1h);
            co_return;
        });
        after = true;
    });
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_EQ(f.status(), task_status::cancelled);
    EXPECT_FALSE(after);
}
TEST_F(Group, R067_RealErrorIsThrownAndTheCancelShowsAtTheNextAwait) {
    std::string log;
    auto f = rt_.submit([&]() -> task<> {
        try {
            co_await with_group([](group g) -> task<> {
                (void)g.spawn([]() -> task<> {
                    (void)co_await as_outcome(sleep_for(1h));
                    throw my_error("real");
                });
                co_await sleep_for(1h);
            });
        } catch (const my_error& e) {
            log += e.what();
        }
        co_await checkpoint();
        log += "!";
    });
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_EQ(f.status(), task_status::cancelled);
    EXPECT_EQ(log, "real");
}
TEST_F(Group, R067_ValueIsKeptWhenNoChildWasCutShort) {
    auto f = rt_.submit([]() -> task<int> {
        co_return co_await with_group([](group g) -> task<int> {
            (void)g.spawn([]() -> task<> { (void)co_await as_outcome(sleep_for(1h)); });
            co_return 5;
        });
    });
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_EQ(f.status(), task_status::done);
    EXPECT_EQ(f.get(), 5);
}
TEST_F(Group, R067_ValueIsDroppedWhenAChildWasCutShort) {
    auto f = rt_.submit([]() -> task<int> {
        co_return co_await with_group([](group g) -> task<int> {
            (void)g.spawn(nap, 1h);
            co_return 5;
        });
    });
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Group, R068_ChildCancelledOnItsOwnIsNoFailure) {
    auto parent = []() -> task<int> {
        co_return co_await with_group([](group g) -> task<int> {
            auto a = g.spawn(nap, 1h);
            auto b = g.spawn(give_later, 2s, 6);
            co_await sleep_for(1s);
            a.cancel();
            co_return co_await b;
        });
    };
    EXPECT_EQ(run(parent), 6);
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(Group, R069_SpawnOnAnEndedGroupIsRefusedAndDestroysItsArguments) {
    std::optional<group> kept;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            kept = g;
            co_return;
        });
        EXPECT_THROW((void)kept->spawn([](const counted&) {}, object()), closed_error);
        EXPECT_EQ(objects_.alive, 0);
        EXPECT_FALSE(kept->cancel());
    };
    run(parent);
    EXPECT_THROW((void)kept->spawn(nap, 1s), closed_error);
    (void)rt_.close();
    EXPECT_THROW((void)kept->spawn(nap, 1s), closed_error);
}
TEST_F(Group, R070_SpawnWhileTheGroupDrainsIsAwaited) {
    bool late = false;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn([&late, g]() mutable -> task<> {
                co_await sleep_for(1s);
                (void)g.spawn([&late]() -> task<> {
                    co_await sleep_for(1s);
                    late = true;
                });
            });
            co_return;
        });
        EXPECT_TRUE(late);
    };
    run(parent);
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(Group, R071_SpawnIntoACancelledGroupIsCancelledAtOnce) {
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            g.cancel();
            bool entered = false;
            auto f = g.spawn(
                [&entered](const counted&) -> task<> {
                    entered = true;
                    co_return;
                },
                object());
            EXPECT_EQ(f.status(), task_status::cancelled);
            EXPECT_EQ(objects_.alive, 0);
            EXPECT_FALSE(entered);
            co_return;
        });
    };
    run(parent);
}
task<> respawn(group g, int& rounds) {
    ++rounds;
    co_await defer(
        1min,
        [](group again, int& n) -> task<> {
            (void)again.spawn(respawn, again, std::ref(n));
            co_return;
        },
        g, std::ref(rounds));
    co_await sleep_for(1h);
}
TEST_F(Group, R071_SelfRespawningTasksCannotKeepTheGroupAlive) {
    int rounds = 0;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn(respawn, g, std::ref(rounds));
            co_await sleep_for(1s);
            g.cancel();
        });
    };
    run(parent);
    EXPECT_EQ(rounds, 1);
}
TEST_F(Group, R072_InnerFailureHandledInsideLeavesTheOuterAlone) {
    std::string log;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            auto sibling = g.spawn(nap, 2s);
            try {
                co_await with_group([](group inner) -> task<> {
                    (void)inner.spawn(fail_later, 1s, "inner");
                    co_await sleep_for(1h);
                });
            } catch (const my_error& e) {
                log += e.what();
            }
            co_await sibling;
            log += "+";
        });
    };
    run(parent);
    EXPECT_EQ(log, "inner+");
}
TEST_F(Group, R072_OuterFailureCancelsTheInner) {
    bool after_inner = false;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn(fail_later, 1s, "outer");
            co_await with_group([](group inner) -> task<> {
                (void)inner.spawn(nap, 1h);
                co_return;
            });
            after_inner = true;
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "outer");
    EXPECT_FALSE(after_inner);
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(Group, R073_AfterACaughtGroupErrorTheNextAwaitWorks) {
    auto parent = []() -> task<int> {
        try {
            co_await with_group([](group g) -> task<> {
                (void)g.spawn(fail_later, 1s, "x");
                co_await sleep_for(1h);
            });
        } catch (const my_error&) {}
        EXPECT_FALSE(this_task::cancel_requested());
        co_return co_await give_later(1s, 4);
    };
    EXPECT_EQ(run(parent), 4);
}
TEST_F(Group, R032_OnlyTheCancelledScopeAbsorbs) {
    std::string log;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group outer) -> task<> {
            co_await with_group([&](group inner) -> task<> {
                inner.cancel();
                co_await nap(1h);
                log += "!";
            });
            log += "a";
            co_await sleep_for(1ms);
            log += "b";
            auto both = [&log, outer](group inner) -> task<> {
                inner.cancel();
                outer.cancel();
                co_await nap(1h);
                log += "!";
            };
            co_await with_group(both);
            log += "!";
        });
        log += "c";
        co_await sleep_for(1ms);
        log += "d";
    };
    run(parent);
    EXPECT_EQ(log, "abcd");
}
TEST_F(Group, R032_GroupThatCancelledItselfHasNoValue) {
    auto parent = []() -> task<int> {
        co_return co_await with_group([](group g) -> task<int> {
            g.cancel();
            co_await sleep_for(1h);
            co_return 1;
        });
    };
    EXPECT_THROW(run(parent), task_cancelled);
}
TEST_F(Group, R018_FirstCancelOfAGroupCounts) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            EXPECT_FALSE(g.cancel_requested());
            EXPECT_TRUE(g.cancel("one"));
            EXPECT_FALSE(g.cancel("two"));
            EXPECT_TRUE(g.cancel_requested());
            EXPECT_EQ(this_task::why()->message, "one");
            EXPECT_EQ(this_task::why()->source.id, this_task::label().id);
            co_return;
        });
        EXPECT_FALSE(this_task::cancel_requested());
    };
    run(parent);
}

// An argument whose copy fails: spawn throws, and neither the group nor the runtime waits for a child that never was.
struct fails_to_copy {
    fails_to_copy() = default;
    fails_to_copy(const fails_to_copy&) { throw my_error("copy"); }
    fails_to_copy& operator=(const fails_to_copy&) = delete;
};
TEST_F(Group, SpawnWhoseArgumentsCannotBeCopiedLeavesNothingBehind) {
    bool refused = false;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            const fails_to_copy bad;
            try {
                (void)g.spawn([](const fails_to_copy&) {}, bad);
            } catch (const my_error&) {
                refused = true;
            }
            EXPECT_TRUE(g.cancel());
            co_return;
        });
    };
    run(parent);
    EXPECT_TRUE(refused);
}
TEST_F(Group, SubmitWhoseArgumentsCannotBeCopiedLeavesNothingBehind) {
    const fails_to_copy bad;
    EXPECT_THROW((void)rt_.submit([](const fails_to_copy&) {}, bad), my_error);
    EXPECT_EQ(rt_.audit().tasks, 0u);
}

// Destructors that run during the unwinding may use the group, but may not block.
TEST_F(Group, DestructorsSpawnCancelAndAreRefusedToBlockWhileUnwinding) {
    std::string log;
    struct busy {
        group g;
        std::string& log;
        ~busy() {
            auto f = g.spawn(give, 7);
            log += to_string(f.status());
            g.cancel();
            log += thrown_by([&] { f.get(); }).substr(0, 22);
            auto fresh = g.spawn(give, 8);
            log += to_string(fresh.status());
        }
    };
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn([&log, g]() -> task<> {
                const busy b{g, log};
                co_await sleep_for(1h);
            });
            co_await sleep_for(1s);
            g.cancel();
            co_await sleep_for(1h);
        });
    };
    run(parent);
    EXPECT_EQ(log, "cancelledthe task was cancelledcancelled");
}
TEST_F(Group, R048_MillionShortChildrenLeaveTheTreeEmpty) {
    int ran = 0;
    auto parent = [&]() -> task<> {
        for (int k = 0; k < 1000; ++k) {
            co_await with_group([&](group g) -> task<> {
                for (int i = 0; i < 1000; ++i)
                    (void)g.spawn([&ran] { ++ran; });
                co_return;
            });
            EXPECT_EQ(rt_.audit().tasks, 1u);
        }
    };
    run(parent);
    EXPECT_EQ(ran, 1'000'000);
}
TEST_F(Group, HundredThousandSleepersAreCancelled) {
    constexpr int n = 100'000;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            for (int i = 0; i < n; ++i)
                (void)g.spawn([](const counted&) -> task<> { co_await sleep_for(1h); }, object());
            co_await sleep_for(1s);
            EXPECT_EQ(objects_.alive, n);
            EXPECT_EQ(rt_.audit().timers, static_cast<std::size_t>(n));
            g.cancel();
        });
        EXPECT_EQ(objects_.alive, 0);
        EXPECT_EQ(rt_.audit().timers, 0u);
    };
    run(parent);
    EXPECT_EQ(elapsed(), 1s);
}
} // namespace
