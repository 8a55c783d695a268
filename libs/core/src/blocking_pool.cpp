#include <tenure/core/detail/blocking_pool.hpp>

#include <algorithm>
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
void blocking_pool::remove(blocking_job& j) noexcept {
    queue& q = queue_of(j);
    if (q.oldest == &j) q.oldest = j.prev_;
    unlink(j, q.newest);
    --q.size;
}
// Of the queued ones.
std::size_t blocking_pool::may_run() const noexcept {
    return urgent_.size + std::min(usual_.size, limit_ - std::min<std::size_t>(turns_, limit_));
}
blocking_job* blocking_pool::take() noexcept {
    if (may_run() == 0) return nullptr;
    blocking_job* const j = urgent_.oldest ? urgent_.oldest : usual_.oldest;
    remove(*j);
    if (!j->at_once_) ++turns_;
    link(*j, running_, blocking_job::place::running);
    return j;
}
// One job more may run: another thread goes to it.
void blocking_pool::call_a_thread() {
    const std::size_t n = may_run();
    if (n == 0) return;
    if (idle_ >= n) return work_.notify_one();
    ++threads_;
    try {
        std::thread([this] { thread(); }).detach();
    } catch (...) { // no more to be had
        --threads_;
        throw;
    }
}
void blocking_pool::tell() noexcept {
    news_.fetch_add(1, std::memory_order_release);
    changed_.notify_all();
}

void blocking_pool::submit(blocking_job& j, urgency u) {
    base::mutex_lock l(m_);
    if (stop_)
        throw base::closed_error("the runtime has closed: no function can run on its threads any more");
    j.at_once_ = u == urgency::at_once;
    queue& q = queue_of(j);
    link(j, q.newest, blocking_job::place::queued);
    if (!q.oldest) q.oldest = &j;
    ++q.size;
    ++active_;
    if (!j.at_once_ && turns_ + usual_.size > limit_) return; // those before it take it along
    try {
        call_a_thread();
    } catch (...) {
        if (threads_ > 0 && !j.at_once_) return;
        remove(j);
        --active_;
        throw;
    }
}
bool blocking_pool::withdraw(blocking_job& j) noexcept {
    base::mutex_lock l(m_);
    if (j.place_ != blocking_job::place::queued) return false;
    remove(j);
    --active_;
    return true;
}
void blocking_pool::wait_begins() {
    base::mutex_lock l(m_);
    if (waiting_ >= limit_)
        throw base::usage_error("too many functions of run_blocking wait at once "
                                "(runtime_options::blocking_threads): write coroutines that co_await");
    --turns_;
    ++waiting_;
    try {
        call_a_thread();
    } catch (...) {
        --waiting_;
        ++turns_;
        throw;
    }
    tell();
}
void blocking_pool::wait_ends() noexcept {
    base::mutex_lock l(m_);
    --waiting_;
    ++turns_;
}

void blocking_pool::thread() noexcept {
    base::mutex_lock l(m_);
    for (;;) {
        if (blocking_job* j = take()) {
            const bool usual = !j->at_once_;
            m_.unlock();
            j->run();
            m_.lock();
            unlink(*j, running_);
            m_.unlock();
            j->done();
            m_.lock();
            --active_;
            if (usual) --turns_;
            tell();
            continue;
        }
        if (stop_) break;
        ++idle_;
        const auto until = std::chrono::steady_clock::now() + idle_time;
        while (may_run() == 0 && !stop_ && std::chrono::steady_clock::now() < until)
            work_.wait_until(m_, until);
        --idle_;
        if (may_run() == 0) break;
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
void blocking_pool::tell_news() noexcept {
    base::mutex_lock l(m_);
    tell();
}
bool blocking_pool::wait_for_news(std::uint64_t seen) {
    base::mutex_lock l(m_);
    while (news() == seen && active_ > 0)
        changed_.wait(m_);
    return news() != seen;
}

} // namespace tenure::inline v0::core::detail
