// A driver for runtimes without I/O: idle workers wait on a condition variable.
#pragma once
#include <tenure/base/mutex.hpp>
#include <tenure/core/driver.hpp>

namespace tenure::inline v0::core::detail {

class condition_driver final : public driver {
public:
    base::time_point now() noexcept override { return std::chrono::steady_clock::now(); }
    void park(base::time_point until) override {
        base::mutex_lock l(m_);
        while (!unparked_) {
            if (until == base::never) {
                cv_.wait(m_);
            } else {
                if (std::chrono::steady_clock::now() >= until) return;
                cv_.wait_until(m_, until);
            }
        }
        unparked_ = false;
    }
    void unpark() noexcept override {
        base::mutex_lock l(m_);
        unparked_ = true;
        cv_.notify_one();
    }

private:
    base::mutex m_;
    base::condition cv_;
    bool unparked_ TENURE_GUARDED_BY(m_) = false;
};

} // namespace tenure::inline v0::core::detail
