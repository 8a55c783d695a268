#include "core_test.hpp"

#include <tenure/core/context.hpp>

#include <thread>

namespace {
using namespace core_test;
using tenure::base::never;

const context_key<std::string> trace_id{"trace_id"};
const context_key<int> depth{"depth"};

struct Contexts : virtual_test {};

TEST_F(Contexts, R017_CancelIsOnlyARequestAndRunsNothingHere) {
    const context c = rt_.context();
    bool called = false;
    auto h = c.after_func([&] { called = true; });
    EXPECT_TRUE(c.cancel("enough"));
    EXPECT_FALSE(called);
    advance(1s);
    EXPECT_TRUE(called);
}
TEST_F(Contexts, R018_FirstCancelCountsAndFixesTheCause) {
    const context c = rt_.context();
    EXPECT_EQ(c.reason(), reason::none);
    EXPECT_EQ(c.cause(), nullptr);
    EXPECT_TRUE(c.cancel("first"));
    EXPECT_FALSE(c.cancel("second"));
    EXPECT_EQ(c.cause()->message, "first");
}
TEST_F(Contexts, R037_CancelReachesEveryDescendantBeforeItReturns) {
    const context root = rt_.context();
    const context child = root.with_cancel();
    const context grandchild = child.with_timeout(1h).with_value(depth, 2).with_cancel();
    root.cancel("all");
    EXPECT_EQ(child.cause()->message, "all");
    EXPECT_EQ(grandchild.cause()->message, "all");
}
TEST_F(Contexts, R038_CancellingAChildTouchesNeitherParentNorSiblings) {
    const context parent = rt_.context();
    const context a = parent.with_cancel(), b = parent.with_cancel();
    a.cancel();
    EXPECT_FALSE(parent.cancel_requested());
    EXPECT_FALSE(b.cancel_requested());
}
TEST_F(Contexts, R039_ChildOfACancelledContextIsBornCancelledWithItsCause) {
    const context parent = rt_.context();
    parent.cancel("before");
    EXPECT_EQ(parent.with_cancel().cause()->message, "before");
    EXPECT_EQ(parent.with_timeout(1h).cause()->message, "before");
    EXPECT_EQ(rt_.audit().timers, 0u);
}
TEST_F(Contexts, R040_CancellationIsIrrevocable) {
    const context c = rt_.context().with_timeout(1s, "too slow");
    advance(2s);
    EXPECT_EQ(c.cause()->message, "too slow");
    const context later = c.with_timeout(1h);
    EXPECT_TRUE(later.cancel_requested());
    EXPECT_FALSE(c.cancel("again"));
    advance(2h);
    EXPECT_EQ(c.reason(), reason::deadline);
    EXPECT_EQ(later.cause()->message, "too slow");
}
TEST_F(Contexts, R041_ChildsOwnEarlierCauseSurvives) {
    const context parent = rt_.context(), child = parent.with_cancel();
    child.cancel("own");
    EXPECT_TRUE(parent.cancel("parent"));
    EXPECT_EQ(child.cause()->message, "own");
}
TEST_F(Contexts, R042_ReasonIsCancelledOrDeadlineAndTheCauseIsTheUsers) {
    const context c = rt_.context().with_cancel(), d = rt_.context().with_timeout(1s, "the peer is slow");
    const context e = rt_.context().with_timeout(1s);
    c.cancel();
    advance(2s);
    EXPECT_EQ(c.reason(), reason::cancelled);
    EXPECT_EQ(d.reason(), reason::deadline);
    EXPECT_EQ(d.cause()->message, "the peer is slow");
    EXPECT_EQ(e.cause()->message, "the deadline expired");
}
TEST_F(Contexts, R043_EffectiveDeadlineIsTheMinimum) {
    const auto t0 = rt_.now();
    const context c = rt_.context().with_timeout(5s);
    EXPECT_EQ(rt_.context().deadline(), never);
    EXPECT_EQ(c.deadline(), t0 + 5s);
    EXPECT_EQ(c.with_timeout(9s).deadline(), t0 + 5s);
    EXPECT_EQ(c.with_timeout(2s).deadline(), t0 + 2s);
    EXPECT_EQ(c.with_timeout(tenure::base::duration::max()).deadline(), t0 + 5s);
    auto inside = [&]() -> task<> {
        EXPECT_EQ(context::current().deadline(), rt_.now() + 3s);
        co_return;
    };
    auto body = [&]() -> task<> { co_await with_timeout(3s, inside); };
    run(body);
}
TEST_F(Contexts, R044_DeadlineAlreadyPastCancelsAtConstruction) {
    for (const auto d : {0s, -1s}) {
        const context c = rt_.context().with_timeout(d);
        EXPECT_EQ(c.reason(), reason::deadline);
    }
    EXPECT_TRUE(rt_.context().with_deadline(rt_.now()).cancel_requested());
    EXPECT_TRUE(rt_.context().with_deadline(tenure::base::time_point::min()).cancel_requested());
    EXPECT_EQ(rt_.audit().timers, 0u);
}
TEST_F(Contexts, R047_NearestBindingWinsAndTheOuterOneIsNotTouched) {
    const context none = rt_.context();
    const context outer = none.with_value(trace_id, "a").with_value(depth, 1);
    const context inner = outer.with_cancel().with_value(trace_id, "b");
    EXPECT_EQ(none.value(trace_id), nullptr);
    EXPECT_EQ(*outer.value(trace_id), "a");
    EXPECT_EQ(*inner.value(trace_id), "b");
    EXPECT_EQ(*inner.value(depth), 1);
    EXPECT_STREQ(trace_id.name(), "trace_id");
}
TEST_F(Contexts, R047_KeysAreTheirAddressAndNotTheirName) {
    const context_key<int> other{"depth"};
    const context c = rt_.context().with_value(depth, 1);
    EXPECT_EQ(c.value(other), nullptr);
}
TEST_F(Contexts, R047_LongListOfBindingsIsReleasedWithoutRecursion) {
    context c = rt_.context();
    for (int i = 0; i < 200'000; ++i)
        c = c.with_value(depth, i);
    EXPECT_EQ(*c.value(depth), 199'999);
}
TEST_F(Contexts, R047_ValueLivesAsLongAsAContextThatCarriesIt) {
    const context_key<counted> key{"object"};
    {
        context c = rt_.context().with_value(key, object());
        EXPECT_EQ(objects_.alive, 1);
        const context child = c.with_cancel();
        c = rt_.context();
        EXPECT_NE(child.value(key), nullptr);
    }
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Contexts, R048_DroppedChildIsUnlinkedAndItsTimerGoesWithIt) {
    const context parent = rt_.context();
    for (int i = 0; i < 100'000; ++i) {
        const context child = parent.with_timeout(1h);
        if (i % 1000 == 0) {
            EXPECT_EQ(rt_.audit().timers, 1u);
        }
    }
    EXPECT_EQ(rt_.audit().timers, 0u);
    EXPECT_FALSE(parent.node().has_children());
}
TEST_F(Contexts, R048_LongChainIsReleasedWithoutRecursion) {
    const context top = rt_.context();
    {
        context c = top;
        for (int i = 0; i < 200'000; ++i)
            c = c.with_cancel();
        top.cancel("all");
        EXPECT_EQ(c.cause()->message, "all");
    }
    EXPECT_FALSE(top.node().has_children());
}
TEST_F(Contexts, R049_DroppingAParentHandleDoesNotCancelTheChildren) {
    const context grandparent = rt_.context();
    std::optional<context> parent = grandparent.with_timeout(5s);
    const context child = parent->with_cancel();
    parent.reset();
    EXPECT_FALSE(child.cancel_requested());
    EXPECT_FALSE(child.with_cancel().cancel_requested());
    advance(6s); // the dropped parent's deadline is still heard
    EXPECT_EQ(child.reason(), reason::deadline);
    std::optional<context> other = grandparent.with_cancel();
    const context cousin = other->with_cancel();
    other.reset();
    grandparent.cancel("from above");
    EXPECT_EQ(cousin.cause()->message, "from above");
}
TEST_F(Contexts, R049_GuardCancelsWhenItsBlockIsLeft) {
    const context c = rt_.context(), kept = rt_.context();
    {
        const cancel_guard guard(c, "left");
        cancel_guard released(kept);
        released.release();
        EXPECT_FALSE(c.cancel_requested());
    }
    EXPECT_EQ(c.cause()->message, "left");
    EXPECT_FALSE(kept.cancel_requested());
}
TEST_F(Contexts, EndOfTheScopeCancelsWhatHangsBelowItAndRemovesItsTimers) {
    std::vector<context> kept;
    auto open = [&]() -> task<> {
        kept.push_back(context::current());
        kept.push_back(kept[0].with_timeout(1h));
        kept.push_back(kept[1].with_timeout(1min).with_cancel());
        co_return;
    };
    auto body = [&]() -> task<> {
        co_await with_timeout(5h, open);
        EXPECT_EQ(rt_.audit().timers, 0u);
        for (const auto& c : kept)
            EXPECT_EQ(c.cause()->message, "the scope that the context belongs to has ended");
        EXPECT_TRUE(kept[2].with_timeout(1s).cancel_requested()); // and so is what is made from them
    };
    run(body);
    EXPECT_EQ(rt_.audit().timers, 0u);
}
TEST_F(Contexts, TaskIsNotKeptAliveByItsContext) {
    struct session {
        context c;
        counted alive;
    };
    auto open = [&]() -> task<session> { co_return session{context::current(), object()}; };
    (void)rt_.submit(open); // the result holds a context of the task that holds the result
    advance(1s);
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Contexts, CurrentHearsTheTaskAndDoesNotCancelIt) {
    std::optional<context> c;
    auto worker = [&]() -> task<> {
        c = context::current();
        c->cancel();
        EXPECT_FALSE(this_task::cancel_requested());
        c = context::current();
        co_await sleep_for(1h);
    };
    auto f = rt_.submit(worker);
    advance(1s);
    EXPECT_FALSE(c->cancel_requested());
    f.cancel("stop");
    EXPECT_EQ(c->cause()->message, "stop");
    advance(1s);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Contexts, CurrentOutsideATaskIsAnErrorThatSaysWhatToDo) {
    EXPECT_NE(thrown_by([] { (void)context::current(); }).find("runtime::context()"), std::string::npos);
}
TEST_F(Contexts, PlainFunctionsPollAndThrow) {
    const context c = rt_.context().with_timeout(1s);
    EXPECT_NO_THROW(c.checkpoint());
    advance(2s);
    EXPECT_TRUE(c.cancel_requested());
    EXPECT_THROW(c.checkpoint(), tenure::base::cancelled);
}
TEST_F(Contexts, R061_PollingLooksAtTheClock) {
    runtime rt({.threads = 0}); // nobody works, so nobody fires its timers
    const context c = rt.context().with_timeout(1ms);
    while (!c.cancel_requested()) {}
    EXPECT_EQ(c.reason(), reason::deadline);
}
TEST_F(Contexts, R046_WithoutCancelKeepsTheValuesOnlyAndNamesAnotherOwner) {
    std::optional<context> free, of_runtime;
    auto inside = [&](group g) -> task<> {
        const context c = context::current().with_value(trace_id, "t").with_timeout(1s);
        free = c.without_cancel(g);
        of_runtime = c.without_cancel(rt_);
        c.cancel();
        EXPECT_EQ(*free->value(trace_id), "t");
        EXPECT_FALSE(free->cancel_requested());
        EXPECT_EQ(free->deadline(), never);
        co_return;
    };
    auto body = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            co_await with_timeout(5s, inside, g);
            co_await sleep_for(10s);
            EXPECT_FALSE(free->cancel_requested());
            g.cancel("the owner");
        });
    };
    run(body);
    EXPECT_EQ(free->cause()->message, "the owner");
    EXPECT_FALSE(of_runtime->cancel_requested());
}
TEST_F(Contexts, R046_OwnerThatHasEndedIsRefused) {
    std::optional<group> ended;
    auto body = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            ended = g;
            co_return;
        });
    };
    run(body);
    EXPECT_THROW((void)rt_.context().without_cancel(*ended), closed_error);
}
TEST_F(Contexts, R085_CloseCancelsContextsAndNothingIsLeft) {
    const context c = rt_.context().with_timeout(1h);
    int called = 0;
    auto h = c.after_func([&] { ++called; });
    auto kept = rt_.context().after_func([&] { ++called; });
    EXPECT_EQ(rt_.audit().callbacks, 2u);
    EXPECT_TRUE(rt_.close().abandoned.empty());
    EXPECT_EQ(called, 2);
    EXPECT_EQ(c.reason(), reason::shutdown);
    EXPECT_TRUE(rt_.audit().clean());
    EXPECT_TRUE(c.with_timeout(1h).cancel_requested());
    EXPECT_THROW((void)c.after_func([] {}), closed_error);
    EXPECT_TRUE(rt_.context().cancel_requested());
}
TEST(ContextHandles, OutliveTheirRuntime) {
    std::optional<context> c, child;
    {
        runtime rt({.threads = 1});
        c = rt.context().with_timeout(1h);
        child = c->with_timeout(1min);
    }
    EXPECT_EQ(child->reason(), reason::shutdown);
    EXPECT_FALSE(c->cancel());
    EXPECT_TRUE(child->with_timeout(1s).cancel_requested());
    EXPECT_TRUE(c->stop_token().stop_requested());
    EXPECT_THROW((void)c->after_func([] {}), closed_error);
}

