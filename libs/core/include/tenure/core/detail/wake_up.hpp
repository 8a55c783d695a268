// What a thread waits for that is told once.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/mutex.hpp>

namespace tenure::inline v0::core::detail {

class wake_up {
public:
    void wake() noexcept {
        base::mutex_lock l(m_);
        woken_ = true;
        changed_.notify_all(); // under the lock: the thread leaves, and this object with it, when we let go
    }
    bool woken() noexcept {
        base::mutex_lock l(m_);
        return woken_;
    }
    /// In real time. False: not woken by then.
    bool wait(base::time_point until) noexcept {
        base::mutex_lock l(m_);
        while (!woken_) {
            if (until == base::never) {
                changed_.wait(m_);
            } else {
                if (std::chrono::steady_clock::now() >= until) return false;
                changed_.wait_until(m_, until);
            }
        }
        return true;
    }

private:
    base::mutex m_;
    base::condition changed_;
    bool woken_ TENURE_GUARDED_BY(m_) = false;
};

} // namespace tenure::inline v0::core::detail
