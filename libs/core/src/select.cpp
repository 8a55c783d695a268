#include <tenure/core/select.hpp>

namespace tenure::inline v0::core::detail {

void end_arm::prepare(strand& s) {
    if (&s == task_.get())
        throw base::usage_error("a task cannot await itself: it would wait for ever", task_->label());
    listed_ = task_->add_waiter(*this);
}
end_arm::~end_arm() {
    if (!listed_ || task_->remove_waiter(*this)) return;
    for (unsigned looks = 0; !let_go_.load(std::memory_order_acquire);)
        let_others_finish(++looks);
}

} // namespace tenure::inline v0::core::detail
