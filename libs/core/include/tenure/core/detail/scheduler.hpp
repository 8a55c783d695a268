// Workers over one run queue, the timers, and the driver where idle workers park. The inside of a runtime.
//
// INVARIANTS
//  1. A strand is in the queue at most once; whoever pushes it owned it (state_word.hpp).
//  2. No lost wake-up: a worker counts itself idle under the queue's lock, having seen the queue empty; a pusher sees the
//     count under the same lock and unparks; unpark() is sticky. What one merged unpark() does not cover is handed on
//     (idle_workers.hpp).
//  3. Unparking happens under the lock: a foreign completer may be the last user of the runtime, which cannot be torn
//     down before it has let go of the lock.
#pragma once
#include <tenure/base/mutex.hpp>
#include <tenure/core/detail/blocking_pool.hpp>
#include <tenure/core/detail/context_node.hpp>
#include <tenure/core/detail/idle_workers.hpp>
#include <tenure/core/detail/task_count.hpp>
#include <tenure/core/detail/timer_queue.hpp>
#include <tenure/core/detail/tree_sketch.hpp>
#include <tenure/core/driver.hpp>
#include <tenure/core/dump.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace tenure::inline v0::core {

/// A failure that nobody looked at.
using unread_failure = base::task_failure;
using unread_failure_hook = std::function<void(const unread_failure&)>;

namespace detail {

/// A runtime's hook, for those who may outlive it.
class shared_hook final : public base::ref_counted {
public:
    explicit shared_hook(unread_failure_hook f) : call_(std::move(f)) {}
    void operator()(const unread_failure& f) const { call_(f); }

private:
    const unread_failure_hook call_;
};

class scheduler {
public:
    scheduler(std::unique_ptr<driver> d, unsigned threads, unread_failure_hook hook,
              unsigned blocking_threads = 256);
    scheduler(const scheduler&) = delete;
    scheduler& operator=(const scheduler&) = delete;
    /// The workers have been stopped.
    ~scheduler();

    void push(strand& s) noexcept;

    void arm(timer& t);
    bool disarm(timer& t) noexcept { return timers_.remove(t); }
    void fire_due_timers(held_nodes& visited) noexcept {
        timers_.expire_until(driver_->now(), nullptr, visited);
    }
    base::time_point now() noexcept { return driver_->now(); }

    /// The calling thread works until `done()` (asked between strands) or `until`. Returns what done() says.
    template <class Done>
    bool work_until(Done&& done, base::time_point until) {
        base::time_point knew = base::never; // when this worker would next have looked at the timers
        for (unsigned ran = 0;;) {
            if (done()) return true;
            if (strand* s = pop(knew)) {
                knew = base::never;
                run(*s);
                if (++ran % poll_interval == 0) look_around();
                continue;
            }
            const base::time_point now = driver_->now();
            const base::time_point next = timers_.expire(now, order_);
            if (now >= until) return done();
            knew = park(next < until ? next : until);
        }
    }
    /// Ends the background workers and waits for them, at most until `until` in real time.
    /// False: some are stuck in a function that does not return; they have been let go of (detached).
    bool stop_workers(base::time_point until);

    /// The calling worker is about to block, in a plain function: until take_back() another thread works in its place.
    /// Throws: usage_error if too many are lent; std::system_error if no thread can be had.
    void lend_worker();
    void take_back_worker() noexcept;
    /// Threads that work in place of blocked ones.
    unsigned lent_workers() noexcept;
    blocking_pool& blocking() noexcept { return blocking_; }

    bool has_workers() const noexcept { return has_workers_; }
    core::driver& io() noexcept { return *driver_; }
    /// Which of n that are ready alike; drawn from the seed where there is one.
    std::size_t draw(std::size_t n) noexcept;
    context_node& root() noexcept { return *root_; }

    // Tasks that have not ended and belong to the runtime itself. Those of a group are counted there: the task whose body
    // has the group does not end before them. refuse_new() forbids new ones from outside.
    void count_root_up() noexcept { tasks_.up(); }
    bool try_count_root_up() noexcept { return tasks_.try_up(); }
    void count_root_down() noexcept { tasks_.down(); }
    void refuse_new() noexcept { tasks_.close(); }
    std::size_t root_tasks() const noexcept { return tasks_.get(); }
    /// Waits until no task is left; works meanwhile if there are no background workers.
    bool wait_idle(base::time_point until);

