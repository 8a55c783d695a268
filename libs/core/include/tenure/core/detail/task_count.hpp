// How many tasks have not ended. The last one to be counted down may be the runtime's last user.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/mutex.hpp>

#include <atomic>
#include <cstddef>

namespace tenure::inline v0::core::detail {

/// `Atomic`, `Mutex`, `Lock` and `Condition` are parameters so that the model checker in tests/model runs this very code.
/// INVARIANTS
///  1. Whoever sees 0 in wait_zero() may free the count: the last down() touches nothing after it let go of the lock.
///  2. After close(), what try_up() admitted is in the count that wait_zero() sees. (Dekker: the one counts up, then looks
///     at closed_; the other sets closed_, then looks at the count; all seq_cst, so one of them sees the other.)
template <template <class> class Atomic, class Mutex, class Lock, class Condition>
class basic_task_count {
public:
    /// For those who are counted themselves, so that the count is not 0; or whom the closer waits for in another way.
    void up() noexcept { n_.fetch_add(1, std::memory_order_relaxed); }
    /// False after close(): nothing was counted.
    bool try_up() noexcept {
        n_.fetch_add(1, std::memory_order_seq_cst);
        if (!closed_.load(std::memory_order_seq_cst)) return true;
        down();
        return false;
    }
    void down() noexcept {
        std::size_t n = n_.load(std::memory_order_relaxed); // a first guess
        while (n > 1) // Release: what the task did is seen by who sees 0 (acquire).
            if (n_.compare_exchange_weak(n, n - 1, std::memory_order_release, std::memory_order_relaxed))
                return;
        Lock l(m_);
        if (n_.fetch_sub(1, std::memory_order_seq_cst) == 1) zero_.notify_all();
    }
    void close() noexcept { closed_.store(true, std::memory_order_seq_cst); }
    std::size_t get() const noexcept { return n_.load(std::memory_order_seq_cst); }
    /// False: not 0 by then.
    bool wait_zero(base::time_point until) {
        Lock l(m_);
        while (n_.load(std::memory_order_seq_cst) > 0) {
            if (until == base::never) {
                zero_.wait(m_);
            } else {
                if (std::chrono::steady_clock::now() >= until) return false;
                zero_.wait_until(m_, until);
            }
        }
        return true;
    }

private:
    Mutex m_;
    Condition zero_;
    Atomic<std::size_t> n_{0};
    Atomic<bool> closed_{false};
};

template <class T>
using count_atomic = std::atomic<T>;
using task_count = basic_task_count<count_atomic, base::mutex, base::mutex_lock, base::condition>;

} // namespace tenure::inline v0::core::detail
