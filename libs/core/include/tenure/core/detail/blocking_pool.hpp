// Threads for what blocks: made when they are needed, ended when nothing has needed them for a while.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/error.hpp>
#include <tenure/base/mutex.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenure::inline v0::core::detail {

/// Something that runs on a thread of the pool, once. Alive until done() is called, or it was withdrawn.
class blocking_job {
public:
    virtual void run() noexcept = 0;
    /// After run(), off the pool's lists. The job may be gone when it returns.
    virtual void done() noexcept = 0;
    virtual base::task_label job_label() const = 0;

protected:
    ~blocking_job() = default;

private:
    friend class blocking_pool;
    enum class place : std::uint8_t { nowhere, queued, running };
    place place_ = place::nowhere; // guarded by the pool's lock, as all here
    blocking_job *next_ = nullptr, *prev_ = nullptr;
};

/// INVARIANTS
///  1. While a job is queued, a thread is on its way to it, or all `limit` threads run jobs.
///  2. A thread that has counted itself out under the lock touches nothing any more; none is joined.
class blocking_pool {
public:
    enum class urgency : std::uint8_t { waits_its_turn, at_once };

    explicit blocking_pool(unsigned limit) : limit_(limit ? limit : 1) {}
    /// stop() has said true, or the pool is never freed.
    ~blocking_pool() = default;

    /// `at_once`: on a thread beyond the limit, if need be.
    /// Throws: closed_error after stop(); std::system_error if there is no thread, and none can be had.
    void submit(blocking_job& j, urgency u);
    /// True: it will not run. False: it runs or has run.
    bool withdraw(blocking_job& j) noexcept;
    /// Waits for what runs, at most until `until` in real time. True: no thread is left.
    bool stop(base::time_point until);

    std::size_t threads() noexcept;
    /// What runs on them.
    std::vector<base::task_label> running();

    /// For a clock that does not wait: blocks until some job has ended since `seen`, if one is there. False: none is.
    std::uint64_t ended() const noexcept { return ended_.load(std::memory_order_acquire); }
    bool wait_for_an_end(std::uint64_t seen);

private:
    void thread() noexcept;
    void link(blocking_job& j, blocking_job*& list, blocking_job::place p) noexcept TENURE_REQUIRES(m_);
    void unlink(blocking_job& j, blocking_job*& list) noexcept TENURE_REQUIRES(m_);
    blocking_job* take() noexcept TENURE_REQUIRES(m_);

    const unsigned limit_;
    base::mutex m_;
    base::condition work_;                                // a job was queued, or stop
    base::condition changed_;                             // a job or a thread ended
    blocking_job* queue_ TENURE_GUARDED_BY(m_) = nullptr; // newest first
    blocking_job* last_ TENURE_GUARDED_BY(m_) = nullptr;  // oldest of the queue
    blocking_job* running_ TENURE_GUARDED_BY(m_) = nullptr;
    std::size_t queued_ TENURE_GUARDED_BY(m_) = 0;
    std::size_t threads_ TENURE_GUARDED_BY(m_) = 0;
    std::size_t active_ TENURE_GUARDED_BY(m_) = 0; // submitted, not withdrawn, and not past done()
    std::size_t idle_ TENURE_GUARDED_BY(m_) = 0;
    // Writer: a thread, under m_ (release). Reader: ended() (acquire): the job was done() by then.
    std::atomic<std::uint64_t> ended_{0};
    bool stop_ TENURE_GUARDED_BY(m_) = false;
};

} // namespace tenure::inline v0::core::detail
