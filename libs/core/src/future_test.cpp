#include "core_test.hpp"

#include <memory>

namespace {
using namespace core_test;

struct Future : virtual_test {};

TEST_F(Future, R001_CancelIsSeenAtOnceButTheStateIsTerminalOnlyAtTheEnd) {
    auto f = rt_.submit(nap, 1h);
    EXPECT_EQ(f.status(), task_status::pending);
    EXPECT_FALSE(f.cancel_requested());
    f.cancel();
    EXPECT_TRUE(f.cancel_requested());
    EXPECT_EQ(f.status(), task_status::pending);
    advance(1ms);
    EXPECT_EQ(f.status(), task_status::cancelled);
    advance(1ms);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Future, R003_ResultThatIsNotReadyIsEmptyAndNeverBlocks) {
    auto f = rt_.submit(give_later, 1s, 4);
    EXPECT_FALSE(f.try_outcome().has_value());
    EXPECT_FALSE(f.wait_for(0ms));
    advance(2s);
    EXPECT_EQ(f.try_outcome()->value(), 4);
    EXPECT_TRUE(f.wait_for(0ms));
}
TEST_F(Future, R003_OutcomeTellsAllThreeEnds) {
    auto value = rt_.submit(nap, 1ms);
    auto failed = rt_.submit(fail_later, 1ms, "bad");
    auto cancelled = rt_.submit(nap, 1h);
    cancelled.cancel("why not");
    advance(1s);
    EXPECT_TRUE(value.try_outcome()->has_value());
    EXPECT_EQ(describe(failed.try_outcome()->error()), "bad");
    EXPECT_EQ(cancelled.try_outcome()->why()->message, "why not");
}
TEST_F(Future, R004_GetRethrowsTheSameFailureEachTime) {
    auto f = rt_.submit(fail_later, 1ms, "bad");
    advance(1s);
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(thrown_by([&] { f.get(); }), "bad");
}
TEST_F(Future, R004_GetLendsTakeMovesOut) {
    auto f = rt_.submit([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); });
    advance(1ms);
    const auto* at = f.get().get();
    EXPECT_EQ(f.get().get(), at);
    const std::unique_ptr<int> mine = f.take();
    EXPECT_EQ(mine.get(), at);
}
TEST_F(Future, R004_TakenResultIsAnErrorNotAnEmptyValue) {
    auto f = rt_.submit([]() -> task<std::string> { co_return "text"; });
    advance(1ms);
    EXPECT_EQ(f.take(), "text");
    EXPECT_THROW((void)f.take(), usage_error);
    EXPECT_THROW((void)f.get(), usage_error);
    EXPECT_THROW((void)f.try_outcome(), usage_error);
    auto reader = [f]() -> task<bool> {
        try {
            const std::string& s = co_await f;
            (void)s;
        } catch (const usage_error&) {
            co_return true;
        }
        co_return false;
    };
    EXPECT_TRUE(run(reader));
}
TEST_F(Future, R004_AwaitBorrowsAndMovedAwaitTakes) {
    auto f = rt_.submit([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); });
    auto reader = [&]() -> task<> {
        const std::unique_ptr<int>& a = co_await f;
        const std::unique_ptr<int>& b = co_await f;
        EXPECT_EQ(&a, &b);
        auto copy = f;
        const std::unique_ptr<int> mine = co_await std::move(copy);
        EXPECT_EQ(*mine, 3);
    };
    run(reader);
}
TEST_F(Future, R005_CancellingAnAwaiterLeavesTheAwaitedTaskAlone) {
    auto work = rt_.submit(give_later, 1s, 9);
    auto awaiter = rt_.submit([&]() -> task<int> { co_return co_await work; });
    advance(1ms);
    awaiter.cancel();
    advance(1ms);
    EXPECT_EQ(awaiter.status(), task_status::cancelled);
    EXPECT_FALSE(work.cancel_requested());
    advance(2s);
    EXPECT_EQ(work.get(), 9);
}
// Removal from the list of waiters: first, middle, last and only one.
TEST_F(Future, R005_AnyOfManyAwaitersCanBeCancelled) {
    for (int victim = 0; victim < 4; ++victim) {
        auto work = rt_.submit(give_later, 1s, 9);
        std::vector<future<int>> all;
        for (int i = 0; i < 3; ++i)
            all.push_back(rt_.submit([work]() -> task<int> { co_return co_await work; }));
        advance(1ms);
        for (int i = 0; i < 3; ++i)
            if (victim == i || victim == 3) all[i].cancel();
        advance(1ms);
        advance(2s);
        for (int i = 0; i < 3; ++i)
            EXPECT_EQ(all[i].status(),
                      victim == i || victim == 3 ? task_status::cancelled : task_status::done);
    }
}
TEST_F(Future, R006_SelfAwaitIsAnErrorAndNotAHang) {
    std::optional<future<void>> self;
    auto f = rt_.submit([&]() -> task<> { co_await *self; });
    self = f;
    advance(1ms);
    EXPECT_THROW(f.get(), usage_error);
    self.reset();
}
// The budget of ready awaits runs out at an await like any other.
TEST_F(Future, R006_SelfAwaitIsAnErrorAtEveryPointOfTheBudget) {
    for (int spent = detail::await_budget - 3; spent <= detail::await_budget + 1; ++spent) {
        std::optional<future<void>> self;
        auto f = rt_.submit([&]() -> task<> {
            for (int i = 0; i < spent; ++i)
                co_await checkpoint();
            co_await *self;
        });
        self = f;
        advance(1ms);
        EXPECT_EQ(f.status(), task_status::failed) << spent;
        if (f.status() == task_status::failed) {
            EXPECT_THROW(f.get(), usage_error);
        }
        f.cancel();
        advance(1ms);
        self.reset();
    }
}
TEST_F(Future, R018_FirstRequestCountsAndFixesTheCause) {
    auto f = rt_.submit(nap, 1h);
    advance(1ms);
    EXPECT_TRUE(f.cancel("one"));
    EXPECT_FALSE(f.cancel("two"));
    advance(1ms);
    EXPECT_FALSE(f.cancel("three"));
    EXPECT_EQ(f.why()->message, "one");
    EXPECT_EQ(thrown_by([&] { f.get(); }).substr(0, 27), "the task was cancelled: one");
}
TEST_F(Future, R019_CauseIsReadableInsideAndOutside) {
    std::string inside;
    tenure::base::task_id source = 0, canceller_id = 0;
    auto f = rt_.submit([&]() -> task<> {
        auto o = co_await as_outcome(sleep_for(1h));
        EXPECT_TRUE(o.was_cancelled());
        inside = this_task::why()->message;
        source = this_task::why()->source.id;
        EXPECT_EQ(o.why()->message, inside);
    });
    advance(1ms);
    auto canceller = rt_.submit([&]() -> task<> {
        canceller_id = this_task::label().id;
        f.cancel("no longer wanted");
        co_return;
    });
    advance(1ms);
    EXPECT_EQ(inside, "no longer wanted");
    EXPECT_EQ(f.why()->kind, reason::cancelled);
    EXPECT_NE(source, 0u);
    EXPECT_EQ(source, canceller_id);
}
TEST_F(Future, R034_CancelOfAnEndedTaskDoesNothing) {
    auto f = rt_.submit(give, 1);
    advance(1ms);
    EXPECT_FALSE(f.cancel());
    EXPECT_FALSE(f.cancel_requested());
    EXPECT_EQ(f.get(), 1);
    EXPECT_EQ(f.why(), nullptr);
}
TEST_F(Future, R036_CancelAndJoinReturnsAfterTheCleanup) {
    bool cleaned = false;
    auto victim = rt_.submit(nap_and_clean_up, 1s, std::ref(cleaned));
    advance(1ms);
    auto parent = [&]() -> task<task_status> { co_return co_await victim.cancel_and_join(); };
    EXPECT_EQ(run(parent), task_status::cancelled);
    EXPECT_TRUE(cleaned);
    EXPECT_EQ(elapsed(), 1s + 1ms);
}
TEST_F(Future, R036_CancelAndJoinCancelsAtEveryPointOfTheBudget) {
    for (int spent = detail::await_budget - 3; spent <= detail::await_budget + 1; ++spent) {
        auto victim = rt_.submit(nap, 1h);
        auto parent = [&]() -> task<task_status> {
            for (int i = 0; i < spent; ++i)
                co_await checkpoint();
            co_return co_await victim.cancel_and_join();
        };
        const auto before = rt_.now();
        EXPECT_EQ(run(parent), task_status::cancelled) << spent;
        EXPECT_EQ(rt_.now() - before, 0s) << spent;
    }
}
TEST_F(Future, AwaitingATaskThatSomebodyElseCancelledIsAFailure) {
    auto work = rt_.submit(nap, 1h);
    auto awaiter = rt_.submit([&]() -> task<std::string> {
        try {
            co_await work;
        } catch (const task_cancelled& e) {
            co_return std::string(e.what()).substr(0, 24);
        }
        co_return "nothing";
    });
    advance(1ms);
    work.cancel("gone");
    advance(1ms);
    EXPECT_EQ(awaiter.get(), "the task was cancelled: ");
    EXPECT_FALSE(awaiter.cancel_requested());
}
TEST_F(Future, AwaiterCancelledTogetherWithTheAwaitedUnwinds) {
    std::string log;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            auto work = g.spawn(nap, 1h);
            (void)g.spawn([&log, work]() -> task<> {
                try {
                    co_await work;
                } catch (...) {
                    log += "handler";
                }
                log += "after";
            });
            co_await sleep_for(1s);
            g.cancel();
        });
    };
    run(parent);
    EXPECT_EQ(log, "");
}
// An await whose task is cancelled with its awaiter at the worst moment: the awaiter has just been found not cancelled.
class await_of_a_child_cancelled_meanwhile {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    explicit await_of_a_child_cancelled_meanwhile(group g) : group_(std::move(g)) {}
    bool ready() {
        group_.cancel();
        await_.emplace(group_.spawn([] {}).await_operation()); // born cancelled: it has ended
        return await_->ready();
    }
    void start(tenure::core::detail::strand& s, tenure::core::detail::frame& f) { await_->start(s, f); }
    void result() { await_->result(); }

private:
    group group_;
    std::optional<decltype(std::declval<future<void>>().await_operation())> await_;
};
TEST_F(Future, AwaiterCancelledWhileItsAwaitBeginsUnwinds) {
    std::string log;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            try {
                co_await await_of_a_child_cancelled_meanwhile(g);
            } catch (const task_cancelled&) {
                log += "handler";
            }
            log += "after";
        });
    };
    run(parent);
    EXPECT_EQ(log, "");
}
TEST_F(Future, JoinSaysHowItEndedAndThrowsNothing) {
    auto parent = [&]() -> task<> {
        auto failed = rt_.submit(fail_later, 1s, "x");
        auto ended = rt_.submit(give, 1);
        auto how = co_await failed.join();
        EXPECT_EQ(how, task_status::failed);
        how = co_await ended.join();
        EXPECT_EQ(how, task_status::done);
    };
    run(parent);
}
TEST_F(Future, ManyAwaitersGetTheSameValue) {
    auto work = rt_.submit(give_later, 1s, 5);
    int sum = 0;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            for (int i = 0; i < 1000; ++i) {
                (void)g.spawn([&, work]() -> task<> {
                    const int v = co_await work;
                    sum += v;
                });
            }
            co_return;
        });
    };
    run(parent);
    EXPECT_EQ(sum, 5000);
}

