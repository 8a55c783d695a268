#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/detail/shared_context.hpp>

namespace tenure::inline v0::core::detail {

/// Passes a cancellation on to the stop token. Owned by the context, so it may not hold a handle.
class shared_context::token_callback final : public callback_state {
public:
    token_callback(shared_context& of, std::stop_source to)
        : callback_state("stop_token", {}), of_(of), to_(std::move(to)) {}

private:
    void call() override { to_.request_stop(); }
    void drop_callable() noexcept override {}
    bool unlist() noexcept override { return of_.unlist(*this); } // called by drop_handle() only
    shared_context& of_;
    std::stop_source to_;
};

void shared_context::deadline_alarm::fire(held_nodes& visited) noexcept {
    of_.cancel(make_cause(base::reason::deadline, why_), visited);
}

context_handle shared_context::below(context_node& scope, runtime_name home, base::time_point deadline,
                                     std::string why) {
    const context_handle made(new shared_context(home, {}, deadline, std::move(why)));
    if (!made->link_loosely(scope, deadline))
        throw base::closed_error("the scope that was to own the context has ended; name one that lives");
    made->arm();
    return made;
}
context_handle shared_context::below(const context_handle& parent, base::time_point deadline,
                                     std::string why) {
    const context_handle made(new shared_context(parent->home_, parent, deadline, std::move(why)));
    made->link_loosely(*parent, deadline); // a context with handles has not ended
    made->arm();
    return made;
}

void shared_context::arm() {
    if (alarm_.at == base::never || cancelled()) return;
    held_nodes visited;
    const runtime_pin pin(home_);
    if (!pin) return; // it has closed, and cancelled us
    if (alarm_.at <= pin->now()) return alarm_.fire(visited);
    pin->arm(alarm_);
    // Our scope may have ended meanwhile and found no timer to remove. It flags us first, and the timers' lock orders the two.
    if (cancelled()) pin->disarm(alarm_);
}
void shared_context::disarm() noexcept {
    if (alarm_.at == base::never) return;
    if (const runtime_pin pin(home_); pin) pin->disarm(alarm_);
}

bool shared_context::asked_to_stop() noexcept {
    if (cancelled()) return true;
    if (deadline() == base::never) return false;
    held_nodes visited;
    const runtime_pin pin(home_);
    if (!pin || pin->now() < deadline()) return false;
    pin->fire_due_timers(visited);
    return cancelled();
}

void shared_context::add(callback_state& c) {
    const runtime_pin pin(home_);
    if (!pin.open())
        throw base::closed_error("after_func: the runtime has closed and runs no callbacks any more");
    c.registered(*pin, home_.epoch);
    if (!listen(c)) c.launch();
}

std::stop_token shared_context::stop_token() {
    base::mutex_lock l(token_m_);
    if (!token_) {
        token_.emplace();
        const runtime_pin pin(home_);
        auto c = base::ref<callback_state>::adopt(new token_callback(*this, *token_));
        if (pin.open() && !cancelled()) {
            c->registered(*pin, home_.epoch);
            if (listen(*c))
                token_callback_ = c;
            else
                c->launch();
        } else if (cancelled()) {
            token_->request_stop(); // nobody has the token yet: this runs no code of theirs
        }
    }
    return token_->get_token();
}

void shared_context::drop_handle(shared_context* c) noexcept {
    while (c) { // not by recursion: the parent's last handle may be ours
        if (c->handles_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        c->disarm();
        {
            base::mutex_lock l(c->token_m_);
            if (c->token_callback_) c->token_callback_->stop(); // it runs, or will, without us
            c->token_callback_ = nullptr;
        }
        c->unlink_loosely();
        shared_context* const parent = std::exchange(c->parent_handle_.node_, nullptr);
        c->release(); // a canceller may still hold it for a moment
        c = parent;
    }
}

} // namespace tenure::inline v0::core::detail
