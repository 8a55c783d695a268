// Timers: an indexed 4-ary heap under one lock.
//
// A timer is a node inside the operation or scope that armed it, so it has that one's owner and costs no allocation.
// fire() runs under the lock and may only set flags, poke and push; so remove() returning false means that fire() has
// returned, and the timer may be freed. What a cancel() in it visited is let go of after the lock: no user code under it.
// Lock order: timers, then contexts, then the run queue.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/mutex.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenure::inline v0::core::detail {

class run_order;
class held_nodes;

class timer {
public:
    virtual void fire(held_nodes& visited) noexcept = 0;
    base::time_point at{};

protected:
    timer() = default;
    ~timer() = default; // its owner removes it first

private:
    friend class timer_queue;
    static constexpr std::size_t idle = SIZE_MAX;
    std::size_t index_ = idle; // guarded by the queue's lock
};

class timer_queue {
public:
    /// True if no other timer is due earlier: a parked worker may have to be woken. May throw std::bad_alloc.
    bool add(timer& t);
    /// True iff firing was prevented; false: fire() has returned, or it was never added.
    bool remove(timer& t) noexcept;
    /// Fires what is due; says when the next one is. `order` may end it after any timer.
    base::time_point expire(base::time_point now, run_order* order = nullptr) noexcept;
    /// The same for a caller that holds a lock, or a pin.
    base::time_point expire_until(base::time_point now, run_order* order, held_nodes& visited) noexcept;
    base::time_point next() noexcept;
    std::size_t size() noexcept;

private:
    struct entry {
        base::time_point at; // a copy: comparing touches no timer
        std::uint64_t
            order; // of arming: timers of one time fire in it, the outer scope's before the inner one's
        timer* t;
        bool before(const entry& o) const noexcept { return at != o.at ? at < o.at : order < o.order; }
    };
    void place(std::size_t i, entry e) noexcept TENURE_REQUIRES(m_);
    void sift_up(std::size_t i) noexcept TENURE_REQUIRES(m_);
    void sift_down(std::size_t i) noexcept TENURE_REQUIRES(m_);
    void take_out(std::size_t i) noexcept TENURE_REQUIRES(m_);

    base::mutex m_;
    std::uint64_t armed_ TENURE_GUARDED_BY(m_) = 0;
    std::vector<entry> heap_ TENURE_GUARDED_BY(m_);
};

} // namespace tenure::inline v0::core::detail
