#include <tenure/core/detail/task_extras.hpp>

namespace tenure::inline v0::core::detail {

bool task_extras::try_cancel() noexcept {
    if (!limit->withdraw(*this)) return false;
    has_slot = false;
    return true;
}

bool concurrency_limit::take(task_extras& t, strand& s) noexcept {
    base::mutex_lock l(m_);
    if (free_ > 0) {
        --free_;
        return true;
    }
    t.waiting_ = &s;
    t.listed_ = true;
    t.prev_ = last_;
    t.next_ = nullptr;
    (last_ ? last_->next_ : first_) = &t;
    last_ = &t;
    return false;
}
bool concurrency_limit::withdraw(task_extras& t) noexcept {
    base::mutex_lock l(m_);
    if (!t.listed_) return false;
    unlist(t);
    return true;
}
void concurrency_limit::give_back() noexcept {
    strand* next = nullptr;
    {
        base::mutex_lock l(m_);
        if (first_) {
            next = first_->waiting_;
            unlist(*first_);
        } else {
            ++free_;
        }
    }
    if (next) next->complete(); // it cannot be withdrawn any more, so it is still there
}
void concurrency_limit::unlist(task_extras& t) noexcept {
    (t.prev_ ? t.prev_->next_ : first_) = t.next_;
    (t.next_ ? t.next_->prev_ : last_) = t.prev_;
    t.listed_ = false;
}

} // namespace tenure::inline v0::core::detail