TEST_F(Contexts, StopTokenIsRequestedByAWorker) {
    const context c = rt_.context();
    const std::stop_token token = c.stop_token();
    bool called = false;
    const std::stop_callback on_stop(token, [&] { called = true; });
    c.cancel();
    EXPECT_FALSE(called); // never on the canceller's stack
    advance(1s);
    EXPECT_TRUE(token.stop_requested());
    EXPECT_TRUE(called);
    EXPECT_TRUE(c.stop_token().stop_requested());
}
TEST_F(Contexts, StopTokenOfACancelledContextIsRequestedAtOnce) {
    const context c = rt_.context();
    c.cancel();
    EXPECT_TRUE(c.stop_token().stop_requested());
}
TEST_F(Contexts, StopTokenDoesNotKeepItsContext) {
    std::optional<context> c = rt_.context().with_timeout(1h);
    const std::stop_token token = c->stop_token();
    c.reset();
    EXPECT_TRUE(rt_.audit().clean());
    EXPECT_FALSE(token.stop_requested());
}

TEST(ContextThreads, R050_HundredThreadsCancelATreeAndNobodySeesHalfACancel) {
    runtime rt({.threads = 1});
    for (int round = 0; round < 3; ++round) {
        std::vector<context> all{rt.context()};
        for (std::size_t i = 0; i < 100; ++i)
            all.push_back(all[i / 2].with_cancel());
        std::atomic<int> won{0}, torn{0};
        std::vector<std::optional<context>> children(100);
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < 100; ++i) {
            threads.emplace_back([&, i] {
                const context& mine = all[i * 37 % 101];
                if (mine.cancel_requested() && !mine.cause()) ++torn;
                const context& child = children[i].emplace(mine.with_timeout(1h));
                const bool first = mine.cancel("c" + std::to_string(i));
                won += first;
                // Who comes second may be back before the first one's walk has reached the child.
                if (first && !child.cause()) ++torn;
                if (child.cancel_requested() && !child.cause()) ++torn;
            });
        }
        for (auto& t : threads)
            t.join();
        for (const auto& child : children)
            if (!child->cause() || child->reason() == reason::none) ++torn;
        children.clear();
        EXPECT_GE(won, 1);
        EXPECT_EQ(torn, 0);
        EXPECT_EQ(rt.audit().timers, 0u);
    }
}
TEST(ContextThreads, R050_InterlockedCancelsDoNotDeadlock) {
    runtime rt({.threads = 2});
    for (int round = 0; round < 50; ++round) {
        const context parent = rt.context(), child = parent.with_cancel(), other = rt.context();
        std::atomic<int> calls{0};
        auto a = parent.after_func([&] { ++calls, other.cancel(), child.cancel(); });
        auto b = child.after_func([&] { ++calls, parent.cancel(); });
        auto c = other.after_func([&] { ++calls, parent.cancel(); });
        std::thread one([&] { child.cancel(); }), two([&] { other.cancel(); }),
            three([&] { parent.cancel(); });
        one.join(), two.join(), three.join();
        while (calls < 3)
            std::this_thread::yield();
    }
    EXPECT_TRUE(rt.close().abandoned.empty());
}
TEST(ContextThreads, R048_ScopesEndWhileTheirContextsAreUsed) {
    runtime rt({.threads = 2});
    std::atomic<bool> stop{false};
    tenure::base::mutex m;
    std::optional<context> shared = rt.context();
    auto publish = [&]() -> task<> {
        while (!stop) {
            auto scope = [&]() -> task<> {
                const context c = context::current().with_timeout(1h);
                {
                    tenure::base::mutex_lock l(m);
                    shared = c;
                }
                co_await yield();
            };
            co_await with_timeout(1h, scope);
        }
    };
    auto f = rt.submit(publish);
    std::vector<std::thread> users;
    for (int i = 0; i < 3; ++i) {
        users.emplace_back([&] {
            for (int n = 0; n < 2000; ++n) {
                tenure::base::mutex_lock l(m);
                const context c = shared->with_timeout(1h);
                if (n % 3 == 0) shared = c;
                if (n % 7 == 0) c.cancel();
            }
        });
    }
    for (auto& u : users)
        u.join();
    stop = true;
    f.get();
    shared.reset();
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_TRUE(rt.audit().clean());
}
} // namespace
