#include "core_test.hpp"

#include <tenure/core/context_scope.hpp>

#include <functional>
#include <thread>

namespace {
using namespace core_test;

const context_key<std::string> trace_id{"trace_id"};
const context_key<int> depth{"depth"};

std::string trace() {
    const auto* v = this_task::value(trace_id);
    return v ? *v : "none";
}

struct ContextScope : virtual_test {};

TEST_F(ContextScope, R047_ValueHoldsInsideAndNotAfterwards) {
    auto inner = []() -> task<std::string> {
        co_await sleep_for(1s);
        co_return trace() + std::to_string(*this_task::value(depth));
    };
    auto outer = [&]() -> task<> {
        EXPECT_EQ(trace(), "a");
        const std::string nearest = co_await with_value(trace_id, "b", inner);
        EXPECT_EQ(nearest, "b1");
        EXPECT_EQ(trace(), "a");
    };
    auto both = [&]() -> task<> { co_await with_value(depth, 1, outer); };
    auto body = [&]() -> task<> {
        EXPECT_EQ(trace(), "none");
        co_await with_value(trace_id, std::string("a"), both);
        EXPECT_EQ(trace(), "none");
        EXPECT_EQ(this_task::value(depth), nullptr);
    };
    run(body);
    EXPECT_EQ(trace(), "none"); // outside a task
}
TEST_F(ContextScope, R047_ChildrenSeeTheBindingsOfTheirCreation) {
    std::string log;
    auto child = [&]() -> task<> {
        co_await sleep_for(1s);
        log += trace();
        auto own = [&]() -> task<> {
            log += trace();
            co_return;
        };
        co_await with_value(trace_id, "c", own); // invisible to the parent
    };
    auto spawning = [&](group g) -> task<> {
        (void)g.spawn(child);
        co_return;
    };
    auto body = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            co_await with_value(trace_id, "p", spawning, g); // the scope ends before the child
            (void)g.spawn([&] { log += trace() + ","; });
            co_await sleep_for(5s);
            log += trace();
        });
    };
    run(body);
    EXPECT_EQ(log, "none,pcnone");
}
TEST_F(ContextScope, R047_TasksThatBindAndSpawnTheNextKeepOnlyTheirOwn) {
    const context_key<counted> key{"object"};
    std::function<task<>(int)> next = [&](int left) -> task<> {
        auto inside = [&, left]() -> task<> {
            EXPECT_LE(objects_.alive, 10);
            if (left > 0) (void)rt_.submit(next, left - 1);
            co_return;
        };
        co_await with_value(key, object(), inside);
    };
    run(next, 1000);
    advance(1s);
}
TEST_F(ContextScope, R047_BindingEndsHoweverTheScopeEnds) {
    const context_key<counted> key{"object"};
    auto fails = []() -> task<> {
        throw my_error("x");
        co_return;
    };
    auto hangs = [&]() -> task<> {
        auto sleeps = []() -> task<> { co_await sleep_for(1h); };
        co_await with_value(trace_id, "inner", sleeps);
    };
    auto body = [&]() -> task<> {
        (void)co_await as_outcome(with_value(trace_id, "f", fails));
        EXPECT_EQ(trace(), "none");
        (void)co_await move_on_after(1s, hangs);
        EXPECT_EQ(trace(), "none");
        auto uses = [&]() -> task<> {
            EXPECT_NE(this_task::value(key), nullptr);
            co_return;
        };
        const counted o = object();
        co_await with_value(key, o, uses);
    };
    run(body);
}
TEST_F(ContextScope, R047_CurrentContextCarriesTheValuesToPlainCode) {
    std::optional<context> c;
    auto keep = [&]() -> task<> {
        c = context::current();
        co_return;
    };
    auto body = [&]() -> task<> { co_await with_value(trace_id, "x", keep); };
    run(body);
    EXPECT_EQ(*c->value(trace_id), "x");
}
TEST_F(ContextScope, WithContextIsCancelledByTheContextAndTheCallerGoesOn) {
    const context c = rt_.context().with_value(trace_id, "from outside");
    bool after = false;
    tally locals;
    auto work = [&](counted) -> task<> {
        EXPECT_EQ(trace(), "from outside");
        const counted local(locals);
        co_await sleep_for(1h);
    };
    auto body = [&]() -> task<> {
        co_await with_context(c, work, object());
        EXPECT_EQ(locals.alive, 0);
        EXPECT_EQ(trace(), "none");
        co_await sleep_for(1s);
        after = true;
    };
    auto f = rt_.submit(body);
    advance(1s);
    c.cancel("enough");
    advance(2s);
    EXPECT_TRUE(after);
    EXPECT_EQ(f.status(), task_status::done);
}
TEST_F(ContextScope, R037_WorkUnderAContextReportsItsCancelBeforeThatReturns) {
    const context c = rt_.context();
    std::optional<context> below;
    auto work = [&]() -> task<> {
        below = context::current();
        co_await sleep_for(1h);
    };
    auto body = [&]() -> task<> { co_await with_context(c, work); };
    (void)rt_.submit(body);
    advance(1s);
    EXPECT_FALSE(below->cancel_requested());
    c.cancel("at once");
    EXPECT_EQ(below->cause()->message, "at once");
}
TEST_F(ContextScope, R032_CancelledScopeWithAValueHasNone) {
    const context c = rt_.context().with_timeout(1s, "too slow");
    auto body = [&]() -> task<int> { co_return co_await with_context(c, give_later, 1h, 1); };
    auto f = rt_.submit(body);
    advance(2s);
    EXPECT_NE(thrown_by([&] { f.get(); }).find("too slow"), std::string::npos);
    EXPECT_THROW(f.get(), task_cancelled);
}
TEST_F(ContextScope, R024_ValueThatIsThereIsDelivered) {
    const context c = rt_.context();
    auto stubborn = [&]() -> task<int> {
        c.cancel();
        co_return 7;
    };
    auto body = [&]() -> task<int> { co_return co_await with_context(c, stubborn); };
    EXPECT_EQ(run(body), 7);
}
TEST_F(ContextScope, R021_ContextCancelledBeforeNeverEntersTheBody) {
    const context c = rt_.context();
    c.cancel("before");
    std::stop_source source;
    source.request_stop();
    bool entered = false;
    auto never_run = [&]() -> task<> {
        entered = true;
        co_return;
    };
    auto body = [&]() -> task<> {
        co_await with_context(c, never_run);
        co_await with_stop_token(source.get_token(), never_run);
        EXPECT_THROW((void)co_await with_context(c, give, 1), task_cancelled);
    };
    run(body);
    EXPECT_FALSE(entered);
}
TEST_F(ContextScope, R052_CancelFromOutsideLeavesAsCancelled) {
    const context c = rt_.context();
    bool after = false;
    auto body = [&]() -> task<> {
        co_await with_context(c, nap, 1h);
        after = true;
    };
    auto f = rt_.submit(body);
    advance(1s);
    f.cancel();
    c.cancel();
    advance(1s);
    EXPECT_EQ(f.status(), task_status::cancelled);
    EXPECT_FALSE(after);
}
TEST_F(ContextScope, R043_DeadlineOfTheContextIsSeenInside) {
    const auto t0 = rt_.now();
    const context c = rt_.context().with_timeout(2s);
    auto work = [&]() -> task<> {
        EXPECT_EQ(this_task::deadline(), t0 + 2s);
        co_await sleep_for(1h);
    };
    auto body = [&]() -> task<> {
        auto both = [&]() -> task<> { co_await with_context(c, work); };
        co_await with_timeout(5s, both);
        EXPECT_EQ(rt_.now(), t0 + 2s);
    };
    run(body);
}
TEST_F(ContextScope, ErrorInsideIsThrown) {
    const context c = rt_.context();
    auto body = [&]() -> task<> { co_await with_context(c, fail_later, 1s, "boom"); };
    EXPECT_EQ(thrown_by([&] { run(body); }), "boom");
    auto no_coroutine = [](bool fail) -> task<> {
        if (fail) throw my_error("before it is one");
        return nap(1s);
    };
    auto other = [&]() -> task<> { co_await with_context(c, no_coroutine, true); };
    EXPECT_EQ(thrown_by([&] { run(other); }), "before it is one");
    auto third = [&]() -> task<> { co_await with_value(depth, 1, no_coroutine, true); };
    EXPECT_EQ(thrown_by([&] { run(third); }), "before it is one");
    EXPECT_FALSE(c.node().has_children());
}
TEST_F(ContextScope, ContextsThatObeyEachOtherAreCancelledInOneGo) {
    // A chain of tasks, each under a context that was made in the one before: no recursion.
    std::vector<context> made{rt_.context()};
    auto link = [&](std::size_t i) -> task<> {
        auto work = [&]() -> task<> {
            made.push_back(context::current());
            co_await sleep_for(1h);
        };
        co_await with_context(made[i], work);
    };
    for (std::size_t i = 0; i < 2000; ++i) {
        (void)rt_.submit(link, i);
        advance(1ns);
    }
    made[0].cancel("all");
    EXPECT_EQ(made.back().cause()->message, "all");
    advance(1s);
    EXPECT_EQ(rt_.audit().tasks, 0u);
}
TEST_F(ContextScope, WithStopTokenIsCancelledByTheToken) {
    std::stop_source source;
    bool after = false;
    auto body = [&]() -> task<> {
        co_await with_stop_token(source.get_token(), nap, 1h);
        after = true;
    };
    auto f = rt_.submit(body);
    advance(1s);
    source.request_stop();
    EXPECT_FALSE(after); // runs nothing of the task on the requester's stack
    advance(1s);
    EXPECT_TRUE(after);
    EXPECT_EQ(f.status(), task_status::done);
}
TEST_F(ContextScope, WithStopTokenOutlivesNothingItEndsBefore) {
    std::stop_source source;
    auto body = [&]() -> task<int> {
        const int v = co_await with_stop_token(source.get_token(), give_later, 1s, 3);
        auto o =
            co_await as_outcome(with_stop_token(std::stop_token{}, give, 4)); // one that is never requested
        co_return v + o.value();
    };
    EXPECT_EQ(run(body), 7);
    source.request_stop(); // nothing is registered any more
    std::stop_source used;
    auto value = [&]() -> task<int> {
        auto stops_itself = [&]() -> task<int> {
            used.request_stop(); // on the task's own stack
            co_await sleep_for(1h);
            co_return 1;
        };
        co_return co_await with_stop_token(used.get_token(), stops_itself);
    };
    EXPECT_THROW(run(value), task_cancelled);
}
TEST_F(ContextScope, R046_WithoutCancelRunsUnderTheNamedOwner) {
    std::string log;
    auto work = [&](int v) -> task<int> {
        co_await sleep_for(2s);
        log += trace();
        co_return v;
    };
    auto caller = [&](group g) -> task<> {
        auto inside = [&](group owner) -> task<> {
            const int v = co_await without_cancel(owner, work, 7);
            log += std::to_string(v);
        };
        auto bound = [&](group owner) -> task<> { co_await with_value(trace_id, "t", inside, owner); };
        const bool ended = co_await move_on_after(1s, bound, g); // cancels the wait, not the work
        EXPECT_FALSE(ended);
        EXPECT_EQ(log, "");
        co_await with_value(trace_id, "u", inside, g);
    };
    auto body = [&]() -> task<> { co_await with_group([&](group g) -> task<> { co_await caller(g); }); };
    run(body);
    EXPECT_EQ(log, "tu7");
}
TEST_F(ContextScope, R028_HandleAskedFromOutsideIgnoresShields) {
    bool inside = true;
    auto shielded = [&]() -> task<> {
        co_await sleep_for(2s);
        inside = this_task::cancel_requested();
    };
    auto body = [&]() -> task<> { co_await shield(5s, shielded); };
    auto f = rt_.submit(body);
    advance(1s);
    f.cancel("from outside");
    EXPECT_TRUE(f.cancel_requested());
    advance(2s);
    EXPECT_FALSE(inside);
    EXPECT_TRUE(f.cancel_requested());
}

TEST(ContextScopeThreads, R050_TokensContextsAndTasksAreCancelledAtTheSameTime) {
    runtime rt({.threads = 2});
    for (int round = 0; round < 100; ++round) {
        std::stop_source source;
        const context c = rt.context();
        auto sleeps = []() -> task<> { co_await sleep_for(1h); };
        auto inner = [&]() -> task<> { co_await with_stop_token(source.get_token(), sleeps); };
        auto body = [&]() -> task<> {
            if (round % 2)
                co_await with_context(c, inner);
            else
                co_await with_context(c, sleeps);
        };
        auto f = rt.submit(body);
        std::thread a([&] { c.cancel(); }), b([&] { source.request_stop(); }), d([&] {
            if (round % 3 == 0) f.cancel();
        });
        a.join(), b.join(), d.join();
        while (!f.wait_for(10s)) {}
    }
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_TRUE(rt.audit().clean());
}
} // namespace
