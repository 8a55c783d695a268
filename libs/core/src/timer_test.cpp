#include "core_test.hpp"

#include <tenure/core/timer.hpp>

#include <latch>
#include <mutex>
#include <thread>

namespace {
using namespace core_test;

struct Timers : virtual_test {};

TEST_F(Timers, CallsLaterOnceAndNotOnTheStackThatArms) {
    std::string log;
    run([&]() -> task<> {
        auto f = [&] { log += this_task::label().name + "!"; };
        call_later(0s, f, {.name = "now"});
        call_later(-5h, f, {.name = "past"});
        call_later(2s, f, {.name = "later"});
        log += "armed ";
        co_await sleep_for(1s);
        log += " 1s ";
        co_await sleep_for(2s);
    });
    EXPECT_EQ(log, "armed past!now! 1s later!");
}
TEST_F(Timers, R089_ArmedInCleanupNeverFiresAfterTheTaskHasEnded) {
    bool fired = false;
    auto f = rt_.submit({.name = "owner"}, [&]() -> task<> {
        auto cleanup = [](bool& b) -> task<> {
            call_later(1h, [&b] { b = true; }, {.name = "late"});
            co_return;
        };
        co_await defer(1min, cleanup, std::ref(fired));
        co_await sleep_for(1h);
    });
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_EQ(f.status(), task_status::cancelled);
    EXPECT_EQ(rt_.audit().timers, 0u);
    ASSERT_EQ(unread_.size(), 1u);
    EXPECT_NE(unread_[0].find("'late' spawned at timer_test.cpp:"), std::string::npos) << unread_[0];
    expected_unread_ = unread_;
    advance(2h);
    EXPECT_FALSE(fired);
}
TEST_F(Timers, R089_FiresWhileTheCleanupOfACancelledTaskLasts) {
    bool fired = false;
    auto f = rt_.submit([&]() -> task<> {
        auto cleanup = [](bool& b) -> task<> {
            call_later(1s, [&b] { b = true; });
            co_await sleep_for(2s);
        };
        co_await defer(1min, cleanup, std::ref(fired));
        co_await sleep_for(1h);
    });
    advance(1s);
    f.cancel();
    advance(5s);
    EXPECT_TRUE(fired);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Timers, R089_HoweverTheTaskEndsItsTimersEndLastFirst) {
    enum how { returns, throws, cancelled, plain };
    for (const how h : {returns, throws, cancelled, plain}) {
        std::string log;
        auto arm = [&] {
            for (const char c : {'a', 'b', 'c'})
                call_later(1h, [&log, c] { log += c; }, {.when_owner_ends = at_end::run});
        };
        auto body = [&]() -> task<> {
            arm();
            co_await sleep_for(1s);
            if (h == throws) throw my_error("x");
            if (h == cancelled) co_await sleep_for(1h);
        };
        auto f = h == plain ? rt_.submit(arm) : rt_.submit(body);
        advance(2s);
        if (h == cancelled) f.cancel();
        (void)run([&]() -> task<> { (void)co_await f.join(); });
        EXPECT_EQ(log, "cba") << h;
        if (h == throws) {
            EXPECT_THROW(f.get(), my_error);
        }
    }
}
TEST_F(Timers, R089_DropIsSilentAndCallbacksAreDestroyedBeforeTheStateIsSeen) {
    auto f = rt_.submit([&]() -> task<> {
        for (int i = 0; i < 100; ++i)
            call_later(1h, [keep = object()] { (void)keep; }, {.when_owner_ends = at_end::drop});
        EXPECT_EQ(objects_.alive, 100);
        co_return;
    });
    run([&]() -> task<> {
        co_await f;
        EXPECT_EQ(objects_.alive, 0);
    });
}
TEST_F(Timers, R089_ArgumentsOutliveTheTimersAndTheirDestructorsMayArm) {
    std::string log;
    struct arms_when_it_dies {
        std::string* log;
        explicit arms_when_it_dies(std::string& l) : log(&l) {}
        arms_when_it_dies(arms_when_it_dies&& o) noexcept : log(std::exchange(o.log, nullptr)) {}
        arms_when_it_dies(const arms_when_it_dies& o) = default;
        ~arms_when_it_dies() {
            if (log)
                call_later(1h, [l = log] { *l += "from the destructor"; }, {.when_owner_ends = at_end::run});
        }
    };
    auto f = rt_.submit([](const arms_when_it_dies&) {}, arms_when_it_dies(log));
    (void)run([&]() -> task<> { (void)co_await f.join(); });
    EXPECT_EQ(log, "from the destructor");
}
TEST_F(Timers, R089_CallAtTheEndIsBoundedByItsGrace) {
    auto f = rt_.submit([]() -> task<> {
        auto slow = []() -> task<> { co_await sleep_for(1h); };
        call_later(1h, slow, {.when_owner_ends = at_end::run, .grace = 2s});
        co_return;
    });
    (void)run([&]() -> task<> { (void)co_await f.join(); });
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(Timers, R089_GroupsTimersOutliveTheTaskThatArmedThemButNotTheGroup) {
    std::string log;
    run([&]() -> task<> {
        auto body = [&](group g) -> task<> {
            auto child = [&, g] {
                g.call_later(1s, [&] { log += "fired "; });
                g.call_later(1h, [&] { log += "never "; }, {.when_owner_ends = at_end::drop});
                g.call_later(1h, [&] { log += "at the end"; }, {.when_owner_ends = at_end::run});
            };
            co_await g.spawn(child);
            co_await sleep_for(2s);
        };
        co_await with_group(body);
        EXPECT_EQ(log, "fired at the end");
    });
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(Timers, R089_CallbackMayArmForItsOwnerAndIsRefusedOnceThatEnds) {
    std::string log, refused;
    run([&]() -> task<> {
        auto again = [&] { call_later(1s, [&] { log += "second"; }); };
        call_later(1s, again);
        auto last = [&] { refused = thrown_by([&] { call_later(1s, [] {}); }); };
        call_later(1h, last, {.when_owner_ends = at_end::run});
        co_await sleep_for(3s);
    });
    EXPECT_EQ(log, "second");
    EXPECT_EQ(refused.rfind("the owner of the timer has ended or is ending", 0), 0u) << refused;
}
TEST_F(Timers, R089_EndedOwnerIsAnErrorAndTheCallbackIsDestroyed) {
    std::optional<group> kept;
    run([&]() -> task<> {
        auto body = [&](group g) -> task<> {
            kept = g;
            co_return;
        };
        co_await with_group(body);
    });
    EXPECT_THROW(kept->call_later(1s, [keep = object()] { (void)keep; }), closed_error);
    EXPECT_THROW(kept->every(1s, [] {}), closed_error);
    EXPECT_THROW(call_later(1s, [] {}), usage_error); // no task at all
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Timers, R090_CancelSaysWhetherItPreventedTheCall) {
    int calls = 0;
    run([&]() -> task<> {
        auto one = call_later(1s, [&, keep = object()] { ++calls; });
        EXPECT_TRUE(one.cancel());
        EXPECT_FALSE(one.cancel());
        auto two = call_later(1s, [&] { ++calls; });
        co_await sleep_for(2s);
        EXPECT_EQ(objects_.alive, 0); // the prevented one is gone
        EXPECT_FALSE(two.cancel());
        std::optional<timer> three;
        auto self = [&] { EXPECT_FALSE(three->cancel()); }; // from inside it is too late
        three = call_later(1s, self);
        co_await sleep_for(2s);
    });
    EXPECT_EQ(calls, 1);
}
TEST_F(Timers, R090_EndOfATaskCancelsACallbackUnderWayAndWaitsForIt) {
    std::string log;
    run([&]() -> task<> {
        auto child = [&]() -> task<> {
            auto slow = [&]() -> task<> {
                auto cleanup = [](std::string& l) -> task<> {
                    co_await sleep_for(3s);
                    l += "callback ";
                };
                co_await defer(1min, cleanup, std::ref(log));
                co_await sleep_for(1h);
            };
            call_later(1s, slow);
            co_await sleep_for(2s);
        };
        auto body = [&](group g) -> task<> { co_await g.spawn(child); };
        co_await with_group(body);
        log += "task";
    });
    EXPECT_EQ(log, "callback task");
    EXPECT_EQ(elapsed(), 5s);
}
TEST_F(Timers, R091_FailingTickIsReportedAndTheIntervalGoesOn) {
    int ticks = 0;
    run([&]() -> task<> {
        every(1s, [&] {
            if (++ticks == 2) throw my_error("second tick");
        });
        co_await sleep_for(5500ms);
    });
    EXPECT_EQ(ticks, 5);
    advance(10s);
    EXPECT_EQ(ticks, 5); // it stopped with its owner, and nothing is reported for that
    expected_unread_ = {"second tick"};
}
TEST_F(Timers, R091_TicksNeverOverlapAndMissedOnesAreLeftOut) {
    std::vector<tenure::base::duration> began;
    int inside = 0;
    run([&]() -> task<> {
        auto tick = [&]() -> task<> {
            EXPECT_EQ(++inside, 1);
            began.push_back(elapsed());
            co_await sleep_for(2500ms);
            --inside;
        };
        every(1s, tick);
        co_await sleep_for(10s);
    });
    EXPECT_EQ(began, (std::vector<tenure::base::duration>{1s, 4s, 7s, 10s}));
}
TEST_F(Timers, R091_CancelStopsTheIntervalAlsoFromInside) {
    int ticks = 0;
    run([&]() -> task<> {
        std::optional<timer> t;
        t = every(1s, [&] {
            if (++ticks == 3) {
                EXPECT_FALSE(t->cancel());
            }
        });
        co_await sleep_for(10s);
        EXPECT_EQ(ticks, 3);
        auto other = every(1s, [&] { ++ticks; });
        EXPECT_TRUE(other.cancel());
        co_await sleep_for(10s);
    });
    EXPECT_EQ(ticks, 3);
}
TEST_F(Timers, R091_IntervalMustBePositive) {
    run([]() -> task<> {
        EXPECT_THROW(every(0s, [] {}), usage_error);
        EXPECT_THROW(every(-1s, [] {}), usage_error);
        co_return;
    });
}
TEST_F(Timers, R091_TickOfADeadObjectIsSkippedAndForgotten) {
    struct cache {
        int sweeps = 0;
    };
    int calls = 0;
    run([&]() -> task<> {
        auto owner = std::make_shared<cache>();
        auto sweep = [&](cache& c) -> task<> {
            ++calls;
            co_await sleep_for(100ms);
            ++c.sweeps;
        };
        every(1s, std::weak_ptr(owner), sweep);
        call_later(1h, std::weak_ptr(owner), [&](cache&) { ++calls; });
        co_await sleep_for(2500ms);
        EXPECT_EQ(owner->sweeps, 2);
        EXPECT_EQ(owner.use_count(), 1); // not prolonged between ticks
        owner.reset();
        co_await sleep_for(2s);
        EXPECT_EQ(rt_.audit().timers, 1u); // the interval is gone; the other one dies unreported
    });
    EXPECT_EQ(calls, 2);
}
TEST_F(Timers, R061_HugeDelaysSaturate) {
    run([]() -> task<> {
        using years = std::chrono::duration<double, std::ratio<31556952>>;
        auto t = call_later(years(1e30), [] { ADD_FAILURE(); });
        auto e = every(std::chrono::hours::max(), [] { ADD_FAILURE(); });
        co_await sleep_for(1h);
        EXPECT_TRUE(t.cancel());
        EXPECT_TRUE(e.cancel());
    });
}
TEST_F(Timers, R059_MillionLiveTimersFireOrEndWithTheirOwner) {
#ifdef TENURE_STD_MUTEX // ThreadSanitizer, which takes 27 us and 2.7 KB for each: a million are half a minute
    constexpr int n = 100'000;
#else
    constexpr int n = 1'000'000;
#endif
    int fired = 0;
    run([&]() -> task<> {
        for (int i = 0; i < n; ++i)
            call_later(std::chrono::milliseconds(i * 7919LL % n), [&] { ++fired; },
                       {.when_owner_ends = at_end::drop});
        EXPECT_EQ(rt_.audit().timers, unsigned(n));
        co_await sleep_for(std::chrono::milliseconds(n / 2) - 500us);
    });
    EXPECT_EQ(fired, n / 2);
}

// From here on real threads.
TEST(TimersOnThreads, R090_TaskWaitsForACallbackInFlightOnAnotherThread) {
    runtime rt({.threads = 2});
    for (int round = 0; round < 50; ++round) {
        std::latch entered(1), go(1);
        std::atomic<bool> left{false};
        auto f = rt.submit([&] {
            call_later(0s, [&] {
                entered.count_down();
                go.wait();
                left = true;
            });
            entered.wait();
        });
        entered.wait();
        EXPECT_EQ(f.status(), task_status::pending);
        go.count_down();
        f.get();
        EXPECT_TRUE(left);
    }
    (void)rt.close();
    EXPECT_TRUE(rt.audit().clean());
}
TEST(TimersOnThreads, R090_CancelRacesFiring) {
    runtime rt({.threads = 2, .on_unread_failure = [](const unread_failure&) {}});
    std::atomic<int> calls{0}, prevented{0}, rounds{0};
    for (int round = 0; round < 300; ++round)
        rt.block_on([&]() -> task<> {
            std::vector<timer> armed;
            for (int i = 0; i < 4; ++i)
                armed.push_back(call_later(std::chrono::microseconds(10 * i), [&] { ++calls; }));
            armed.push_back(every(5us, [&] {}));
            std::thread other([&] {
                for (auto& t : armed)
                    prevented += t.cancel() && &t != &armed.back();
            });
            other.join();
            rounds += 4;
            co_await sleep_for(100us);
        });
    (void)rt.close();
    EXPECT_EQ(calls + prevented, rounds);
    EXPECT_TRUE(rt.audit().clean());
}
TEST(TimersOnThreads, R089_NothingFiresAfterTheTaskHasEnded) {
    std::atomic<int> reported{0};
    runtime rt({.threads = 2, .on_unread_failure = [&](const unread_failure&) { ++reported; }});
    std::atomic<int> calls{0};
    constexpr int rounds = 300, timers = 8;
    for (int round = 0; round < rounds; ++round) {
        std::atomic<bool> ended{false};
        auto f = rt.submit([&]() -> task<> {
            for (int i = 0; i < timers; ++i)
                call_later(std::chrono::microseconds(5 * i), [&] {
                    EXPECT_FALSE(ended);
                    ++calls;
                });
            co_await yield();
        });
        f.get();
        ended = true;
    }
    (void)rt.close();
    EXPECT_EQ(calls + reported, rounds * timers);
}
} // namespace
