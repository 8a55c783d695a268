#include <tenure/core/detail/blocking_pool.hpp>

#include <chrono>
#include <thread>

namespace tenure::inline v0::core::detail {
namespace {
constexpr auto idle_time = std::chrono::seconds(10); // after which a thread ends
}

void blocking_pool::link(blocking_job& j, blocking_job*& list, blocking_job::place p) noexcept {
    j.place_ = p;
    j.prev_ = nullptr;
    j.next_ = list;
    if (list) list->prev_ = &j;
    list = &j;
}
void blocking_pool::unlink(blocking_job& j, blocking_job*& list) noexcept {
    (j.prev_ ? j.prev_->next_ : list) = j.next_;
    if (j.next_) j.next_->prev_ = j.prev_;
    j.place_ = blocking_job::place::nowhere;
}
blocking_job* blocking_pool::take() noexcept {
    blocking_job* j = last_;
    if (!j) return nullptr;
    last_ = j->prev_;
    unlink(*j, queue_);
    --queued_;
    link(*j, running_, blocking_job::place::running);
    return j;
}

void blocking_pool::submit(blocking_job& j, urgency u) {
    base::mutex_lock l(m_);
    if (stop_)
        throw base::closed_error("the runtime has closed: no function can run on its threads any more");
    link(j, queue_, blocking_job::place::queued);
    if (!last_) last_ = &j;
    ++queued_;
    ++active_;
    if (idle_ >= queued_) {
        work_.notify_one();
        return;
    }
    if (threads_ >= limit_ && u == urgency::waits_its_turn) return;
    try {
        ++threads_;
        std::thread([this] { thread(); }).detach();
    } catch (...) { // no more threads to be had
        if (--threads_ > 0 && u == urgency::waits_its_turn) return;
        if (last_ == &j) last_ = j.prev_;
        unlink(j, queue_);
        --queued_;
        --active_;
        throw;
    }
}
bool blocking_pool::withdraw(blocking_job& j) noexcept {
    base::mutex_lock l(m_);
    if (j.place_ != blocking_job::place::queued) return false;
    if (last_ == &j) last_ = j.prev_;
    unlink(j, queue_);
    --queued_;
    --active_;
    return true;
}

void blocking_pool::thread() noexcept {
    base::mutex_lock l(m_);
    for (;;) {
        if (blocking_job* j = take()) {
            m_.unlock();
            j->run();
            m_.lock();
            unlink(*j, running_);
            m_.unlock();
            j->done();
            m_.lock();
            --active_;
            ended_.fetch_add(1, std::memory_order_release);
            changed_.notify_all();
            continue;
        }
        if (stop_) break;
        ++idle_;
        const auto until = std::chrono::steady_clock::now() + idle_time;
        while (!queue_ && !stop_ && std::chrono::steady_clock::now() < until)
            work_.wait_until(m_, until);
        --idle_;
        if (!queue_) break;
    }
    --threads_;
    changed_.notify_all();
}

bool blocking_pool::stop(base::time_point until) {
    base::mutex_lock l(m_);
    stop_ = true;
    work_.notify_all();
    while (threads_ > 0) {
        if (until == base::never) {
            changed_.wait(m_);
        } else {
            if (std::chrono::steady_clock::now() >= until) break;
            changed_.wait_until(m_, until);
        }
    }
    return threads_ == 0;
}

std::size_t blocking_pool::threads() noexcept {
    base::mutex_lock l(m_);
    return threads_;
}
std::vector<base::task_label> blocking_pool::running() {
    std::vector<base::task_label> found;
    base::mutex_lock l(m_);
    for (const blocking_job* j = running_; j; j = j->next_)
        found.push_back(j->job_label());
    return found;
}
bool blocking_pool::wait_for_an_end(std::uint64_t seen) {
    base::mutex_lock l(m_);
    while (ended() == seen && active_ > 0)
        changed_.wait(m_);
    return ended() != seen;
}

} // namespace tenure::inline v0::core::detail
