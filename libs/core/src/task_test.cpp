#include "core_test.hpp"

#include <memory>

namespace {
using namespace core_test;

struct Task : virtual_test {};

TEST_F(Task, AwaitedChildGivesItsValue) {
    auto parent = []() -> task<int> {
        const int a = co_await give_later(1s, 1);
        const int b = co_await give(2);
        co_return a + b;
    };
    EXPECT_EQ(run(parent), 3);
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(Task, MoveOnlyValuesPassThroughAwaits) {
    auto child = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(5); };
    auto parent = [&]() -> task<std::unique_ptr<int>> {
        auto p = co_await child();
        ++*p;
        co_return std::move(p);
    };
    EXPECT_EQ(*run(parent), 6);
}
TEST_F(Task, ValueNeedsNoDefaultConstructor) {
    struct only_from_int {
        explicit only_from_int(int x) : v(x) {}
        int v;
    };
    EXPECT_EQ(run([]() -> task<only_from_int> { co_return only_from_int(4); }).v, 4);
}
TEST_F(Task, FailureReachesTheAwaiterUnchanged) {
    auto parent = []() -> task<std::string> {
        try {
            co_await fail_later(1s, "child");
        } catch (const my_error& e) {
            co_return e.what();
        }
        co_return "nothing";
    };
    EXPECT_EQ(run(parent), "child");
}
TEST_F(Task, FailureBeforeTheFirstSuspensionIsAFailureToo) {
    EXPECT_THROW(run([]() -> task<> {
                     throw my_error("early");
                     co_return;
                 }),
                 my_error);
}
TEST_F(Task, UncaughtFailureLeavesBlockOn) { EXPECT_THROW(run(fail_later, 1s, "x"), my_error); }
TEST_F(Task, AnythingCanBeThrown) {
    EXPECT_THROW(run([]() -> task<> {
                     throw 7;
                     co_return;
                 }),
                 int);
}
TEST_F(Task, PlainFunctionsAreTasksToo) {
    EXPECT_EQ(run([](int a, int b) { return a + b; }, 2, 3), 5);
    EXPECT_THROW(run([] { throw my_error("plain"); }), my_error);
    int ran = 0;
    run([&] { ++ran; });
    EXPECT_EQ(ran, 1);
}
TEST_F(Task, EveryTaskWaitsIsADeadlock) {
    auto stuck = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            auto slow = g.spawn(nap, tenure::base::duration::max());
            co_await slow;
        });
    };
    EXPECT_THROW(run(stuck), deadlock_error);
}

TEST_F(Task, R101_NeverOwnedNeverRuns) {
    bool entered = false;
    auto body = [](bool& in, counted) -> task<> {
        in = true;
        co_return;
    };
    {
        const auto t = body(entered, object());
        EXPECT_EQ(objects_.alive, 1);
    }
    EXPECT_FALSE(entered);
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Task, R101_MovedTaskRunsOnce) {
    int entered = 0;
    auto parent = [&]() -> task<> {
        auto body = [&]() -> task<> {
            ++entered;
            co_return;
        };
        auto a = body();
        auto b = std::move(a);
        co_await std::move(b);
    };
    run(parent);
    EXPECT_EQ(entered, 1);
}

