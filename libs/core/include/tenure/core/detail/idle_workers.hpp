// Which idle worker is woken, and when. Pure bookkeeping under the run queue's lock, so that a model can run it.
//
// Every function is called under that lock; one that returns true asks the caller to unpark() the driver, under the lock.
//
// INVARIANTS
//  1. While a worker is idle and a strand is queued, an unpark() is on its way, or a worker that is awake will pop again.
//  2. While a worker is idle, the earliest timer is watched: by an idle worker that parks no longer than until then, by an
//     unpark() on its way, or by a worker that is awake and will look at the timers before it runs or waits for long.
//     So a worker that turns to a strand hands over what only it knew (took).
//  3. Unparks are merged: waking_ is true from the request until some worker has returned from its park.
#pragma once
#include <tenure/base/clock.hpp>

#include <cstdint>

namespace tenure::inline v0::core::detail {

class idle_workers {
public:
    /// A worker that parks; on its own stack.
    class slot {
        friend idle_workers;
        base::time_point until_ =
            base::never; // later than the truth at first: then arming wakes once too often
        std::uint64_t arms_ = 0;
        slot *next_ = nullptr, *prev_ = nullptr;
    };

    bool any() const noexcept { return first_ != nullptr; }
    /// A strand was queued.
    bool pushed() noexcept { return wake(); }
    /// A timer that is now the earliest one was armed.
    bool armed(base::time_point at) noexcept {
        ++arms_;
        if (watched() <= at) return false;
        unwatched_ = true;
        return wake();
    }
    /// A worker took a strand that it will run. `knew`: until when it would have parked, if it comes from there.
    bool took(base::time_point knew, bool more) noexcept {
        return first_ && (more || unwatched_ || knew < watched()) && wake();
    }
    /// A worker is about to park. Afterwards it asks for the next timer and says so to watch().
    void parking(slot& s) noexcept {
        s.arms_ = arms_;
        s.next_ = first_;
        if (first_) first_->prev_ = &s;
        first_ = &s;
    }
    void watch(slot& s, base::time_point until) noexcept {
        s.until_ = until;
        if (s.arms_ == arms_) unwatched_ = false; // else armed after it asked: that one wakes somebody
    }
    /// Returned from the park.
    void returned(slot& s) noexcept {
        (s.prev_ ? s.prev_->next_ : first_) = s.next_;
        if (s.next_) s.next_->prev_ = s.prev_;
        waking_ = false;
    }
    /// A busy worker looked at the driver without waiting, and may have consumed the unpark() meant for one that parked
    /// meanwhile.
    bool looked() const noexcept { return waking_; }

private:
    bool wake() noexcept {
        if (!first_ || waking_) return false;
        return waking_ = true;
    }
    base::time_point watched() const noexcept {
        base::time_point least = base::never;
        for (const slot* s = first_; s; s = s->next_)
            if (s->until_ < least) least = s->until_;
        return least;
    }
    slot* first_ = nullptr;
    std::uint64_t arms_ = 0;
    bool waking_ = false;
    bool unwatched_ = false; // a timer was armed that no idle worker knows of
};

} // namespace tenure::inline v0::core::detail
