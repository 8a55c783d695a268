#include <tenure/core/context.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/runtime.hpp>

namespace tenure::inline v0::core {

using detail::shared_context;

namespace {
detail::runtime_name name_of(detail::scheduler& s) noexcept { return {&s, s.epoch()}; }
} // namespace

context context::current() {
    const auto* s = detail::current_strand();
    if (!s)
        throw base::usage_error(
            "context::current: no task runs here; in plain code make one with runtime::context()");
    return {shared_context::below(*s->context, name_of(*s->sched)), s->values};
}
context context::with_cancel() const { return {shared_context::below(node_, base::never, {}), values_}; }
context context::with_deadline(base::time_point at, std::string why) const {
    return {shared_context::below(node_, at, std::move(why)), values_};
}
context context::after(base::duration d, std::string why) const {
    const detail::runtime_pin pin(node_->home());
    // A runtime that has closed has cancelled this context, and so the new one: its deadline matters no more.
    return with_deadline(pin ? base::saturating_add(pin->now(), d) : base::never, std::move(why));
}
context context::without_cancel(const group& owner) const {
    auto& state = owner.state();
    return {shared_context::below(*state.context, name_of(state.sched)), values_};
}
context context::without_cancel(runtime& owner) const { return {owner.context().node_, values_}; }
bool context::cancel(std::string why) const {
    return node_->cancel(detail::make_cause(base::reason::cancelled, std::move(why)));
}

context runtime::context() { return {shared_context::below(sched_->root(), name_of(*sched_)), {}}; }

} // namespace tenure::inline v0::core