TEST_F(Task, R007_ArgumentsCapturesAndLocalsDieOnceAndBeforeAWaiterSeesTheEnd) {
    for (const bool cancelled : {false, true}) {
        auto parent = [&]() -> task<> {
            co_await with_group([&](group g) -> task<> {
                auto body = [captured = object()](const counted&, tally& t) -> task<> {
                    const counted local(t);
                    co_await sleep_for(1s);
                };
                auto f = g.spawn(body, object(), std::ref(objects_));
                const int before = objects_.alive;
                co_await sleep_for(1ms);
                EXPECT_EQ(objects_.alive, before + 1);
                if (cancelled) f.cancel();
                const task_status how = co_await f.join();
                EXPECT_EQ(how, cancelled ? task_status::cancelled : task_status::done);
                EXPECT_EQ(objects_.alive, 1); // `body` itself, a local of this frame
            });
        };
        run(parent);
        EXPECT_EQ(objects_.alive, 0);
    }
}
TEST_F(Task, R007_CancelDestroysInnermostFrameFirst) {
    std::string log;
    auto inner = [](std::string& l) -> task<> {
        const mourner a(l, 'a');
        const mourner b(l, 'b');
        co_await sleep_for(1h);
    };
    auto middle = [&](std::string& l) -> task<> {
        const mourner c(l, 'c');
        co_await inner(l);
        l += '!';
    };
    auto outer = [&](std::string& l) -> task<> {
        const mourner d(l, 'd');
        co_await middle(l);
        l += '!';
    };
    auto f = rt_.submit(outer, std::ref(log));
    advance(1ms);
    EXPECT_TRUE(f.cancel());
    EXPECT_EQ(log, ""); // asking runs no code of the task (R017)
    advance(1ms);
    EXPECT_EQ(log, "bacd");
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Task, R007_ParametersOfACancelledFrameDieWithIt) {
    auto child = [](counted, counted&&) -> task<> { co_await sleep_for(1h); };
    auto parent = [&]() -> task<> {
        auto o = co_await as_outcome(with_timeout(1s, [&]() -> task<> {
            auto t = child(object(), object());
            co_await std::move(t);
        }));
        EXPECT_TRUE(o.has_failed());
        EXPECT_EQ(objects_.alive, 0);
    };
    run(parent);
    EXPECT_GE(objects_.made, 2);
}
TEST_F(Task, CancelRunsNoHandler) {
    int handlers = 0, destructors = 0;
    struct on_exit {
        int& n;
        ~on_exit() { ++n; }
    };
    auto body = [&]() -> task<> {
        const on_exit a{destructors};
        try {
            const on_exit b{destructors};
            co_await nap(1h);
        } catch (...) {
            ++handlers;
        }
        ++handlers;
    };
    auto f = rt_.submit(body);
    advance(1ms);
    f.cancel();
    advance(1ms);
    EXPECT_EQ(handlers, 0);
    EXPECT_EQ(destructors, 2);
}

TEST_F(Task, R021_CancelledBeforeStartIsNeverEntered) {
    bool entered = false;
    auto f = rt_.submit(
        [&](const counted&) -> task<> {
            entered = true;
            co_return;
        },
        object());
    EXPECT_TRUE(f.cancel());
    advance(1ms);
    EXPECT_FALSE(entered);
    EXPECT_EQ(f.status(), task_status::cancelled);
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Task, R021_PlainFunctionCancelledBeforeStartIsNeverCalled) {
    bool called = false;
    auto f = rt_.submit([&] { called = true; });
    f.cancel();
    advance(1ms);
    EXPECT_FALSE(called);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Task, R022_BusyTaskSeesTheRequestAtItsNextAwait) {
    std::string log;
    future<void>* self = nullptr;
    auto body = [&]() -> task<> {
        EXPECT_FALSE(this_task::cancel_requested());
        self->cancel("now");
        EXPECT_TRUE(this_task::cancel_requested());
        log += 'a';
        co_await checkpoint();
        log += 'b';
    };
    auto f = rt_.submit(body);
    self = &f;
    advance(1ms);
    EXPECT_EQ(log, "a");
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Task, R022_PlainFunctionIsInterruptedByCheckpoint) {
    std::string log;
    future<void>* self = nullptr;
    auto f = rt_.submit([&] {
        this_task::checkpoint();
        self->cancel();
        log += 'a';
        this_task::checkpoint();
        log += 'b';
    });
    self = &f;
    advance(1ms);
    EXPECT_EQ(log, "a");
    EXPECT_EQ(f.status(), task_status::cancelled);
}
// A coroutine that calls a plain function which polls: that is a cancellation of the task, not a failure.
TEST_F(Task, R022_CheckpointOfAPlainFunctionUnwindsTheCallingCoroutine) {
    std::string log;
    future<void>* self = nullptr;
    auto inner = [&]() -> task<> {
        self->cancel();
        this_task::checkpoint();
        log += '!';
        co_return;
    };
    auto outer = [&]() -> task<> {
        const mourner m(log, 'o');
        co_await inner();
        log += '!';
    };
    auto f = rt_.submit(outer);
    self = &f;
    advance(1ms);
    EXPECT_EQ(log, "o");
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Task, R022_CancelledThrownWithoutARequestIsAFailure) {
    auto f = rt_.submit([]() -> task<> {
        throw tenure::base::cancelled{};
        co_return;
    });
    advance(1ms);
    EXPECT_EQ(f.status(), task_status::failed);
    EXPECT_THROW(f.get(), tenure::base::cancelled);
    EXPECT_THROW(run([] { throw tenure::base::cancelled{}; }), tenure::base::cancelled);
}
TEST_F(Task, R022_CheckpointInsideATimedScopeIsItsTimeout) {
    auto spin = [](runtime& rt) -> task<> {
        co_await with_timeout(1s, [&rt]() -> task<> {
            while (rt.now() < this_task::deadline())
                (void)co_await as_outcome(sleep_for(1s));
            this_task::checkpoint();
        });
    };
    EXPECT_THROW(run(spin, std::ref(rt_)), timeout_error);
}
TEST_F(Task, R033_CancelsItselfAndReturnsWithoutSuspendingIsDone) {
    future<int>* self = nullptr;
    auto f = rt_.submit([&]() -> task<int> {
        self->cancel();
        co_return 7;
    });
    self = &f;
    advance(1ms);
    EXPECT_EQ(f.status(), task_status::done);
    EXPECT_EQ(f.get(), 7);
    EXPECT_TRUE(f.cancel_requested());
}
TEST_F(Task, R035_CancelledIsNoStdException) {
    future<void>* self = nullptr;
    std::string log;
    auto f = rt_.submit([&] {
        self->cancel();
        try {
            this_task::checkpoint();
        } catch (const std::exception&) {
            log += "eaten";
        }
    });
    self = &f;
    advance(1ms);
    EXPECT_EQ(log, "");
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Task, R020_EveryLaterAwaitSeesTheCancel) {
    int observed = 0;
    bool past = false;
    auto f = rt_.submit([&]() -> task<> {
        for (int i = 0; i < 3; ++i) {
            auto o = co_await as_outcome(sleep_for(1h));
            observed += o.was_cancelled();
        }
        co_await nap(1h);
        past = true;
    });
    advance(1ms);
    f.cancel();
    advance(1ms);
    EXPECT_EQ(observed, 3);
    EXPECT_FALSE(past);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Task, R023_SleeperWithoutHandlesIsCancelledPromptly) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            (void)g.spawn(nap, 1h);
            co_await sleep_for(1s);
            g.cancel();
        });
    };
    run(parent);
    EXPECT_EQ(elapsed(), 1s);
}

