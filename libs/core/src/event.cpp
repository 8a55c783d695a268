#include <tenure/core/event.hpp>

#include <utility>

namespace tenure::inline v0::core {

void event::set() noexcept {
    wait_operation* w = nullptr;
    {
        base::mutex_lock l(m_);
        set_ = true;
        ++rounds_;
        w = std::exchange(waiters_, nullptr);
    }
    // Off the list, and of an older round: nobody but us completes them now, reset() or not. A woken task may free the event: not touched.
    while (w) {
        wait_operation* following = w->next_;
        w->waiting_->complete();
        w = following;
    }
}
void event::reset() noexcept {
    base::mutex_lock l(m_);
    set_ = false;
}
bool event::is_set() noexcept {
    base::mutex_lock l(m_);
    return set_;
}
bool event::add(wait_operation& w) noexcept {
    base::mutex_lock l(m_);
    if (set_) return false;
    w.round_ = rounds_;
    w.prev_ = nullptr;
    w.next_ = waiters_;
    if (waiters_) waiters_->prev_ = &w;
    waiters_ = &w;
    return true;
}
bool event::remove(wait_operation& w) noexcept {
    base::mutex_lock l(m_);
    if (w.round_ != rounds_) return false; // taken off the list, its completion is coming
    (w.prev_ ? w.prev_->next_ : waiters_) = w.next_;
    if (w.next_) w.next_->prev_ = w.prev_;
    return true;
}

} // namespace tenure::inline v0::core
