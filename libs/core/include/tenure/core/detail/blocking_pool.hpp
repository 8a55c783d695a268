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
    bool at_once_ = false;
    blocking_job *next_ = nullptr, *prev_ = nullptr;
};

/// INVARIANTS
///  1. At most `limit` jobs run that wait their turn and do not wait inside (for a moment more: those that go on after a wait).
///  2. For each queued job that may run a thread is on its way: idle and notified, just made, or about to look.
///  3. A thread that has counted itself out under the lock touches nothing any more; none is joined.
class blocking_pool {
public:
    enum class urgency : std::uint8_t { waits_its_turn, at_once };

    explicit blocking_pool(unsigned limit) : limit_(limit ? limit : 1) {}
    /// stop() has said true, or the pool is never freed.
    ~blocking_pool() = default;

    /// `at_once`: beside the limit.
    /// Throws: closed_error after stop(); std::system_error if there is no thread, and none can be had.
    void submit(blocking_job& j, urgency u);
    /// True: it will not run. False: it runs or has run.
    bool withdraw(blocking_job& j) noexcept;
    /// A job that runs waits for what others do: another one has its turn meanwhile.
    /// Throws: usage_error if `limit` of them wait already; std::system_error if no thread can be had.
    void wait_begins();
    void wait_ends() noexcept;
    /// Waits for what runs, at most until `until` in real time. True: no thread is left.
    bool stop(base::time_point until);

    std::size_t threads() noexcept;
    /// What runs on them.
    std::vector<base::task_label> running();

    /// For a clock that does not wait: blocks until some job has ended or waits, or news were told, since `seen`, if a job is
    /// there. False: none is.
    std::uint64_t news() const noexcept { return news_.load(std::memory_order_acquire); }
    bool wait_for_news(std::uint64_t seen);
    void tell_news() noexcept;

private:
    void thread() noexcept;
    struct queue {
        blocking_job *newest = nullptr, *oldest = nullptr;
        std::size_t size = 0;
    };
    static void link(blocking_job& j, blocking_job*& list, blocking_job::place p) noexcept;
    static void unlink(blocking_job& j, blocking_job*& list) noexcept;
    queue& queue_of(const blocking_job& j) noexcept TENURE_REQUIRES(m_) {
        return j.at_once_ ? urgent_ : usual_;
    }
    void remove(blocking_job& j) noexcept TENURE_REQUIRES(m_);
    blocking_job* take() noexcept TENURE_REQUIRES(m_);
    std::size_t may_run() const noexcept TENURE_REQUIRES(m_);
    void call_a_thread() TENURE_REQUIRES(m_);
    void tell() noexcept TENURE_REQUIRES(m_);

    const unsigned limit_;
    base::mutex m_;
    base::condition work_;    // a job may run, or stop
    base::condition changed_; // a job or a thread ended, or a job waits
    queue usual_ TENURE_GUARDED_BY(m_);
    queue urgent_ TENURE_GUARDED_BY(m_); // those at once
    blocking_job* running_ TENURE_GUARDED_BY(m_) = nullptr;
    std::size_t turns_ TENURE_GUARDED_BY(m_) = 0;   // usual jobs that run and do not wait
    std::size_t waiting_ TENURE_GUARDED_BY(m_) = 0; // that run and do
    std::size_t threads_ TENURE_GUARDED_BY(m_) = 0;
    std::size_t active_ TENURE_GUARDED_BY(m_) = 0; // submitted, not withdrawn, and not past done()
    std::size_t idle_ TENURE_GUARDED_BY(m_) = 0;
    // Writer: a thread, under m_ (release). Reader: news() (acquire): the job was done() by then.
    std::atomic<std::uint64_t> news_{0};
    bool stop_ TENURE_GUARDED_BY(m_) = false;
};

} // namespace tenure::inline v0::core::detail