TEST_F(Task, MillionReadyAwaitsUseNoStack) {
    auto body = []() -> task<int> {
        int sum = 0;
        for (int i = 0; i < 1'000'000; ++i)
            sum += co_await give(1);
        co_return sum;
    };
    EXPECT_EQ(run(body), 1'000'000);
}
TEST_F(Task, MillionReadyOperationsUseNoStack) {
    auto body = []() -> task<int> {
        int n = 0;
        for (; n < 1'000'000; ++n)
            co_await checkpoint();
        co_return n;
    };
    EXPECT_EQ(run(body), 1'000'000);
}

constexpr int deep = 100'000;

task<int> descend(int n, tally& t, int how) {
    const counted local(t);
    if (n > 0) {
        const int below = co_await descend(n - 1, t, how);
        co_return below + 1;
    }
    if (how == 0) co_await yield();
    if (how == 1) co_await sleep_for(1h);
    if (how == 2) throw my_error("bottom");
    co_return 0;
}
TEST_F(Task, DeepChainCompletes) {
    EXPECT_EQ(run(descend, deep, std::ref(objects_), 0), deep);
    EXPECT_EQ(objects_.made, deep + 1);
}
TEST_F(Task, DeepChainFails) {
    EXPECT_EQ(thrown_by([&] { run(descend, deep, std::ref(objects_), 2); }), "bottom");
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Task, DeepChainIsCancelled) {
    auto f = rt_.submit(descend, deep, std::ref(objects_), 1);
    advance(1ms);
    EXPECT_EQ(objects_.alive, deep + 1);
    f.cancel();
    advance(1ms);
    EXPECT_EQ(objects_.alive, 0);
    EXPECT_EQ(f.status(), task_status::cancelled);
}

TEST_F(Task, R107_ReadyAwaitsLetOthersRun) {
    bool stop = false;
    int spins = 0;
    auto f = rt_.submit([&]() -> task<> {
        while (!stop) {
            co_await checkpoint();
            ++spins;
        }
    });
    auto g = rt_.submit([&]() -> task<> {
        stop = true;
        co_return;
    });
    advance(1ms);
    EXPECT_EQ(f.status(), task_status::done);
    EXPECT_LE(spins, 2 * detail::await_budget);
}
TEST_F(Task, YieldTakesTurns) {
    std::string log;
    auto body = [&](char c) -> task<> {
        for (int i = 0; i < 3; ++i) {
            log += c;
            co_await yield();
        }
    };
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn(body, 'a');
            (void)g.spawn(body, 'b');
            co_return;
        });
    };
    run(parent);
    EXPECT_EQ(log, "ababab");
}
} // namespace
