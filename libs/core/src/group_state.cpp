#include <tenure/core/detail/group_state.hpp>
#include <tenure/core/detail/owned_timers.hpp>

#include <cstring>
#include <utility>

namespace tenure::inline v0::core::detail {
namespace {
const void* object_of(const std::exception_ptr& e) noexcept {
    static_assert(sizeof e == sizeof(void*),
                  "libstdc++: an exception_ptr is one pointer to the exception object");
    const void* p;
    // NOLINTNEXTLINE(bugprone-undefined-memory-manipulation): read only, and the size is asserted
    std::memcpy(&p, &e, sizeof p);
    return p;
}
base::cause_ptr only_background_is_left() {
    return make_cause(base::reason::cancelled, "the group has only background children left");
}
} // namespace

group_state::group_state(scheduler& s, context_node& parent, strand& body, const group_options* options)
    : sched(s),
      context(base::ref<context_node>::adopt(new context_node(&body, node_kind::group))),
      policy_(options ? std::make_unique<policy>(*options) : nullptr) {
    context->link(parent);
}
group_state::~group_state() {
    if (owned_timers* t = timers()) t->release();
}
owned_timers& group_state::own_timers() {
    owned_timers* there = timers();
    if (there) return *there;
    auto made = base::ref<owned_timers>::adopt(new owned_timers(sched, *context));
    if (!timers_.compare_exchange_strong(there, made.get(), std::memory_order_acq_rel)) return *there;
    return *made.detach();
}
bool group_state::join(strand& s) noexcept {
    join_result said = count_.join(s);
    if (said == join_result::drain) {
        cancel_background();
        said = count_.join(s);
    }
    return said == join_result::ended;
}
base::ref<context_node> group_state::background() {
    base::mutex_lock l(m_);
    if (!background_) {
        background_ = base::ref<context_node>::adopt(new context_node);
        background_->link(*context);
        if (drained_) background_->cancel(only_background_is_left());
    }
    return background_;
}
void group_state::cancel_background() noexcept {
    base::ref<context_node> node;
    {
        base::mutex_lock l(m_);
        drained_ = true;
        node = background_;
    }
    if (node) node->cancel(only_background_is_left());
}
void group_state::unlink() noexcept {
    if (policy_) policy_->overdue.end();
    base::ref<context_node> node;
    {
        base::mutex_lock l(m_);
        node = std::move(background_);
    }
    if (node) node->unlink();
    context->unlink();
}
void group_state::child_ending(const task_object& child, task_status how,
                               const std::exception_ptr& e) noexcept {
    if (how == task_status::failed) {
        if (!policy_ || !policy_->options.child_failure_handler()) return add_failure(e, child.label());
        try {
            policy_->options.child_failure_handler()({child.label(), e});
        } catch (...) {
            add_failure(std::current_exception(), child.label());
        }
    } else if (how == task_status::cancelled) {
        base::mutex_lock l(m_);
        lost_ = true;
    }
}
void group_state::add_failure(const std::exception_ptr& e, base::task_label of) noexcept {
    {
        base::mutex_lock l(m_);
        if (!seen_.insert(object_of(e)).second) return;
        failures_.push_back({std::move(of), e});
    }
    if (!context->cancelled())
        context->cancel(make_cause(base::reason::failure, "a task of the group failed"));
}
bool group_state::cancel(std::string message) noexcept {
    return context->cancel(make_cause(base::reason::cancelled, std::move(message)));
}
namespace {
[[noreturn]] void throw_too_late(const std::string& what, const base::spawn_site& late,
                                 const base::spawn_site& opened_at, const char* things, const char* remedy) {
    throw base::closed_error(what + " at " + base::to_string(late) + ": the group opened at " +
                             base::to_string(opened_at) + " has ended, and a group's " + things +
                             " do not outlive it: " + remedy + " before its scope is left");
}
} // namespace
void group_state::throw_ended(const base::spawn_site& late, const std::string& task) const {
    throw_too_late("spawn" + (task.empty() ? "" : " of '" + task + "'"), late, opened_at, "tasks", "spawn");
}
void group_state::throw_ended_for_timer(const char* verb, const base::spawn_site& late) const {
    throw_too_late(verb, late, opened_at, "timers", "arm them");
}
std::exception_ptr group_state::failure() noexcept {
    base::mutex_lock l(m_);
    // Moved out: the last child may let go of us after the scope has been left, and nothing of a failure may live on in it.
    const auto all = std::exchange(failures_, {});
    seen_.clear();
    if (all.empty()) return nullptr;
    if (all.size() == 1 && !(policy_ && policy_->options.is_strict())) return all[0].error;
    return std::make_exception_ptr(base::group_error(all));
}
bool group_state::lost_a_child() noexcept {
    base::mutex_lock l(m_);
    return lost_;
}

} // namespace tenure::inline v0::core::detail
