// A mutex that clang's thread-safety analysis understands, of four bytes: most objects of the runtime have one.
#pragma once
#include <tenure/base/detail/word_lock.hpp>

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define TENURE_ATTRIBUTE(x) __attribute__((x))
#else
#define TENURE_ATTRIBUTE(x)
#endif
#define TENURE_CAPABILITY(x) TENURE_ATTRIBUTE(capability(x))
#define TENURE_SCOPED_CAPABILITY TENURE_ATTRIBUTE(scoped_lockable)
#define TENURE_GUARDED_BY(x) TENURE_ATTRIBUTE(guarded_by(x))
#define TENURE_REQUIRES(...) TENURE_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define TENURE_ACQUIRE(...) TENURE_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define TENURE_RELEASE(...) TENURE_ATTRIBUTE(release_capability(__VA_ARGS__))
#define TENURE_EXCLUDES(...) TENURE_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define TENURE_NO_ANALYSIS TENURE_ATTRIBUTE(no_thread_safety_analysis)

namespace tenure::inline v0::base {

// ThreadSanitizer knows std::mutex and reports locks that are taken in two orders; of a lock word it sees only the atomics.
#if defined(__SANITIZE_THREAD__)
#define TENURE_STD_MUTEX 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TENURE_STD_MUTEX 1
#endif
#endif

class TENURE_CAPABILITY("mutex") mutex {
public:
    void lock() TENURE_ACQUIRE() { m_.lock(); }
    void unlock() TENURE_RELEASE() { m_.unlock(); }

private:
    friend class condition;
#if defined(TENURE_STD_MUTEX)
    std::mutex m_;
#else
    detail::word_lock m_;
#endif
};

class TENURE_SCOPED_CAPABILITY mutex_lock {
public:
    explicit mutex_lock(mutex& m) TENURE_ACQUIRE(m) : m_(m) { m_.lock(); }
    ~mutex_lock() TENURE_RELEASE() { m_.unlock(); }
    mutex_lock(const mutex_lock&) = delete;
    mutex_lock& operator=(const mutex_lock&) = delete;

private:
    mutex& m_;
};

/// Condition variable for `mutex`; the caller holds the lock around every call of wait. A wait may end early.
class condition {
public:
    using time_point = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

#if defined(TENURE_STD_MUTEX)
    void wait(mutex& m) TENURE_REQUIRES(m) {
        std::unique_lock l(m.m_, std::adopt_lock);
        cv_.wait(l);
        l.release();
    }
    void wait_until(mutex& m, time_point at) TENURE_REQUIRES(m) {
        std::unique_lock l(m.m_, std::adopt_lock);
        cv_.wait_until(l, at);
        l.release();
    }
    void notify_one() noexcept { cv_.notify_one(); }
    void notify_all() noexcept { cv_.notify_all(); }

private:
    std::condition_variable cv_;
#else
    void wait(mutex& m) TENURE_REQUIRES(m) { cv_.wait(m.m_, nullptr); }
    void wait_until(mutex& m, time_point at) TENURE_REQUIRES(m) {
        const detail::futex::deadline until = at.time_since_epoch();
        cv_.wait(m.m_, &until);
    }
    void notify_one() noexcept { cv_.notify_one(); }
    void notify_all() noexcept { cv_.notify_all(); }

private:
    detail::word_condition cv_;
#endif
};

} // namespace tenure::inline v0::base
