#include <tenure/core/run_blocking.hpp>

namespace tenure::inline v0::core {

wait_listener::wait_listener() noexcept {
    detail::strand* const s = detail::current_strand();
    if (!s || !s->may_block()) return;
    told_by_ = static_cast<detail::blocking_call*>(s); // no other strand may block
    before_ = std::exchange(told_by_->listener, this);
}
wait_listener::~wait_listener() {
    if (told_by_) told_by_->listener = before_;
}

namespace detail {

void blocking_call::begin(strand& s, base::task_label label) {
    label_ = std::move(label);
    awaiter_ = &s;
    sched = s.sched;
    values = s.values;
    node_ = base::ref<context_node>::adopt(new context_node);
    node_->link(*s.context);
    context = node_.get();
    add_ref(); // the pool's
    try {
        sched->blocking().submit(*this, blocking_pool::urgency::waits_its_turn);
    } catch (...) {
        node_->unlink();
        release();
        throw;
    }
}
bool blocking_call::leave(bool abandon) noexcept {
    if (sched->blocking().withdraw(*this)) {
        node_->unlink();
        release();
        return true;
    }
    if (!abandon || settled_.exchange(true, std::memory_order_acq_rel)) return false;
    node_->unlink(); // cancelled, and so it stays
    return true;
}
bool blocking_call::returned() noexcept {
    node_->unlink();
    return !interrupted_;
}

void blocking_call::wait_begins() {
    sched->blocking().wait_begins();
    if (listener) listener->wait_begins();
}
void blocking_call::wait_ends() noexcept {
    if (listener) listener->wait_ends();
    sched->blocking().wait_ends();
}

void blocking_call::run() noexcept {
    const runs_here here(*this);
    interrupted_ = !call();
    drop_call();
}
void blocking_call::done() noexcept {
    if (!settled_.exchange(true, std::memory_order_acq_rel)) awaiter_->complete();
    release();
}

} // namespace detail
} // namespace tenure::inline v0::core
