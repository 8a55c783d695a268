// sleep_for, sleep_until, yield, checkpoint: waits that need nothing but time.
#pragma once
#include <tenure/core/detail/frame.hpp>
#include <tenure/core/detail/scheduler.hpp>

namespace tenure::inline v0::core {
namespace detail {

struct sleep_time {
    base::duration after;
    base::time_point until; // never: `after` counts from the start
    base::time_point from(base::time_point now) const noexcept {
        return until == base::never ? base::saturating_add(now, after) : until;
    }
};
class [[nodiscard("nothing happens before it is awaited: write co_await")]] sleep_operation final
    : public operation,
      public timer {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    explicit sleep_operation(sleep_time t) noexcept : time_(t) {}
    bool ready() const noexcept { return false; }
    void start(strand& s, frame&) {
        const base::time_point now = s.sched->now();
        at = time_.from(now);
        if (at <= now) {
            s.next = step::resume;
            return;
        }
        sleeper_ = &s;
        s.wait(this);
        s.sched->arm(*this);
    }
    void fire(held_nodes&) noexcept override { sleeper_->complete(); }
    bool try_cancel() noexcept override { return sleeper_->sched->disarm(*this); }
    void result() const noexcept {}
    const sleep_time& time() const noexcept { return time_; }

private:
    sleep_time time_;
    strand* sleeper_ = nullptr;
};

class [[nodiscard("nothing happens before it is awaited: write co_await")]] checkpoint_operation {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    bool ready() const noexcept { return !current_strand()->asked_to_stop(); }
    void start(strand& s, frame&) const noexcept { s.next = step::resume; }
    void result() const noexcept {}
};
class [[nodiscard("nothing happens before it is awaited: write co_await")]] yield_operation {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    bool ready() const noexcept { return false; }
    void start(strand& s, frame&) const noexcept {
        s.budget = 0; // the trampoline lets others run first
        s.next = step::resume;
    }
    void result() const noexcept {}
};

} // namespace detail

/// `co_await sleep_for(10ms)`. Owner: the awaiting task. Cancel: wakes at once; no timer is left.
template <class Rep, class Period>
auto sleep_for(std::chrono::duration<Rep, Period> d) {
    return detail::sleep_operation({base::to_duration(d), base::never});
}
/// `co_await sleep_until(t)`, t on the runtime's clock (steady; virtual under test).
inline auto sleep_until(base::time_point at) { return detail::sleep_operation({base::duration::max(), at}); }

/// `co_await checkpoint()`: a pending cancellation and a deadline that has passed are seen here. Every await is a
/// checkpoint for cancellations; this one, for loops that compute, looks at the clock too.
inline auto checkpoint() { return detail::checkpoint_operation{}; }
/// `co_await yield()`: lets the other tasks that are ready run first.
inline auto yield() { return detail::yield_operation{}; }

} // namespace tenure::inline v0::core
