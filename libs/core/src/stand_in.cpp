#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/stand_in.hpp>

namespace tenure::inline v0::core {

void stand_in::begin() noexcept {
    const detail::strand* const s = detail::current_strand();
    const bool on_a_worker = s && !s->leaf && !s->may_block() && s->sched->has_workers();
    base::mutex_lock l(m_);
    worker_of_ = on_a_worker ? s->sched : nullptr;
}
bool stand_in::call() noexcept {
    base::mutex_lock l(m_); // end() waits: what is lent is taken back afterwards
    if (!worker_of_ || called_) return false;
    try {
        worker_of_->lend_worker();
    } catch (...) { // too many, or no thread: the others do the work
        return false;
    }
    return called_ = true;
}
void stand_in::end() noexcept {
    base::mutex_lock l(m_);
    if (called_) worker_of_->take_back_worker();
    worker_of_ = nullptr;
    called_ = false;
}

} // namespace tenure::inline v0::core
