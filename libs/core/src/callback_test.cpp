#include "core_test.hpp"

#include <tenure/core/context.hpp>

#include <algorithm>
#include <thread>

namespace {
using namespace core_test;

struct Callbacks : virtual_test {};

TEST_F(Callbacks, R009_EachRunsOnceInOrderAfterTheEnd) {
    std::string log;
    auto f = rt_.submit(give_later, 1s, 7);
    std::vector<callback_handle> handles;
    for (const char letter : {'a', 'b', 'c'}) {
        handles.push_back(f.on_done([&log, letter](const future<int>& ended) {
            EXPECT_EQ(ended.status(), task_status::done);
            EXPECT_EQ(ended.get(), 7);
            log += letter;
        }));
    }
    advance(500ms);
    EXPECT_EQ(log, "");
    advance(5s);
    EXPECT_EQ(log, "abc");
}
TEST_F(Callbacks, R009_EveryKindOfEnd) {
    std::vector<task_status> seen;
    auto watch = [&](const future<void>& f) {
        return f.on_done([&](const future<void>& e) { seen.push_back(e.status()); });
    };
    auto fine = rt_.submit(nap, 1s);
    auto failing = rt_.submit(fail_later, 2s, "boom");
    auto cancelled = rt_.submit(nap, 1h);
    const auto a = watch(fine), b = watch(failing), c = watch(cancelled);
    advance(3s);
    cancelled.cancel();
    advance(1s);
    EXPECT_EQ(seen, (std::vector{task_status::done, task_status::failed, task_status::cancelled}));
    expected_unread_ = {"boom"}; // a callback that does not look at the failure has not read it
}
TEST_F(Callbacks, R010_NeverInlineInAddCancelOrTheEnd) {
    bool called = false;
    auto f = rt_.submit(nap, 1h);
    auto h = f.on_done([&] {
        EXPECT_EQ(this_task::label().name, "on_done"); // a strand of its own
        called = true;
    });
    advance(1s);
    f.cancel();
    EXPECT_FALSE(called);
    advance(1s);
    EXPECT_TRUE(called);
    called = false;
    auto late = f.on_done([&] { called = true; });
    EXPECT_FALSE(called);
    advance(1s);
    EXPECT_TRUE(called);
}
TEST_F(Callbacks, R011_AddedToAFinishedTaskItIsStillCalled) {
    auto f = rt_.submit(give, 3);
    advance(1s);
    int got = 0;
    auto h = f.on_done([&](const future<int>& e) { got = e.get(); });
    advance(1s);
    EXPECT_EQ(got, 3);
}
TEST_F(Callbacks, R012_StopIsTrueIffTheCallWasPrevented) {
    auto f = rt_.submit(nap, 1s);
    int called = 0;
    auto stopped = f.on_done([&, o = object()] { ++called; });
    EXPECT_EQ(objects_.alive, 1);
    EXPECT_TRUE(stopped.stop());
    EXPECT_EQ(objects_.alive, 0); // what it held is gone
    EXPECT_FALSE(stopped.stop());
    auto ran = f.on_done([&, o = object()] { ++called; });
    advance(2s);
    EXPECT_FALSE(ran.stop());
    EXPECT_EQ(called, 1);
    EXPECT_EQ(objects_.alive, 0);
    auto queued = f.on_done([&, o = object()] { ++called; }); // fired, not yet run
    EXPECT_TRUE(queued.stop());
    EXPECT_EQ(objects_.alive, 0);
    advance(1s);
    EXPECT_EQ(called, 1);
}
TEST_F(Callbacks, R012_DroppedHandleStopsAndReleasedOneDoesNot) {
    auto f = rt_.submit(nap, 1s);
    int called = 0;
    {
        const auto dropped = f.on_done([&] { called += 1; });
    }
    f.on_done([&] { called += 10; }).release();
    callback_handle moved = f.on_done([&] { called += 100; });
    moved = f.on_done([&] { called += 1000; }); // stops what it held
    callback_handle empty;
    EXPECT_FALSE(empty.stop());
    advance(2s);
    EXPECT_EQ(called, 1010);
}
TEST(CallbackThreads, R013_DestroyingTheHandleWaitsForACallOnAnotherThread) {
    runtime rt({.threads = 1});
    std::atomic<bool> entered{false}, go_on{false}, left{false}, destroyed{false};
    std::optional<callback_handle> h = rt.submit([] {}).on_done([&] {
        entered = true;
        while (!go_on)
            std::this_thread::yield();
        left = true;
    });
    while (!entered)
        std::this_thread::yield();
    EXPECT_FALSE(h->stop()); // does not wait
    EXPECT_FALSE(left);
    std::thread other([&] {
        h.reset();
        EXPECT_TRUE(left);
        destroyed = true;
    });
    EXPECT_FALSE(destroyed);
    go_on = true;
    other.join();
    EXPECT_TRUE(destroyed);
}
TEST_F(Callbacks, R013_DestroyedByItsOwnCallTheHandleReturnsAtOnce) {
    auto f = rt_.submit(nap, 1s);
    std::optional<callback_handle> h;
    bool after = false;
    h = f.on_done([&] {
        h.reset();
        after = true;
    });
    advance(2s);
    EXPECT_TRUE(after);
    EXPECT_FALSE(h.has_value());
}
TEST_F(Callbacks, R014_ThrowingOneStopsNobodyAndIsReportedOnce) {
    auto f = rt_.submit(give_later, 1s, 5);
    bool later = false;
    auto a = f.on_done([] { throw my_error("in a callback"); });
    auto b = f.on_done([&] { later = true; });
    advance(2s);
    EXPECT_TRUE(later);
    EXPECT_EQ(f.get(), 5);
    expected_unread_ = {"in a callback"};
}
TEST_F(Callbacks, R014_ReportNamesTheCallbackAndWhereItWasRegistered) {
    std::string name;
    unsigned line = 0;
    runtime rt(tenure::core::testing::virtual_time([&](const unread_failure& f) {
        name = f.task.name;
        line = f.task.site.line();
    }));
    auto f = rt.submit([] {});
    const unsigned here = __LINE__ + 1;
    auto h = f.on_done([] { throw my_error("x"); });
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_EQ(name, "on_done");
    EXPECT_EQ(line, here);
}
TEST_F(Callbacks, R015_MayAddRemoveCancelAndDropTheLastHandle) {
    std::string log;
    std::optional<future<void>> f = rt_.submit(nap, 1s);
    std::optional<callback_handle> added, removed;
    auto changing = f->on_done([&](const future<void>& e) {
        log += 'a';
        EXPECT_TRUE(removed->stop());
        removed.reset();
        added = e.on_done([&] { log += 'd'; });
        EXPECT_FALSE(e.cancel());
        f.reset();
    });
    removed = f->on_done([&] { log += 'b'; });
    auto last = f->on_done([&] { log += 'c'; });
    advance(5s);
    std::ranges::sort(log); // one that is added after the end has no place in the order
    EXPECT_EQ(log, "acd");
}
TEST_F(Callbacks, R016_BoundToADeadOwnerItIsSkippedAndNeverKeepsItAlive) {
    struct owner {
        counted object;
        int calls = 0;
    };
    auto alive = std::make_shared<owner>(owner{object()});
    auto dead = std::make_shared<owner>(owner{object()});
    auto f = rt_.submit(give_later, 1s, 4);
    int got = 0, skipped = 0;
    auto a = f.on_done(std::weak_ptr(alive), [&](owner& o, const future<int>& e) {
        ++o.calls;
        got = e.get();
    });
    auto b = f.on_done(std::weak_ptr(alive), [](owner& o) { ++o.calls; });
    auto c = f.on_done(std::weak_ptr(dead), [&](owner&) { ++skipped; });
    auto d = rt_.context().after_func(std::weak_ptr(dead), [&](owner&) { ++skipped; });
    EXPECT_EQ(dead.use_count(), 1);
    dead.reset();
    EXPECT_EQ(objects_.alive, 1);
    advance(2s);
    EXPECT_EQ(got, 4);
    EXPECT_EQ(alive->calls, 2);
    EXPECT_EQ(alive.use_count(), 1);
    EXPECT_EQ(skipped, 0);
}
TEST_F(Callbacks, R102_CallbackThatHoldsItsOwnFutureIsNoCycle) {
    {
        auto f = rt_.submit([o = object()] { return o; });
        f.on_done([f, o = object()] {}).release();
    }
    advance(1s);
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Callbacks, R045_RunsOnceOffTheCancellersStack) {
    const context c = rt_.context();
    int called = 0;
    auto h = c.after_func([&] { ++called; });
    advance(1s);
    EXPECT_EQ(called, 0);
    c.cancel();
    c.cancel();
    EXPECT_EQ(called, 0); // cancel() neither runs it nor waits for it
    advance(1s);
    EXPECT_EQ(called, 1);
    EXPECT_FALSE(h.stop());
}
TEST_F(Callbacks, R045_OfACancelledContextIsCalledNow) {
    const context c = rt_.context();
    c.cancel();
    bool called = false;
    auto h = c.after_func([&] { called = true; });
    EXPECT_FALSE(called);
    advance(1s);
    EXPECT_TRUE(called);
}
TEST_F(Callbacks, R045_StopIsTrueIffPrevented) {
    const context c = rt_.context();
    int called = 0;
    auto armed = c.after_func([&, o = object()] { ++called; });
    EXPECT_TRUE(armed.stop());
    auto queued = c.after_func([&, o = object()] { ++called; });
    c.cancel();
    EXPECT_TRUE(queued.stop());
    EXPECT_EQ(objects_.alive, 0);
    advance(1s);
    EXPECT_EQ(called, 0);
}
TEST_F(Callbacks, R045_DeadlineCallsItAlthoughTheHandleOfTheContextIsGone) {
    std::vector<int> log;
    auto a = rt_.context().with_timeout(1s).after_func([&] { log.push_back(1); });
    auto b = rt_.context().with_timeout(2s).after_func([&] { log.push_back(2); });
    advance(1500ms);
    EXPECT_EQ(log, (std::vector{1}));
    advance(5s);
    EXPECT_EQ(log, (std::vector{1, 2}));
}
TEST_F(Callbacks, R045_AThousandOnOneContextRunInOrder) {
    const context c = rt_.context();
    std::vector<callback_handle> handles;
    std::vector<int> log;
    for (int i = 0; i < 1000; ++i)
        handles.push_back(c.after_func([&log, i] { log.push_back(i); }));
    for (std::size_t i = 0; i < 1000; i += 2)
        EXPECT_TRUE(handles[i].stop());
    c.cancel();
    advance(1s);
    ASSERT_EQ(log.size(), 500u);
    for (std::size_t i = 0; i < 500; ++i)
        EXPECT_EQ(log[i], static_cast<int>(2 * i + 1));
}
TEST_F(Callbacks, CancelledByTheShutdownACallbackThatPollsIsNoFailure) {
    const context c = rt_.context();
    auto h = c.after_func([] { this_task::checkpoint(); });
    EXPECT_TRUE(rt_.close().abandoned.empty()); // close() cancels c, and the callback hears it, too
}
TEST_F(Callbacks, BlockingWaitInsideIsRefused) {
    auto f = rt_.submit(nap, 1h);
    const context c = rt_.context();
    auto h = c.after_func([f] { f.get(); });
    c.cancel();
    advance(1s);
    f.cancel();
    ASSERT_EQ(unread_.size(), 1u);
    EXPECT_NE(unread_[0].find("co_await"), std::string::npos);
    expected_unread_ = unread_;
}
TEST(CallbackThreads, R086_CallbackThatDoesNotReturnIsNamed) {
    struct flags {
        std::atomic<bool> entered{false}, go_on{false};
    };
    const auto shared = std::make_shared<flags>(); // the abandoned worker may outlive the test
    {
        runtime rt({.threads = 1});
        rt.submit([] {})
            .on_done([shared] {
                shared->entered = true;
                while (!shared->go_on)
                    std::this_thread::yield();
            })
            .release();
        while (!shared->entered)
            std::this_thread::yield();
        const auto report = rt.close({.drain = 1ms, .grace = 1ms, .workers = 1ms});
        ASSERT_EQ(report.abandoned.size(), 1u);
        EXPECT_EQ(report.abandoned[0].name, "on_done");
    }
    shared->go_on = true;
}
TEST(CallbackThreads, R085_NoneRunsAfterClose) {
    for (int round = 0; round < 20; ++round) {
        std::atomic<bool> closed{false}, late{false};
        std::atomic<int> refused{0};
        runtime rt({.threads = 2});
        const context c = rt.context();
        auto f = rt.submit([] {});
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 50; ++i) {
                    try {
                        auto note = [&] {
                            if (closed) late = true;
                        };
                        f.on_done(note).release();
                        c.with_cancel().after_func(note).release();
                        const context own = c.with_cancel();
                        own.after_func(note).release();
                        own.cancel();
                    } catch (const closed_error&) {
                        ++refused;
                        return;
                    }
                }
            });
        }
        EXPECT_TRUE(rt.close().abandoned.empty());
        closed = true;
        for (auto& t : threads)
            t.join();
        EXPECT_FALSE(late);
        EXPECT_TRUE(rt.audit().clean());
    }
}
TEST(CallbackThreads, R045_CancelStopAndDestructionRace) {
    runtime rt({.threads = 2});
    for (int round = 0; round < 300; ++round) {
        const context c = rt.context();
        std::atomic<int> calls{0}, prevented{0};
        std::vector<callback_handle> handles;
        for (int i = 0; i < 8; ++i)
            handles.push_back(c.after_func([&] { ++calls; }));
        std::thread canceller([&] { c.cancel(); });
        std::thread stopper([&] {
            for (std::size_t i = 0; i < 4; ++i)
                prevented += handles[i].stop();
        });
        stopper.join();
        handles.clear(); // what has not begun never will, what runs is waited for
        const int seen = calls;
        canceller.join();
        EXPECT_LE(seen + prevented, 8);
        std::this_thread::yield();
        ASSERT_EQ(calls, seen);
    }
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_TRUE(rt.audit().clean());
}
TEST(CallbackThreads, R011_AddingRacesTheEnd) {
    runtime rt({.threads = 2});
    std::atomic<int> calls{0};
    for (int round = 0; round < 300; ++round) {
        auto f = rt.submit([] {});
        f.on_done([&] { ++calls; }).release();
        f.on_done([&](const future<void>& e) { calls += e.status() == task_status::done; }).release();
    }
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_EQ(calls, 600);
}
} // namespace