TEST_F(Future, R099_UnreadFailureIsReportedOnceWithItsSpawnSite) {
    std::vector<unread_failure> told;
    {
        runtime rt(tenure::core::testing::virtual_time([&](const unread_failure& f) { told.push_back(f); }));
        (void)rt.submit({.name = "fetch"}, fail_later, 1s, "lost");
        rt.block_on(nap, 2s);
    }
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(describe(told[0].error), "lost");
    EXPECT_EQ(told[0].task.name, "fetch");
    EXPECT_NE(to_string(told[0].task).find("future_test.cpp:"), std::string::npos);
}
TEST_F(Future, R099_HeldFutureDelaysTheReportUntilItIsDropped) {
    auto f = std::make_optional(rt_.submit(fail_later, 1ms, "kept"));
    auto copy = f;
    advance(1s);
    f.reset();
    EXPECT_TRUE(unread_.empty());
    copy.reset();
    expected_unread_ = {"kept"};
}
TEST_F(Future, R099_ReadCancelledAndSuccessfulOnesAreNeverReported) {
    {
        auto read = rt_.submit(fail_later, 1ms, "a");
        auto looked = rt_.submit(fail_later, 1ms, "b");
        auto joined = rt_.submit(fail_later, 1ms, "c");
        auto cancelled = rt_.submit(nap, 1h);
        auto fine = rt_.submit(give, 1);
        cancelled.cancel();
        advance(1s);
        EXPECT_THROW(read.get(), my_error);
        EXPECT_TRUE(looked.try_outcome()->has_failed());
        auto join = [&]() -> task<> { (void)co_await joined.join(); };
        run(join);
    }
    EXPECT_TRUE(unread_.empty());
}
TEST_F(Future, R099_AskingForTheStatusIsNotReading) {
    {
        auto f = rt_.submit(fail_later, 1ms, "seen only as status");
        advance(1s);
        EXPECT_EQ(f.status(), task_status::failed);
    }
    expected_unread_ = {"seen only as status"};
}
TEST_F(Future, R099_FailureOfAChildIsTheGroupsAndNotReportedAgain) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            (void)g.spawn(fail_later, 1s, "child");
            co_return;
        });
    };
    EXPECT_THROW(run(parent), my_error);
}
TEST_F(Future, R099_HookThatThrowsHarmsNobody) {
    runtime rt(tenure::core::testing::virtual_time([](const unread_failure&) { throw my_error("hook"); }));
    (void)rt.submit(fail_later, 1ms, "x");
    rt.block_on(nap, 1s);
    EXPECT_EQ(rt.block_on(give, 1), 1);
}
TEST_F(Future, R100_DroppingAHandleNeitherCancelsNorDetaches) {
    bool finished = false;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn([&]() -> task<> {
                co_await sleep_for(1s);
                finished = true;
            });
            co_return;
        });
        EXPECT_TRUE(finished);
    };
    run(parent);
}
TEST_F(Future, R004_ValueOfATemporaryFutureIsNotLentButGiven) {
    using text = std::string;
    static_assert(std::is_same_v<decltype(std::declval<future<text>>().get()), text>);
    static_assert(std::is_same_v<decltype(std::declval<future<text>&>().get()), const text&>);
    runtime rt({.threads = 1});
    auto make = [] { return text(100, 'x'); };
    const auto& kept = rt.submit(make).get(); // lives as long as the name
    EXPECT_EQ(kept, text(100, 'x'));
    rt.submit([] {}).get();
    run([&]() -> task<> {
        auto body = [&](group g) -> task<> {
            const auto& awaited = co_await g.spawn(make);
            co_await sleep_for(1s); // the child is gone
            EXPECT_EQ(awaited, text(100, 'x'));
        };
        co_await with_group(body);
    });
}
TEST_F(Future, R102_ResultLivesAsLongAsAHandleAndNotLonger) {
    auto shared = std::make_shared<int>(1);
    std::weak_ptr<int> watch = shared;
    auto f = std::make_optional(rt_.submit(
        [](std::shared_ptr<int> p) -> task<std::shared_ptr<int>> { co_return p; }, std::move(shared)));
    advance(1ms);
    EXPECT_EQ(watch.use_count(), 1);
    auto copy = f;
    f.reset();
    EXPECT_FALSE(watch.expired());
    copy.reset();
    EXPECT_TRUE(watch.expired());
}
TEST_F(Future, R102_CaughtFailureKeepsNothingAlive) {
    struct holding : std::runtime_error {
        explicit holding(std::shared_ptr<int> p) : std::runtime_error("holding"), kept(std::move(p)) {}
        std::shared_ptr<int> kept;
    };
    std::weak_ptr<int> watch;
    auto parent = [&]() -> task<> {
        try {
            co_await with_group([&](group g) -> task<> {
                (void)g.spawn([&]() -> task<> {
                    auto p = std::make_shared<int>(1);
                    watch = p;
                    throw holding(p);
                    co_return;
                });
                co_return;
            });
        } catch (const holding&) {}
        EXPECT_TRUE(watch.expired());
    };
    run(parent);
    EXPECT_TRUE(watch.expired());
}
TEST_F(Future, R102_FutureOutlivesItsRuntime) {
    std::optional<future<std::string>> done;
    std::optional<future<void>> cancelled;
    {
        runtime rt(tenure::core::testing::virtual_time());
        done = rt.submit([]() -> task<std::string> { co_return "kept"; });
        cancelled = rt.submit(nap, 1h);
        rt.block_on(nap, 1ms);
        cancelled->cancel();
    }
    EXPECT_EQ(done->get(), "kept");
    EXPECT_FALSE(done->cancel());
    EXPECT_THROW(cancelled->get(), task_cancelled);
}
TEST_F(Future, R103_BlockingWaitInsideATaskIsAnError) {
    auto work = rt_.submit(nap, 1s);
    auto blocks = [&] {
        EXPECT_THROW(work.get(), usage_error);
        EXPECT_THROW(work.take(), usage_error);
        EXPECT_THROW((void)work.wait_for(1s), usage_error);
        EXPECT_THROW(rt_.block_on(give, 1), usage_error);
        EXPECT_THROW(rt_.close(), usage_error);
    };
    run(blocks);
    run([&]() -> task<> {
        blocks();
        co_return;
    });
    advance(2s);
    auto reads_what_has_ended = [&]() -> task<> {
        work.get(); // no wait
        co_return;
    };
    run(reads_what_has_ended);
}
} // namespace
