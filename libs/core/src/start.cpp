#include <tenure/core/start.hpp>

namespace tenure::inline v0::core::detail {

bool handshake_base::win() {
    if (state_ == state::started)
        throw base::usage_error("a task says once that it has started, and this one has said it before",
                                current_strand() ? current_strand()->label() : base::task_label());
    if (state_ != state::waiting) return false;
    state_ = state::started;
    return true;
}
bool handshake_base::give_up() noexcept {
    base::mutex_lock l(m_);
    if (state_ != state::waiting) return false;
    state_ = state::given_up;
    return true;
}
handshake_base::state handshake_base::how() noexcept {
    base::mutex_lock l(m_);
    return state_;
}
task_status handshake_base::end_of_child() noexcept {
    base::mutex_lock l(m_);
    return end_;
}
std::exception_ptr handshake_base::failure() noexcept {
    base::mutex_lock l(m_);
    return failure_;
}
bool handshake_base::ending(task_object& t, task_status how) noexcept {
    base::mutex_lock l(m_);
    if (state_ != state::waiting)
        return false; // given up: nobody hears of a failure there, so it is the group's
    state_ = state::ended;
    end_ = how;
    failure_ = t.failure();
    return true;
}
void handshake_base::ended(task_object&) noexcept {
    if (how() != state::started) starter_->complete();
}

void throw_not_started(handshake_base& h, const task_object& child) {
    if (const auto e = h.failure()) std::rethrow_exception(e);
    if (h.end_of_child() == task_status::cancelled)
        throw base::task_cancelled("the task was cancelled before it had started", child.label());
    throw base::usage_error(
        "start(): the task ended without saying that it has started: call its first argument, or use spawn",
        child.label());
}

} // namespace tenure::inline v0::core::detail
