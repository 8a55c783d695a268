#include "core_test.hpp"

#include <tenure/core/context.hpp>

namespace {
using namespace core_test;

struct Scope : virtual_test {};

TEST_F(Scope, R051_BodySeesDeadlineAndTheBoundaryMakesItATimeoutError) {
    bool inside = false;
    auto body = [&]() -> task<> {
        auto o = co_await as_outcome(sleep_for(1h));
        inside = o.was_cancelled() && this_task::why()->kind == reason::deadline;
        co_await checkpoint();
    };
    auto parent = [&]() -> task<> {
        auto o = co_await as_outcome(with_timeout(1s, body));
        EXPECT_THROW(o.value(), timeout_error);
        EXPECT_FALSE(this_task::cancel_requested());
        co_await sleep_for(1s); // not cancelled itself
    };
    run(parent);
    EXPECT_TRUE(inside);
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(Scope, BodyInTimeGivesItsValueAndLeavesNoTimer) {
    auto parent = [&]() -> task<int> {
        const int a = co_await with_timeout(5s, give_later, 1s, 7);
        EXPECT_EQ(rt_.audit().timers, 0u);
        const int b = co_await with_deadline(rt_.now() + 1s, give, 1);
        co_return a + b;
    };
    EXPECT_EQ(run(parent), 8);
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(Scope, R052_CancelFromOutsideLeavesAsCancelled) {
    auto f = rt_.submit([]() -> task<> { co_await with_timeout(1h, nap, 2h); });
    advance(1s);
    f.cancel("outside");
    advance(1s);
    EXPECT_EQ(f.status(), task_status::cancelled);
    EXPECT_EQ(f.why()->message, "outside");
}
TEST_F(Scope, R053_NestedDeadlinesThatExpireTogetherAreTheOutermosts) {
    for (int rounds = 0; rounds < 2; ++rounds) {
        std::string log;
        auto inner = [&](tenure::base::time_point at) -> task<> {
            auto o = co_await as_outcome(with_deadline(at, nap, 1h));
            log += o.was_cancelled() ? "cancelled " : "other ";
            co_await checkpoint();
            log += "!";
        };
        auto parent = [&]() -> task<> {
            const auto at = rt_.now() + 1s;
            auto o = co_await as_outcome(with_deadline(at, inner, at));
            log += o.has_failed() ? "timeout" : "other";
        };
        run(parent);
        EXPECT_EQ(log, "cancelled timeout");
    }
}
TEST_F(Scope, R054_InnerExpiresFirstAndTheOuterStillFires) {
    std::string log;
    auto outer = [&]() -> task<> {
        try {
            co_await with_timeout(1s, nap, 1h);
        } catch (const timeout_error&) {
            log += "inner ";
        }
        co_await sleep_for(1h);
    };
    auto parent = [&]() -> task<> {
        try {
            co_await with_timeout(5s, outer);
        } catch (const timeout_error&) {
            log += "outer";
        }
    };
    run(parent);
    EXPECT_EQ(log, "inner outer");
    EXPECT_EQ(elapsed(), 5s);
}
TEST_F(Scope, R055_TimeoutWaitsForTheCleanup) {
    bool cleaned = false;
    auto parent = [&]() -> task<> {
        auto o = co_await as_outcome(with_timeout(1s, nap_and_clean_up, 10s, std::ref(cleaned)));
        EXPECT_TRUE(o.has_failed());
        EXPECT_TRUE(cleaned);
    };
    run(parent);
    EXPECT_EQ(elapsed(), 11s);
}
TEST_F(Scope, R056_ValueOfALateBodyIsKept) {
    auto late = []() -> task<int> {
        (void)co_await as_outcome(sleep_for(1h));
        EXPECT_TRUE(this_task::cancel_requested());
        co_return 7;
    };
    auto parent = [&]() -> task<int> {
        const int v = co_await with_timeout(1s, late);
        auto w = co_await move_on_after(1s, late);
        co_return v + w.value_or(100);
    };
    EXPECT_EQ(run(parent), 14);
}
TEST_F(Scope, R057_ErrorAfterExpiryWins) {
    auto late = []() -> task<> {
        (void)co_await as_outcome(sleep_for(1h));
        throw my_error("mine");
    };
    auto parent = [&]() -> task<> {
        auto o = co_await as_outcome(with_timeout(1s, late));
        EXPECT_EQ(describe(o.error()), "mine");
    };
    run(parent);
}
TEST_F(Scope, R058_TimeoutOfZeroOrLessNeverEntersTheBody) {
    int entered = 0;
    auto body = [&](const counted&) -> task<> {
        ++entered;
        co_return;
    };
    auto parent = [&]() -> task<> {
        for (const auto d : {0s, -1s, std::chrono::seconds::min()}) {
            auto o = co_await as_outcome(with_timeout(d, body, object()));
            EXPECT_THROW(o.value(), timeout_error);
            const bool in_time = co_await move_on_after(d, body, object());
            EXPECT_FALSE(in_time);
        }
        auto o = co_await as_outcome(with_deadline(rt_.now(), body, object()));
        EXPECT_THROW(o.value(), timeout_error);
    };
    run(parent);
    EXPECT_EQ(entered, 0);
}
TEST_F(Scope, R059_HundredThousandEarlyEndsLeaveNoTimer) {
    auto parent = [&]() -> task<> {
        for (int i = 0; i < 100'000; ++i) {
            const int v = co_await with_timeout(1h, give, i);
            EXPECT_EQ(v, i);
        }
        EXPECT_EQ(rt_.audit().timers, 0u);
    };
    run(parent);
    EXPECT_EQ(elapsed(), 0s);
}
TEST_F(Scope, R061_HugeDurationsDoNotOverflow) {
    auto parent = []() -> task<int> {
        const int a = co_await with_timeout(std::chrono::hours::max(), give_later, 1s, 1);
        const int b = co_await with_timeout(tenure::base::duration::max(), give, 2);
        const int c = co_await with_deadline(tenure::base::never, give_later, 1s, 4);
        co_return a + b + c;
    };
    EXPECT_EQ(run(parent), 7);
}
// Time passes while the body computes: the clock of this driver moves when the test says so.
struct hand_driver final : driver {
    tenure::base::time_point t{1h};
    tenure::base::duration step{};
    tenure::base::time_point now() noexcept override { return t += step; }
    void park(tenure::base::time_point until) override { t = std::max(t, until); }
    void unpark() noexcept override {}
};
TEST(ScopeOnABusyWorker, R061_LoopThatIsAlwaysReadyTimesOut) {
    auto io = std::make_unique<hand_driver>();
    io->step = 20ms; // each look at the clock, which is one in thousands of awaits
    runtime rt({.threads = 0, .io = std::move(io)});
    auto spin = []() -> task<> {
        for (;;)
            co_await give(1);
    };
    EXPECT_THROW(rt.block_on([&]() -> task<> { co_await with_timeout(1s, spin); }), timeout_error);
}
TEST(ScopeOnABusyWorker, R061_BodyThatNeverSuspendsTimesOutAtItsNextCheckpoint) {
    auto io = std::make_unique<hand_driver>();
    auto& clock = *io;
    runtime rt({.threads = 0, .io = std::move(io)});
    std::string log;
    auto busy = [&]() -> task<> {
        co_await checkpoint();
        clock.t += 10s;
        log += "burnt ";
        co_await checkpoint();
        log += "!";
    };
    EXPECT_THROW(rt.block_on([&]() -> task<> { co_await with_timeout(1s, busy); }), timeout_error);
    EXPECT_EQ(log, "burnt ");
}
TEST(ScopeOnABusyWorker, R053_InnerDeadlineThatIsPastAtItsStartIsTheOutersIfThatIsPastToo) {
    auto io = std::make_unique<hand_driver>();
    auto& clock = *io;
    runtime rt({.threads = 0, .io = std::move(io)});
    std::string log;
    auto outer = [&]() -> task<> {
        clock.t += 10s;
        try {
            co_await with_timeout(0s, give, 1);
        } catch (const timeout_error&) {
            log += "inner";
        }
    };
    EXPECT_THROW(rt.block_on([&]() -> task<> { co_await with_timeout(1s, outer); }), timeout_error);
    EXPECT_EQ(log, "");
}
TEST(ScopeOnABusyWorker, R061_PlainFunctionThatPollsSeesItsDeadline) {
    auto io = std::make_unique<hand_driver>();
    auto& clock = *io;
    runtime rt({.threads = 0, .io = std::move(io)});
    int rounds = 0;
    auto compute = [&] {
        for (;; ++rounds) {
            clock.t += 100ms;
            this_task::checkpoint();
        }
    };
    auto body = [&]() -> task<> {
        compute();
        co_return;
    };
    EXPECT_THROW(rt.block_on([&]() -> task<> { co_await with_timeout(1s, body); }), timeout_error);
    EXPECT_EQ(rounds, 9);
}
TEST_F(Scope, R056_BodyKnowsThatItIsLateAndItsValueIsKept) {
    std::optional<timeout_scope> kept;
    auto body = [&](timeout_scope s, int v) -> task<int> {
        kept = s;
        EXPECT_FALSE(s.expired());
        (void)co_await as_outcome(sleep_for(1h));
        EXPECT_TRUE(s.expired());
        co_return v;
    };
    run([&]() -> task<> { EXPECT_EQ(co_await with_timeout(2s, body, 7), 7); });
    EXPECT_EQ(elapsed(), 2s);
    EXPECT_TRUE(kept->expired());
}
TEST_F(Scope, R056_StrictTurnsALateValueIntoATimeoutError) {
    auto late = []() -> task<int> {
        (void)co_await as_outcome(sleep_for(1h));
        co_return 7;
    };
    auto late_with_handle = [late](timeout_scope) -> task<int> { co_return co_await late(); };
    auto late_error = []() -> task<int> {
        (void)co_await as_outcome(sleep_for(1h));
        throw my_error("own");
    };
    run([&]() -> task<> {
        const auto first = co_await as_outcome(with_timeout(strict, 2s, late));
        EXPECT_THROW((void)first.value(), timeout_error);
        const auto second = co_await as_outcome(with_deadline(strict, rt_.now() + 2s, late_with_handle));
        EXPECT_THROW((void)second.value(), timeout_error);
        const auto third = co_await as_outcome(with_timeout(strict, 2s, late_error));
        EXPECT_THROW((void)third.value(), my_error);
        EXPECT_EQ(co_await with_timeout(strict, 2s, give_later, 1s, 5), 5);
    });
}
TEST_F(Scope, R060_DeadlineMovesLaterEarlierAndAway) {
    run([&]() -> task<> {
        auto later = [&](timeout_scope s) -> task<int> {
            const auto was = s.deadline();
            s.move_to(was + 5s);
            EXPECT_EQ(s.deadline(), was + 5s);
            co_await sleep_for(4s);
            co_return 1;
        };
        EXPECT_EQ(co_await with_timeout(1s, later), 1);
        EXPECT_EQ(elapsed(), 4s);
        auto earlier = [&](timeout_scope s) -> task<> {
            s.move_to(rt_.now() + 1s);
            co_await sleep_for(1h);
        };
        const auto o = co_await as_outcome(with_timeout(1h, earlier));
        EXPECT_THROW((void)o.value(), timeout_error);
        EXPECT_EQ(elapsed(), 5s);
        auto never = [&](timeout_scope s) -> task<> {
            s.move_to(tenure::base::never);
            co_await sleep_for(24h);
        };
        EXPECT_TRUE(co_await move_on_after(1s, never));
        auto past = [&](timeout_scope s) -> task<> {
            s.move_to(rt_.now() - 1h);
            co_await checkpoint();
            ADD_FAILURE();
        };
        EXPECT_FALSE(co_await move_on_after(1h, past));
    });
    EXPECT_EQ(elapsed(), 24h + 5s);
}
TEST_F(Scope, R060_ChildrenInheritTheMovedDeadline) {
    run([&]() -> task<> {
        auto outer = [&](timeout_scope s) -> task<> {
            auto body = [&](group g) -> task<> {
                auto child = [&]() -> task<> {
                    auto inner = [&]() -> task<> {
                        const auto at = rt_.now() + 30s;
                        s.move_to(at);
                        EXPECT_EQ(this_task::deadline(), at);
                        s.move_to(at + 1h);
                        EXPECT_LT(this_task::deadline(), at + 31s); // its own is earlier
                        co_return;
                    };
                    co_await with_timeout(1min, inner);
                    EXPECT_EQ(this_task::deadline(), s.deadline());
                    auto shielded = [&]() -> task<> {
                        s.move_to(rt_.now() + 1s);
                        EXPECT_GT(this_task::deadline(), rt_.now() + 1s);
                        co_return;
                    };
                    co_await shield(10s, shielded);
                };
                co_await g.spawn(child);
            };
            co_await with_group(body);
        };
        co_await with_timeout(1s, outer);
    });
}
TEST_F(Scope, R060_MovingAnExpiredOrLeftDeadlineIsAnError) {
    std::optional<timeout_scope> kept;
    run([&]() -> task<> {
        auto body = [&](timeout_scope s) -> task<> {
            kept = s;
            (void)co_await as_outcome(sleep_for(1h));
            EXPECT_THROW(s.move_to(rt_.now() + 1h), usage_error);
        };
        co_await with_timeout(1s, body);
        EXPECT_THROW(kept->move_to(rt_.now() + 1h), usage_error);
        auto in_time = [&](timeout_scope s) -> task<> {
            kept = s;
            co_return;
        };
        co_await with_timeout(1s, in_time);
        EXPECT_FALSE(kept->expired());
        EXPECT_THROW(kept->move_to(tenure::base::never), usage_error);
    });
}
TEST_F(Scope, R062_MoveOnAfterIsEmptyForItsOwnExpiryOnly) {
    auto parent = []() -> task<> {
        const auto in_time = co_await move_on_after(5s, give_later, 1s, 3);
        EXPECT_EQ(in_time, 3);
        const auto late = co_await move_on_after(1s, give_later, 5s, 3);
        EXPECT_EQ(late, std::nullopt);
        const bool ended = co_await move_on_after(1s, nap, 5s);
        EXPECT_FALSE(ended);
        auto failed = co_await as_outcome(move_on_after(5s, fail_later, 1s, "x"));
        EXPECT_EQ(describe(failed.error()), "x");
        auto outer = co_await as_outcome(with_timeout(1s, []() -> task<> {
            auto none = co_await move_on_after(5s, give_later, 9s, 3);
            EXPECT_TRUE(false) << none.has_value();
        }));
        EXPECT_THROW(outer.value(), timeout_error);
    };
    run(parent);
}
TEST_F(Scope, R062_MoveOnAfterCancelledFromOutsideIsCancelled) {
    bool after = false;
    auto f = rt_.submit([&]() -> task<> {
        (void)co_await move_on_after(1h, nap, 2h);
        after = true;
    });
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_FALSE(after);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Scope, ArgumentsAreCopiedAndReferencesNeedRef) {
    auto parent = []() -> task<> {
        int local = 1;
        auto body = [](int copy, int& same) -> task<> {
            ++copy;
            ++same;
            co_return;
        };
        co_await with_timeout(1s, body, local, std::ref(local));
        EXPECT_EQ(local, 2);
    };
    run(parent);
}
TEST_F(Scope, BodyThatThrowsBeforeItIsACoroutine) {
    auto refuses = [](int) -> task<> { throw my_error("no frame"); };
    auto parent = [&]() -> task<> {
        auto o = co_await as_outcome(with_timeout(1s, refuses, 1));
        EXPECT_EQ(describe(o.error()), "no frame");
        EXPECT_EQ(rt_.audit().timers, 0u);
    };
    run(parent);
}
TEST_F(Scope, SameScopeCanBeAwaitedTwice) {
    auto parent = [&]() -> task<> {
        auto pause = sleep_for(1s);
        co_await pause;
        co_await pause;
        EXPECT_EQ(elapsed(), 2s);
        auto limited = with_timeout(1s, nap, 1h);
        for (int i = 0; i < 2; ++i) {
            bool expired = false;
            try {
                co_await limited;
            } catch (const timeout_error&) {
                expired = true;
            }
            EXPECT_TRUE(expired);
        }
        EXPECT_EQ(elapsed(), 4s);
        auto quick = with_timeout(1h, give_later, 1s, 5);
        for (int i = 0; i < 2; ++i) {
            const int v = co_await quick;
            EXPECT_EQ(v, 5);
        }
        EXPECT_EQ(elapsed(), 6s);
    };
    run(parent);
}

TEST_F(Scope, R026_ShieldHidesTheCancelFromTheTaskAndItsChildren) {
    std::string log;
    auto f = rt_.submit([&]() -> task<> {
        co_await shield(1min, [&]() -> task<> {
            co_await sleep_for(2s);
            log += this_task::cancel_requested() ? "seen " : "hidden ";
            co_await with_group([&](group g) -> task<> {
                (void)g.spawn([&]() -> task<> {
                    co_await sleep_for(1s);
                    log += this_task::cancel_requested() ? "seen " : "hidden ";
                });
                co_return;
            });
        });
        log += this_task::cancel_requested() ? "seen" : "hidden";
        co_await checkpoint();
        log += "!";
    });
    advance(1s);
    f.cancel();
    EXPECT_TRUE(f.cancel_requested()); // R028: asked from outside, shields do not count
    advance(5s);
    EXPECT_EQ(log, "hidden hidden seen");
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Scope, R026_ShieldIsEnteredByATaskThatIsCancelledAlready) {
    bool ran = false;
    auto f = rt_.submit([&]() -> task<> {
        (void)co_await as_outcome(sleep_for(1h));
        co_await shield(1min, [&]() -> task<> {
            co_await sleep_for(1s);
            ran = true;
        });
        co_await checkpoint();
    });
    advance(1s);
    f.cancel();
    advance(5s);
    EXPECT_TRUE(ran);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Scope, R027_ShieldsOwnDeadlineAndOwnCancelWork) {
    auto parent = []() -> task<> {
        auto o = co_await as_outcome(shield(1s, nap, 1h));
        EXPECT_THROW(o.value(), timeout_error);
        co_await shield(1min, []() -> task<> {
            co_await with_group([](group g) -> task<> {
                g.cancel();
                co_await sleep_for(1h);
            });
        });
    };
    run(parent);
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(Scope, R027_TimeoutInsideAShieldWorksAlthoughTheTaskIsCancelled) {
    std::string log;
    auto f = rt_.submit([&]() -> task<> {
        (void)co_await as_outcome(sleep_for(1h));
        co_await shield(1min, [&]() -> task<> {
            auto o = co_await as_outcome(with_timeout(1s, nap, 1h));
            log = o.has_failed() ? "timeout" : "other";
        });
    });
    advance(1s);
    f.cancel();
    advance(5s);
    EXPECT_EQ(log, "timeout");
}
TEST_F(Scope, R089_NoTimerIsLeftHoweverAScopeEnds) {
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            for (int i = 0; i < 100; ++i) {
                (void)g.spawn(
                    [](int k) -> task<> {
                        co_await with_timeout(std::chrono::hours(1 + k),
                                              []() -> task<> { co_await with_timeout(2h, nap, 3h); });
                    },
                    i);
            }
            co_await sleep_for(1s);
            EXPECT_EQ(rt_.audit().timers, 300u);
            g.cancel();
        });
        EXPECT_EQ(rt_.audit().timers, 0u);
    };
    run(parent);
    EXPECT_EQ(elapsed(), 1s);
}

// From here on real threads.
// A task that ends while the walk of a deadline visits the others: the walk lets go of its result last. The destructor
// arms and removes a timer, so it must not run under the timers' lock.
TEST(ScopeOfThreads, ResultThatDiesByADeadlineMayUseTimers) {
    struct armer {
        runtime* rt;
        explicit armer(runtime& r) : rt(&r) {}
        armer(armer&& o) noexcept : rt(std::exchange(o.rt, nullptr)) {}
        armer& operator=(const armer&) = delete;
        ~armer() {
            if (rt) (void)rt->context().with_timeout(1h);
        }
    };
    for (int round = 0; round < 3; ++round) {
        runtime rt({.threads = 2});
        constexpr int others = 20000;
        std::atomic<int> begun{0};
        event all_begun, spinning;
        auto children_of_child = [&](group) -> task<> {
            if (++begun == others) all_begun.set();
            co_await sleep_for(1h);
        };
        auto sleeper = [&]() -> task<> { co_await with_group(children_of_child); };
        auto spin = [&]() -> task<> {
            spinning.set();
            for (;;)
                co_await yield();
        };
        auto spinner = [&]() -> task<armer> {
            const context below = context::current(); // a node that the walk has still to visit
            (void)co_await as_outcome(spin());
            co_return armer(rt);
        };
        auto timed = [&](timeout_scope scope) -> task<> {
            auto children = [&](group g) -> task<> {
                for (int i = 0; i < others; ++i)
                    (void)g.spawn(sleeper);
                co_await all_begun.wait();
                (void)g.spawn(spinner); // the newest is visited first, and let go of last
                co_await spinning.wait();
                scope.move_to(rt.now());
                co_await sleep_for(1h);
            };
            co_await with_group(children);
        };
        EXPECT_THROW(rt.block_on([&]() -> task<> { co_await with_timeout(1h, timed); }), timeout_error);
        EXPECT_TRUE(rt.close().abandoned.empty());
        EXPECT_TRUE(rt.audit().clean());
    }
}
} // namespace
