#include "core_test.hpp"

#include <tenure/core/channel.hpp>
#include <tenure/core/context_scope.hpp>
#include <tenure/core/run_blocking.hpp>
#include <tenure/core/timer.hpp>

#include <latch>
#include <thread>

namespace {
using namespace core_test;

const context_key<std::string> trace_id{"trace_id"};
const context_key<int> level{"level"};

struct RunBlocking : virtual_test {};

TEST_F(RunBlocking, R104_WhatItWakesRunsMeanwhileOnVirtualTimeToo) {
    event asked;
    std::atomic<bool> answered = false;
    run([&]() -> task<> {
        const auto ask = [&] {
            asked.set();
            while (!answered)
                std::this_thread::yield();
        };
        auto both = [&](group g) -> task<> {
            (void)g.spawn([&]() -> task<> {
                co_await asked.wait();
                answered = true;
            });
            co_await run_blocking(ask);
        };
        co_await with_group(both);
    });
}
TEST_F(RunBlocking, R104_GivesTheValueOrTheExceptionOnVirtualTimeToo) {
    run([&]() -> task<> {
        EXPECT_EQ(co_await run_blocking([](int a, int b) { return a + b; }, 2, 3), 5);
        co_await run_blocking([](const counted&) {}, object());
        EXPECT_EQ(objects_.alive, 0);
        auto thrower = []() -> task<> { co_await run_blocking([] { throw my_error("from f"); }); };
        const auto o = co_await as_outcome(thrower());
        EXPECT_EQ(describe(o.error()), "from f");
    });
    EXPECT_EQ(elapsed(), 0s);
}
TEST_F(RunBlocking, R104_ContextValuesFlowIn) {
    run([&]() -> task<> {
        auto none = [] { return this_task::value(trace_id) == nullptr; };
        auto both = [] {
            return *this_task::value(trace_id) + std::to_string(*context::current().value(level));
        };
        auto inner = [&]() -> task<> {
            EXPECT_EQ(co_await run_blocking(both), "a2"); // the nearest, and those further out
        };
        auto outer = [&]() -> task<> { co_await with_value(level, 2, inner); };
        auto scope = [&]() -> task<> { co_await with_value(level, 1, outer); };
        EXPECT_TRUE(co_await run_blocking(none));
        co_await with_value(trace_id, "a", scope);
        EXPECT_TRUE(co_await run_blocking(none));
    });
}
TEST_F(RunBlocking, R104_CancelledBeforeItStartsNeverCallsIt) {
    auto f = rt_.submit([]() -> task<> {
        (void)co_await as_outcome(sleep_for(1h));
        co_await run_blocking([] { ADD_FAILURE(); });
    });
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(RunBlocking, R103_MayWaitForATaskOfItsRuntimeOnVirtualTimeToo) {
    run([&]() -> task<> {
        const auto waits = [&] { return rt_.submit(give, 3).get() + rt_.submit(give, 4).get(); };
        EXPECT_EQ(co_await run_blocking(waits), 7);
    });
}

// From here on real threads.
class RunBlockingOnThreads : public ::testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Threads, RunBlockingOnThreads, ::testing::Values(1u, 3u));

TEST_P(RunBlockingOnThreads, R104_RunsBesideTheWorkersAndKnowsItsTask) {
    runtime rt({.threads = GetParam()});
    rt.block_on({.name = "asks"}, []() -> task<> {
        const auto worker = std::this_thread::get_id();
        EXPECT_NE(co_await run_blocking([] { return std::this_thread::get_id(); }), worker);
        auto body = []() -> task<> {
            const auto outside = this_task::deadline();
            EXPECT_EQ(co_await run_blocking([] { return this_task::deadline(); }), outside);
            EXPECT_EQ(co_await run_blocking([] { return this_task::label().name; }), "asks");
        };
        co_await with_timeout(1h, body);
        EXPECT_THROW(co_await run_blocking([] { call_later(1s, [] {}); }), usage_error);
    });
    (void)rt.close();
    EXPECT_TRUE(rt.audit().clean());
    EXPECT_EQ(rt.audit().threads, 0u);
}
TEST_P(RunBlockingOnThreads, R104_BlockingCallsDoNotHoldUpTheWorkers) {
    runtime rt({.threads = GetParam()});
    std::latch all(8); // needs eight threads at once
    rt.block_on([&]() -> task<> {
        auto body = [&](group g) -> task<> {
            auto one = [&]() -> task<> { co_await run_blocking([&] { all.arrive_and_wait(); }); };
            for (int i = 0; i < 8; ++i)
                (void)g.spawn(one);
            co_return;
        };
        co_await with_group(body);
    });
}
TEST_P(RunBlockingOnThreads, R105_QueuedCallThatIsCancelledNeverStarts) {
    runtime rt({.threads = GetParam(), .blocking_threads = 1});
    tally objects;
    std::latch entered(1), go(1);
    auto first = rt.submit([&]() -> task<> {
        co_await run_blocking([&] {
            entered.count_down();
            go.wait();
        });
    });
    entered.wait();
    auto second = rt.submit([&]() -> task<> {
        auto f = [](const counted&) { ADD_FAILURE(); };
        co_await run_blocking(f, counted(objects));
    });
    EXPECT_FALSE(second.wait_for(1ms));
    second.cancel();
    EXPECT_THROW(second.get(), task_cancelled);
    EXPECT_EQ(objects.alive, 0);
    go.count_down();
    first.get();
}
TEST_P(RunBlockingOnThreads, R105_RunningCallIsWaitedForAndItsValueKept) {
    runtime rt({.threads = GetParam()});
    std::latch entered(1), go(1);
    std::atomic<int> kept{0};
    auto f = rt.submit([&]() -> task<> {
        kept = co_await run_blocking([&] {
            entered.count_down();
            go.wait();
            EXPECT_TRUE(this_task::cancel_requested());
            return 7;
        });
        co_await checkpoint();
        ADD_FAILURE();
    });
    entered.wait();
    f.cancel();
    EXPECT_FALSE(f.wait_for(1ms));
    ASSERT_EQ(rt.audit().blocking.size(), 1u);
    EXPECT_NE(to_string(rt.audit().blocking[0]).find("run_blocking_test.cpp:"), std::string::npos);
    go.count_down();
    EXPECT_THROW(f.get(), task_cancelled);
    EXPECT_EQ(kept, 7);
}
TEST_P(RunBlockingOnThreads, R105_FunctionThatChecksEndsAsCancelledOrAtItsDeadline) {
    runtime rt({.threads = GetParam()});
    auto until_told = [] {
        for (;;) {
            this_task::checkpoint();
            std::this_thread::yield();
        }
    };
    rt.block_on([&]() -> task<> {
        auto body = [&]() -> task<> { co_await run_blocking(until_told); };
        const auto o = co_await as_outcome(with_timeout(5ms, body));
        EXPECT_THROW((void)o.value(), timeout_error);
    });
    std::latch entered(1);
    auto f = rt.submit([&]() -> task<> {
        co_await run_blocking([&] {
            entered.count_down();
            until_told();
        });
        ADD_FAILURE();
    });
    entered.wait();
    f.cancel();
    EXPECT_THROW(f.get(), task_cancelled);
}
TEST_P(RunBlockingOnThreads, R104_ValuesLiveAsLongAsAnAbandonedCall) {
    auto entered = std::make_shared<std::latch>(1);
    auto go = std::make_shared<std::latch>(1);
    auto seen = std::make_shared<std::string>();
    runtime rt({.threads = GetParam()});
    auto f = rt.submit([&]() -> task<> {
        auto inner = [&]() -> task<> {
            auto stuck = [entered, go, seen] {
                entered->count_down();
                go->wait(); // the scope that bound the value is left meanwhile
                *seen = *this_task::value(trace_id);
            };
            co_await run_blocking(abandon_on_cancel, stuck);
        };
        co_await with_value(trace_id, std::string(100, 'v'), inner);
    });
    entered->wait();
    f.cancel();
    EXPECT_THROW(f.get(), task_cancelled);
    go->count_down();
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_EQ(*seen, std::string(100, 'v'));
}
TEST_P(RunBlockingOnThreads, R105_AbandonedCallOwnsItsStateAndIsNamedUntilItEnds) {
    tally objects;
    auto go = std::make_shared<std::latch>(1);
    auto entered = std::make_shared<std::latch>(1);
    {
        runtime rt({.threads = GetParam()});
        auto f = rt.submit({.name = "leaves"}, [&]() -> task<> {
            auto stuck = [entered, go](const counted&) {
                entered->count_down();
                go->wait();
                EXPECT_TRUE(this_task::cancel_requested());
                return 1;
            };
            (void)co_await run_blocking(abandon_on_cancel, stuck, counted(objects));
        });
        entered->wait();
        f.cancel();
        EXPECT_THROW(f.get(), task_cancelled);
        EXPECT_EQ(objects.alive, 1);
        ASSERT_EQ(rt.audit().blocking.size(), 1u);
        EXPECT_EQ(rt.audit().blocking[0].name, "leaves");
        go->count_down();
        EXPECT_TRUE(rt.close().abandoned.empty()); // it was given the grace
        EXPECT_TRUE(rt.audit().clean());
        EXPECT_EQ(objects.alive, 0);
    }
}
TEST_P(RunBlockingOnThreads, R086_AbandonedCallThatNeverEndsIsInTheReportOfClose) {
    auto go = std::make_shared<std::latch>(1);
    auto gone = std::make_shared<std::latch>(1);
    auto entered = std::make_shared<std::latch>(1);
    {
        runtime rt({.threads = GetParam()});
        auto f = rt.submit({.name = "leaves"}, [&]() -> task<> {
            auto stuck = [entered, go, gone] {
                entered->count_down();
                go->wait();
                gone->count_down();
            };
            co_await run_blocking(abandon_on_cancel, stuck);
        });
        entered->wait();
        f.cancel();
        EXPECT_THROW(f.get(), task_cancelled);
        const auto report = rt.close({.drain = 0s, .grace = 1ms});
        ASSERT_EQ(report.abandoned.size(), 1u);
        EXPECT_EQ(report.abandoned[0].name, "leaves");
    }
    go->count_down();
    gone->wait();
}
TEST_P(RunBlockingOnThreads, R105_CancelRacesTheEndOfTheCall) {
    runtime rt({.threads = GetParam()});
    tally objects;
    for (int i = 0; i < 300; ++i) {
        auto one = [&](bool abandon) -> task<> {
            auto f = [](const counted&) {};
            if (abandon)
                co_await run_blocking(abandon_on_cancel, f, counted(objects));
            else
                co_await run_blocking(f, counted(objects));
        };
        auto f = rt.submit(one, i % 2 == 0);
        for (int spin = 0; spin < i * 20; ++spin)
            std::atomic_signal_fence(std::memory_order_seq_cst);
        f.cancel();
        f.wait_for(10s);
        EXPECT_NE(f.status(), task_status::pending);
    }
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_TRUE(rt.audit().clean());
    EXPECT_EQ(objects.alive, 0);
}

int fib(runtime& rt, int n) {
    if (n < 2) return n;
    auto a = rt.submit(fib, std::ref(rt), n - 1);
    auto b = rt.submit(fib, std::ref(rt), n - 2);
    return a.get() + b.get();
}
TEST_P(RunBlockingOnThreads, R103_NestedSubmitsOfPlainFunctionsNeverDeadlock) {
    runtime rt({.threads = GetParam()});
    EXPECT_EQ(rt.submit(fib, std::ref(rt), 8).get(), 21);
    (void)rt.close();
    EXPECT_EQ(rt.audit().lent_workers, 0u);
    EXPECT_EQ(rt.audit().threads, 0u);
}
TEST_P(RunBlockingOnThreads, R103_BlockingWaitsOnWorkersAreBoundedByATypedError) {
    std::function<int(int)> nest; // outlives the runtime: what a refused wait leaves behind still calls it
    runtime rt(
        {.threads = GetParam(), .on_unread_failure = [](const unread_failure&) {}, .blocking_threads = 2});
    nest = [&](int depth) -> int {
        if (depth == 0) return 1;
        return rt.submit([&, depth] { return nest(depth - 1); }).get();
    };
    EXPECT_EQ(rt.submit([&] { return nest(2); }).get(), 1);
    const auto said = thrown_by([&] { (void)rt.submit([&] { return nest(9); }).get(); });
    EXPECT_EQ(said.rfind("too many tasks block their workers at once", 0), 0u) << said;
}
TEST_P(RunBlockingOnThreads, R103_InsideACoroutineABlockingWaitIsRefused) {
    runtime rt({.threads = GetParam()});
    auto other = rt.submit(nap, 1h);
    const auto said = thrown_by([&] {
        rt.block_on([&]() -> task<> {
            other.get();
            co_return;
        });
    });
    EXPECT_NE(said.find("co_await"), std::string::npos) << said;
    std::optional<future<void>> self;
    std::latch stored(1);
    self = rt.submit([&] {
        stored.wait();
        self->get();
    });
    stored.count_down();
    EXPECT_THROW(self->get(), usage_error); // a task that awaits itself
    other.cancel();
}
TEST_P(RunBlockingOnThreads, R103_OneThatWaitsLetsAnotherRunMeanwhile) {
    std::function<int(int)> nest; // outlive the runtime, as above
    std::atomic<bool> go{true};
    runtime rt(
        {.threads = GetParam(), .on_unread_failure = [](const unread_failure&) {}, .blocking_threads = 2});
    nest = [&](int depth) -> int {
        if (depth == 0) {
            go.wait(false);
            return 1;
        }
        return rt.submit([&, depth]() -> task<int> { co_return co_await run_blocking(nest, depth - 1); })
            .get();
    };
    const auto first = [&](int depth) -> task<int> { co_return co_await run_blocking(nest, depth); };
    EXPECT_EQ(rt.block_on(first, 2), 1); // two wait, one runs
    go = false;                          // so that each really waits
    const auto said = thrown_by([&] { (void)rt.block_on(first, 3); });
    go = true;
    go.notify_all();
    while (!rt.audit().blocking.empty()) // those that the error left behind
        std::this_thread::yield();
    EXPECT_EQ(said.rfind("too many functions of run_blocking wait at once", 0), 0u) << said;
    EXPECT_EQ(rt.block_on(first, 2), 1);
}
TEST_P(RunBlockingOnThreads, R103_WorkersThatAreReplacedTakeNoTurn) {
    runtime rt({.threads = GetParam(), .blocking_threads = 1});
    std::atomic<int> at_once{0}, most{0};
    const auto count = [&] {
        const int now = ++at_once;
        for (int m = most; now > m && !most.compare_exchange_weak(m, now);) {}
        std::this_thread::yield();
        --at_once;
    };
    const auto blocks = [&]() -> task<> { co_await run_blocking(count); };
    rt.submit([&] { rt.submit(blocks).get(); }).get(); // its worker is replaced, by a thread of the same pool
    rt.block_on([&]() -> task<> {
        auto body = [&](group g) -> task<> {
            for (int i = 0; i < 50; ++i)
                (void)g.spawn(blocks);
            co_return;
        };
        co_await with_group(body);
    });
    EXPECT_EQ(most, 1);
}
TEST_P(RunBlockingOnThreads, R103_ListenerIsToldOfEachWait) {
    struct listener final : wait_listener {
        event begins;
        std::string told;
        void wait_begins() noexcept override {
            told += '(';
            begins.set();
        }
        void wait_ends() noexcept override { told += ')'; }
    };
    runtime rt({.threads = GetParam()});
    const channel<int> items(1);
    const auto waits = [&] {
        listener outer;
        rt.submit(wait_for, std::ref(outer.begins)).get();
        {
            listener inner;
            items.blocking_send(1);
            (void)items.blocking_receive();
            rt.submit(wait_for, std::ref(inner.begins)).get();
            EXPECT_EQ(inner.told, "()");
        }
        return outer.told;
    };
    EXPECT_EQ(rt.block_on([&]() -> task<std::string> { co_return co_await run_blocking(waits); }), "()");
    listener elsewhere;
    rt.submit(give_later, 1ms, 1).get();
    EXPECT_EQ(elsewhere.told, "");
}
TEST_F(RunBlocking, R103_WithoutBackgroundWorkersABlockingWaitInAPlainFunctionIsRefused) {
    auto other = rt_.submit(nap, 1h);
    EXPECT_NE(thrown_by([&] { run([&] { other.get(); }); }).find("background workers"), std::string::npos);
    other.cancel();
}
} // namespace
