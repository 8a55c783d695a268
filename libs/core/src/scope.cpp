#include <tenure/core/scope.hpp>

namespace tenure::inline v0::core::detail {
namespace {
base::cause_ptr too_late() { return make_cause(base::reason::deadline, "the deadline expired"); }
} // namespace

void deadline_timer::fire(held_nodes& visited) noexcept { target->cancel(too_late(), visited); }

void timeout_state::expiry::fire(held_nodes& visited) noexcept {
    state->expired_.store(true, std::memory_order_release);
    state->node_->cancel(too_late(), visited);
}
void timeout_state::begin(strand& s, const base::ref<context_node>& node, base::time_point at) {
    base::mutex_lock l(m_);
    over_ = false;
    sched_ = s.sched;
    node_ = node;
    timer_.state = this;
    timer_.at = at;
    if (at != base::never) sched_->arm(timer_);
}
bool timeout_state::end() noexcept {
    base::mutex_lock l(m_);
    if (over_) return false;
    over_ = true;
    sched_->disarm(timer_);
    node_ = nullptr;
    return expired();
}
base::time_point timeout_state::deadline() noexcept {
    base::mutex_lock l(m_);
    return timer_.at;
}
void timeout_state::move_to(base::time_point at) {
    node_list seen; // let go of without the lock
    base::mutex_lock l(m_);
    if (over_) throw base::usage_error("move_to: the scope was left; move its deadline while the body runs");
    if (timer_.at != base::never && !sched_->disarm(timer_))
        throw base::usage_error(
            "move_to: the deadline has expired, and what is cancelled stays so; move it earlier");
    timer_.at = at;
    seen = node_->move_deadline(at);
    if (at != base::never) sched_->arm(timer_);
}

} // namespace tenure::inline v0::core::detail
