#include <tenure/core/detail/run_order.hpp>
#include <tenure/core/detail/runtime_pin.hpp>
#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/detail/strand.hpp>

#include <algorithm>

namespace tenure::inline v0::core::detail {

scheduler::scheduler(std::unique_ptr<driver> d, unsigned threads, unread_failure_hook hook,
                     unsigned blocking_threads)
    : driver_(std::move(d)),
      simulated_(driver_->is_simulated()),
      order_(driver_->order()),
      hook_(base::ref<shared_hook>::adopt(new shared_hook(std::move(hook)))),
      root_(base::ref<context_node>::adopt(new context_node(nullptr, node_kind::root))),
      has_workers_(threads > 0),
      lend_limit_(blocking_threads),
      blocking_(blocking_threads),
      epoch_(runtime_pin::enlist(*this)) {
    {
        base::mutex_lock l(m_);
        live_workers_ = threads;
    }
    workers_.reserve(threads);
    try {
        for (unsigned i = 0; i < threads; ++i)
            workers_.emplace_back([this] { worker(); });
    } catch (...) { // no more threads to be had: the ones that started must not outlive us
        {
            base::mutex_lock l(m_);
            live_workers_ = static_cast<unsigned>(workers_.size());
        }
        stop_workers(base::never);
        runtime_pin::strike(*this);
        throw;
    }
}
scheduler::~scheduler() {
    runtime_pin::strike(*this);
    root_->unlink();
}

void scheduler::push(strand& s) noexcept {
    s.queue_next = nullptr;
    base::mutex_lock l(m_);
    (tail_ ? tail_->queue_next : head_) = &s;
    tail_ = &s;
    if (idle_.pushed()) driver_->unpark();
    if (waits_for_news_) [[unlikely]]
        tell_news();
}
strand* scheduler::pop(base::time_point knew) noexcept {
    base::mutex_lock l(m_);
    strand* s = head_;
    if (!s) return nullptr;
    if (order_) [[unlikely]]
        return take_chosen();
    head_ = s->queue_next;
    if (!head_) tail_ = nullptr;
    if (idle_.took(knew, head_ != nullptr)) driver_->unpark();
    return s;
}
const strand* scheduler::next_queued(const strand& s) noexcept { return s.queue_next; }
// No worker idles meanwhile: there is one thread.
[[gnu::noinline, gnu::cold]] strand* scheduler::take_chosen() noexcept {
    constexpr std::size_t most = 256; // looked at in each turn, so that the cost of a turn is bounded
    std::size_t n = 0;
    for (const strand* s = head_; s && n < most; s = s->queue_next)
        ++n;
    strand* before = nullptr;
    strand* s = head_;
    for (std::size_t skip = order_->pick(n); skip > 0; --skip) {
        before = s;
        s = s->queue_next;
    }
    (before ? before->queue_next : head_) = s->queue_next;
    if (tail_ == s) tail_ = before;
    return s;
}
std::size_t scheduler::draw(std::size_t n) noexcept {
    const auto next_of = [n](std::uint64_t& bits) { // xorshift64 (Marsaglia, 2003)
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        return static_cast<std::size_t>(bits >> 32) % n;
    };
    if (simulated_) { // one thread; the same in every run
        base::mutex_lock l(m_);
        return order_ ? order_->pick(n) : next_of(drawn_);
    }
    thread_local std::uint64_t drawn = first_drawn;
    return next_of(drawn);
}
namespace {
[[gnu::noinline, gnu::cold]] void run_in(run_order& order, strand& s) noexcept {
    s.run(order.budget());
    order.suspended();
}
} // namespace
void scheduler::run(strand& s) noexcept {
    if (order_) [[unlikely]]
        return run_in(*order_, s);
    s.run(await_budget);
}

void scheduler::look_around() {
    {
        base::mutex_lock l(m_);
        if (idle_.any()) return; // those that are parked look already
    }
    timers_.expire(driver_->now());
    driver_->park(base::time_point::min());
    // Looking may have eaten an unpark() that was meant for a worker that has parked meanwhile: pass it on.
    base::mutex_lock l(m_);
    if (idle_.looked()) driver_->unpark();
}
// Returns until when it would have slept.
base::time_point scheduler::park(base::time_point until) {
    if (simulated_) return park_simulated(until);
    idle_workers::slot slot;
    {
        base::mutex_lock l(m_);
        if (head_ || stopped()) return until;
        idle_.parking(slot);
    }
    struct counted { // park() of a driver may throw
        scheduler& s;
        idle_workers::slot& slot;
        ~counted() {
            base::mutex_lock l(s.m_);
            s.idle_.returned(slot);
        }
    } until_return{*this, slot};
    // Asked again, now that we count as idle: a timer armed before that found nobody to wake, one armed later wakes us.
    until = std::min(until, timers_.next());
    {
        base::mutex_lock l(m_);
        idle_.watch(slot, until);
    }
    driver_->park(until);
    return until;
}
// A clock that does not wait: nobody counts as idle, and what runs on a thread is not waited for either, unless it is all
// there is to wait for.
base::time_point scheduler::park_simulated(base::time_point until) {
    const std::uint64_t news = blocking_.news(); // before we look at the queue
    {
        base::mutex_lock l(m_);
        if (head_ || stopped()) return until;
        waits_for_news_ = until == base::never;
    }
    if (until != base::never || !blocking_.wait_for_news(news)) driver_->park(until);
    return until;
}
void scheduler::tell_news() noexcept {
    waits_for_news_ = false;
    blocking_.tell_news();
}
void scheduler::arm(timer& t) {
    const base::time_point at = t.at;
    if (!timers_.add(t) || simulated_) return; // nobody idles then
    // It may have fired already, and be gone.
    base::mutex_lock l(m_);
    if (idle_.armed(at)) driver_->unpark(); // this worker may stay busy
}

void scheduler::worker() noexcept {
    work_until([this] { return stopped(); }, base::never);
    base::mutex_lock l(m_);
    --live_workers_;
    driver_->unpark(); // the next worker: unpark() may have been merged
    changed_.notify_all();
}
// A thread of the pool that works until a blocked worker is back.
class scheduler::substitute final : public blocking_job {
public:
    explicit substitute(scheduler& s) noexcept : sched_(s) {}
    void run() noexcept override {
        auto no_longer_needed = [this] {
            base::mutex_lock l(sched_.m_);
            if (sched_.stopped()) return true;
            if (sched_.surplus_ == 0) return false;
            --sched_.surplus_;
            return true;
        };
        sched_.work_until(no_longer_needed, base::never);
        base::mutex_lock l(sched_.m_);
        --sched_.live_workers_;
        sched_.driver_->unpark(); // as in worker()
        sched_.changed_.notify_all();
    }
    void done() noexcept override { delete this; }
    base::task_label job_label() const override { return {0, "a worker in place of one that blocks", {}}; }

private:
    scheduler& sched_;
};
void scheduler::lend_worker() {
    {
        base::mutex_lock l(m_);
        if (stopped()) throw base::closed_error("a blocking wait: the runtime has closed");
        if (lent_ >= lend_limit_)
            throw base::usage_error(
                "too many tasks block their workers at once (runtime_options::blocking_threads): write "
                "coroutines that co_await");
        ++lent_;
        if (surplus_ > 0) { // one that was about to leave stays
            --surplus_;
            return;
        }
        ++live_workers_;
    }
    try {
        auto job = std::make_unique<substitute>(*this);
        blocking_.submit(*job, blocking_pool::urgency::at_once);
        static_cast<void>(job.release()); // done() deletes it
    } catch (...) {
        base::mutex_lock l(m_);
        --lent_;
        --live_workers_;
        changed_.notify_all();
        throw;
    }
}
void scheduler::take_back_worker() noexcept {
    base::mutex_lock l(m_);
    --lent_;
    ++surplus_;
    driver_->unpark(); // if another worker hears it, a substitute stays until the next wake-up
}
unsigned scheduler::lent_workers() noexcept {
    base::mutex_lock l(m_);
    return lent_;
}

bool scheduler::stop_workers(base::time_point until) {
    bool all = true;
    {
        base::mutex_lock l(m_);
        stop_.store(true, std::memory_order_relaxed);
        driver_->unpark();
        while (live_workers_ > 0) {
            if (until == base::never) {
                changed_.wait(m_);
            } else {
                if (std::chrono::steady_clock::now() >= until) break;
                changed_.wait_until(m_, until);
            }
        }
        all = live_workers_ == 0;
    }
    for (auto& t : workers_)
        all ? t.join() : t.detach();
    workers_.clear();
    return all;
}

bool scheduler::wait_idle(base::time_point until) {
    if (!has_workers() && !work_until([this] { return root_tasks() == 0; }, until)) return false;
    return tasks_.wait_zero(until); // whoever counted down last has let go of us then
}

std::vector<base::task_label> scheduler::live_tasks() {
    std::vector<base::task_label> found;
    (void)root_->visit([&](const node_view& v) {
        if (v.kind == node_kind::task && v.owner) found.push_back(v.owner->label());
    });
    return found;
}
std::size_t scheduler::tasks() {
    std::size_t n = root_tasks();
    (void)root_->visit(
        [&n](const node_view& v) { n += v.kind == node_kind::task && v.owner && v.owner->is_child(); });
    return n;
}

} // namespace tenure::inline v0::core::detail
