// Which idle worker is woken (core/detail/idle_workers.hpp), the real bookkeeping, with two workers that go round as
// scheduler::work_until() does. One strand runs until everything else is done: so whatever is handed to nobody is found as
// a lost wake-up.
#include "report.hpp"

#include <tenure/core/detail/idle_workers.hpp>

#include <optional>

namespace {

using tenure::base::never;
using tenure::base::time_point;
using tenure::core::detail::idle_workers;

constexpr time_point due{std::chrono::seconds(5)};

/// What happens besides the two workers.
struct cast {
    int pushes = 2;             // strands pushed from outside; the first one is long
    bool timer_outside = false; // a thread arms the timer, after the strands or before them
    bool timer_first = false;
    bool looks = false; // a third worker that is busy looks at the driver in between
};

template <class Idle, cast Cast>
class two_workers {
public:
    explicit two_workers(model::world& w) {
        w.track_object(idle);
        w.track_object(slots);
        w.thread("worker a", [this] { work(slots[0]); });
        w.thread("worker b", [this] { work(slots[1]); });
        w.thread("outside", [this] {
            if (Cast.timer_outside && Cast.timer_first) arm();
            for (int i = 0; i < Cast.pushes; ++i)
                push(i == 0);
            if (Cast.timer_outside && !Cast.timer_first) arm();
        });
        if (Cast.looks) w.thread("busy", [this] { look(); });
    }
    void at_end() {}

private:
    bool quiet() const { // all has been done but the long strand
        return ran == static_cast<std::uint64_t>(Cast.pushes) - 1 && (!Cast.timer_outside || fired);
    }
    void push(bool is_long) {
        const model::lock l(m);
        if (is_long)
            long_queued += 1;
        else
            queued += 1;
        if (idle.pushed()) unpark();
    }
    void arm() {
        {
            const model::lock l(timers);
            armed = 1;
        }
        const model::lock l(m);
        if (idle.armed(due)) unpark();
    }
    void unpark() { unparked = 1; } // under the lock m, as the scheduler does
    time_point next() {
        const model::lock l(timers);
        return armed ? due : never;
    }
    time_point expire() {
        const model::lock l(timers);
        if (armed && clock) {
            armed = 0;
            fired = 1;
        }
        return armed ? due : never;
    }
    void work(typename Idle::slot& slot) {
        time_point knew = never;
        for (;;) {
            if (finished) return;
            int took = 0;
            {
                const model::lock l(m);
                if (long_queued) {
                    long_queued = 0;
                    took = 2;
                } else if (queued) {
                    queued = queued - 1;
                    took = 1;
                }
                if (took && idle.took(knew, long_queued || queued)) unpark();
            }
            if (took) {
                knew = never;
                if (took == 2) { // runs on until nothing else is left to do
                    model::here->point([this] { return quiet(); });
                    finished = 1;
                    return;
                }
                ran += 1;
                continue;
            }
            knew = expire();
            knew = park(slot, knew);
        }
    }
    time_point park(typename Idle::slot& slot, time_point until) {
        {
            const model::lock l(m);
            if (long_queued || queued || finished) return until;
            slot = {};
            idle.parking(slot);
        }
        until = std::min(until, next());
        {
            const model::lock l(m);
            idle.watch(slot, until);
        }
        // The driver: an unpark ends one park; time may always have come, for those that wait for a time.
        model::here->point([this, until] { return unparked || finished || until != never; });
        if (unparked)
            unparked = 0;
        else if (until != never)
            clock = 1;
        const model::lock l(m);
        idle.returned(slot);
        return until;
    }
    void look() {
        {
            const model::lock l(m);
            if (idle.any()) return;
        }
        (void)expire();
        model::here->point();
        unparked = 0;
        const model::lock l(m);
        if (idle.looked()) unpark();
    }

    model::mutex m, timers;
    Idle idle{};
    std::array<typename Idle::slot, 2> slots{};
    model::shared long_queued, queued, unparked, armed, fired, clock, ran, finished;
};

// Wrong variants.

/// A count of the idle and a flag: one merged unpark() covers everything.
class only_counts {
public:
    class slot {
    public:
        std::uint64_t unused = 0;
    };
    bool any() const { return idle_ > 0; }
    bool pushed() { return wake(); }
    bool armed(time_point) { return wake(); }
    bool took(time_point, bool more) { return more && wake(); }
    void parking(slot&) { ++idle_; }
    void watch(slot&, time_point) {}
    void returned(slot&) {
        --idle_;
        waking_ = 0;
    }
    bool looked() const { return waking_; }

private:
    bool wake() {
        if (!idle_ || waking_) return false;
        waking_ = 1;
        return true;
    }
    std::uint64_t idle_ = 0, waking_ = 0;
};
struct hands_on_no_strands : only_counts {
    bool took(time_point, bool) { return false; }
};
struct eats_the_unpark : idle_workers {
    bool looked() const { return false; }
};
/// Forgets that the worker which takes a strand was the one that would have woken for the timer.
struct hands_over_no_watch : idle_workers {
    bool took(time_point, bool more) { return idle_workers::took(never, more); }
};

constexpr cast timer_last{.timer_outside = true};
constexpr cast timer_first{.timer_outside = true, .timer_first = true};
constexpr cast one_strand_and_timer{.pushes = 1, .timer_outside = true, .timer_first = true};
constexpr cast strand_then_timer{.pushes = 1, .timer_outside = true};
constexpr cast busy_looks{.looks = true};
constexpr cast busy_looks_timer{.pushes = 1, .timer_outside = true, .looks = true};

TEST(IdleWorkersModel, StrandsFromOutside) {
    model::expect_correct<two_workers<idle_workers, cast{}>>("idle workers: two strands");
    model::expect_correct<two_workers<idle_workers, cast{.pushes = 3}>>("idle workers: three strands");
}
TEST(IdleWorkersModel, StrandsAndATimer) {
    model::expect_correct<two_workers<idle_workers, timer_last>>("idle workers: strands, then a timer");
    model::expect_correct<two_workers<idle_workers, strand_then_timer>>(
        "idle workers: a long strand, a timer");
    model::expect_correct<two_workers<idle_workers, timer_first>>("idle workers: a timer, then strands");
    model::expect_correct<two_workers<idle_workers, one_strand_and_timer>>(
        "idle workers: a timer, a long strand");
}
TEST(IdleWorkersModel, BusyWorkerLooksInBetween) {
    model::expect_correct<two_workers<idle_workers, busy_looks>>("idle workers: a look, strands");
    model::expect_correct<two_workers<idle_workers, busy_looks_timer>>("idle workers: a look, strand, timer");
}
TEST(IdleWorkersModel, CatchesAStrandThatIsNotHandedOn) {
    model::expect_caught<two_workers<hands_on_no_strands, cast{}>>("strand not handed on", "lost wake-up");
}
TEST(IdleWorkersModel, CatchesATimerLostInAMergedUnpark) {
    model::expect_caught<two_workers<only_counts, strand_then_timer>>("merged unpark", "lost wake-up");
}
TEST(IdleWorkersModel, CatchesAWatchThatIsNotHandedOver) {
    model::expect_caught<two_workers<hands_over_no_watch, one_strand_and_timer>>("watch not handed over",
                                                                                 "lost wake-up");
}
TEST(IdleWorkersModel, CatchesAnUnparkThatALookAte) {
    model::expect_caught<two_workers<eats_the_unpark, busy_looks>>("eaten unpark", "lost wake-up");
}

} // namespace
