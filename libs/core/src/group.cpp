#include <tenure/core/group.hpp>

namespace tenure::inline v0::core::detail {

void group_scope_base::open(strand& s, frame& f, result_base& out, bool has_value) {
    caller_ = &f;
    outer_ = s.context;
    out_ = &out;
    has_value_ = has_value;
    state_ = base::ref<group_state>::adopt(new group_state(*s.sched, *s.context, s, options_.get()));
    state_->opened_at = f.at;
    s.context = state_->context.get();
}
bool group_scope_base::child_ended(strand& s, ending how) noexcept {
    body_ending_ = how;
    if (out_->error)
        state_->add_failure(out_->error);
    else if (how == ending::unwound)
        state_->cancel("the group's body was cancelled");
    woken(s);
    return true;
}
void group_scope_base::woken(strand& s) noexcept {
    s.wait(nullptr, this); // the children were told through the tree; nothing can cut this wait short
    if (!state_->join(s)) return;
    if (owned_timers* timers = state_->timers(); timers && !timers->end(s)) return;
    s.context = outer_;
    state_->unlink();
    s.leaf = caller_;
    s.next = step::resume;
    out_->error = state_->failure();
    if (out_->error) return; // told first; a cancellation from outside shows at the next await
    if (body_ending_ == ending::returned) {
        // The children were cut short from outside: what the body made of that is no result.
        if (s.cancelled() && state_->lost_a_child()) s.next = step::unwind;
    } else if (s.cancelled()) {
        s.next = step::unwind;
    } else if (has_value_) {
        out_->error =
            std::make_exception_ptr(base::task_cancelled("the group cancelled itself and has no value"));
    }
}

} // namespace tenure::inline v0::core::detail
