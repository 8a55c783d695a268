// The life of one callback: it is called once, or its call was prevented.
#pragma once
#include <tenure/base/mutex.hpp>

#include <cstdint>
#include <thread>

namespace tenure::inline v0::core::detail {

/// `Mutex`, `Lock`, `Condition` and `Thread` (who a caller is) are parameters so that the model checker in tests/model runs
/// this very code.
///   pending -begin()-> running -end()-> done        pending -stop()-> stopped
/// INVARIANTS
///  1. begin() or stop() says true, never both, each at most once: whoever it was owns the callable, and destroys it.
///  2. After wait() the call is not running, unless the caller is the thread that runs it.
///  3. end() lets go of the lock last: after that a waiter may free the object.
template <class Mutex, class Lock, class Condition, class Thread>
class basic_call_once {
public:
    /// The worker. True: call it, destroy the callable, then end().
    bool begin(Thread me) noexcept {
        Lock l(m_);
        if (state_ != state::pending) return false;
        state_ = state::running;
        runs_it_ = me;
        return true;
    }
    void end() noexcept {
        Lock l(m_);
        state_ = state::done;
        ended_.notify_all();
    }
    /// True: it will never be called; the caller destroys the callable.
    bool stop() noexcept {
        Lock l(m_);
        if (state_ != state::pending) return false;
        state_ = state::stopped;
        return true;
    }
    void wait(Thread me) noexcept {
        Lock l(m_);
        while (state_ == state::running && runs_it_ != me)
            ended_.wait(m_);
    }

private:
    enum class state : std::uint32_t { pending, running, done, stopped };
    Mutex m_;
    Condition ended_;
    state state_ TENURE_GUARDED_BY(m_) = state::pending;
    Thread runs_it_ TENURE_GUARDED_BY(m_){};
};

using call_once = basic_call_once<base::mutex, base::mutex_lock, base::condition, std::thread::id>;

} // namespace tenure::inline v0::core::detail