    /// Names of the tasks that have not ended.
    std::vector<base::task_label> live_tasks();
    /// How many have not ended. Looks at each: for reports.
    std::size_t tasks();
    /// What lives at this moment. Threads: any, also while tasks run; a waiting task is held up for as long as its frames
    /// are read, all that are ready while theirs are. Then waits for processes that run calls, so long for all of them.
    task_tree dump(base::duration patience = dump_patience) { return dump(*root_, patience); }
    /// Of `below` and what is below it.
    task_tree dump(context_node& below, base::duration patience = dump_patience);
    /// The first half of that, which waits for nobody.
    tree_sketch sketch() { return sketch(*root_); }
    tree_sketch sketch(context_node& below);

    std::size_t timers() noexcept { return timers_.size(); }
    // Registered callbacks that have neither run nor been stopped.
    void callback_added() noexcept { callbacks_.fetch_add(1, std::memory_order_relaxed); }
    void callback_removed() noexcept { callbacks_.fetch_sub(1, std::memory_order_relaxed); }
    std::size_t callbacks() const noexcept { return callbacks_.load(std::memory_order_relaxed); }
    /// Handles that may outlive the runtime know it by its address and this (runtime_pin.hpp).
    std::uint32_t epoch() const noexcept { return epoch_; }
    const base::ref<shared_hook>& hook() const noexcept { return hook_; }
    base::task_id next_id() noexcept {
        return ids_.fetch_add(1, std::memory_order_relaxed);
    } // only uniqueness matters

private:
    static constexpr unsigned poll_interval = 64; // strands run between two looks at timers and descriptors
    strand* pop(base::time_point knew) noexcept;
    strand* take_chosen() noexcept TENURE_REQUIRES(m_);
    template <class F>
    void for_each_queued(F&& f) {
        base::mutex_lock l(m_);
        for (const strand* s = head_; s; s = next_queued(*s))
            f(*s);
    }
    static const strand* next_queued(const strand& s) noexcept;
    void run(strand& s) noexcept;
    void look_around();
    base::time_point park(base::time_point until);
    base::time_point park_simulated(base::time_point until);
    [[gnu::noinline, gnu::cold]] void tell_news() noexcept TENURE_REQUIRES(m_);
    bool stopped() const noexcept { return stop_.load(std::memory_order_relaxed); }
    void worker() noexcept;
    class substitute;

    const std::unique_ptr<driver> driver_;
    const bool simulated_;   // the driver's, as the next one
    run_order* const order_; // null unless a test decides
    const base::ref<shared_hook> hook_;
    const base::ref<context_node> root_;
    timer_queue timers_;

    base::mutex m_;
    base::condition changed_; // a worker ended
    strand* head_ TENURE_GUARDED_BY(m_) = nullptr;
    strand* tail_ TENURE_GUARDED_BY(m_) = nullptr;
    idle_workers idle_ TENURE_GUARDED_BY(m_);
    // Of blocking_, in simulated time: a strand is news, too.
    bool waits_for_news_ TENURE_GUARDED_BY(m_) = false;
    static constexpr std::uint64_t first_drawn = 0x9E3779B97F4A7C15u;
    std::uint64_t drawn_ TENURE_GUARDED_BY(m_) = first_drawn; // without a seed of the test's
    // Writer: stop_workers(), under m_. Readers: workers; relaxed, since one that goes to sleep looks again under m_.
    std::atomic<bool> stop_{false};
    unsigned lent_ TENURE_GUARDED_BY(m_) = 0;    // workers that block
    unsigned surplus_ TENURE_GUARDED_BY(m_) = 0; // substitutes that may leave
    unsigned live_workers_ TENURE_GUARDED_BY(m_) = 0;
    std::vector<std::thread> workers_; // confined to the constructor and stop_workers()
    const bool has_workers_;

    base::mutex dump_m_; // before all other locks

    const unsigned lend_limit_;
    blocking_pool blocking_;
    task_count tasks_;
    // Relaxed: each is counted down before the task count that close() waits for.
    std::atomic<std::size_t> callbacks_{0};
    const std::uint32_t epoch_;
    std::atomic<base::task_id> ids_{1};
};

} // namespace detail
} // namespace tenure::inline v0::core
