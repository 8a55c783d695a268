#include <tenure/core/detail/callback_state.hpp>
#include <tenure/core/detail/group_state.hpp>
#include <tenure/core/detail/owned_timers.hpp>
#include <tenure/core/detail/spawn_overloads.hpp>
#include <tenure/core/detail/task_state.hpp>
#include <tenure/core/detail/wake_up.hpp>

namespace tenure::inline v0::core {

const char* to_string(task_status s) noexcept {
    switch (s) {
    case task_status::pending: return "pending";
    case task_status::done: return "done";
    case task_status::failed: return "failed";
    case task_status::cancelled: return "cancelled";
    }
    return "?";
}

namespace detail {

namespace {
class thread_waiter final : public other_waiter, public wake_up {
    void told() noexcept override { wake(); }
};
} // namespace

void uncount(scheduler& in, group_state* group, child_kind kind) noexcept {
    group ? group->count_down(kind) : in.count_root_down();
}

task_object::task_object(scheduler& to, group_state* group, spawn_options&& options)
    : context_node(this, node_kind::task, 2), // the creator's and the strand's reference
      epoch_(to.epoch()),
      group_(group),
      id_(to.next_id()),
      name_(options.name.empty() ? nullptr : new const std::string(std::move(options.name))),
      site_(options.site) {
    sched = &to;
    context = this;
    if (const strand* by = current_strand(); by && by->values) values = by->values;
}
[[gnu::noinline, gnu::cold]] void task_object::report_if_unread() noexcept {
    if (read_.load(std::memory_order_relaxed)) return; // the last reference orders it
    try {
        (*report_to_)({label(), failure()});
    } catch (...) {
        // A hook that throws has nobody above it to tell.
    }
}

void task_object::launch(context_node& parent) noexcept {
    context_node::link(parent);
    if (!context_node::cancelled() || (extras_ && extras_->always_entered)) {
        if (extras_ && !extras_->slot_when_entered)
            (void)take_slot(); // here, so that the slots are given in the order of spawning
        return sched->push(*this);
    }
    drop_arguments();
    finish(task_status::cancelled); // never entered, never queued
}

bool task_object::take_slot() noexcept {
    if (!extras_ || !extras_->limit || extras_->has_slot) return true;
    extras_->has_slot = true; // when it goes on; try_cancel() says otherwise
    if (extras_->limit->take(*extras_, *this)) return true;
    wait(extras_.get(), this);
    return false;
}

bool task_object::start_root() noexcept {
    if (how_ != task_status::pending) return end(how_);
    if (cancelled() && !(extras_ && extras_->always_entered)) return end(task_status::cancelled);
    switch (enter()) {
    case entry::entered: return true;
    case entry::done: return end(task_status::done);
    case entry::failed: return end(task_status::failed);
    case entry::waiting: return true;
    case entry::cancelled: break;
    }
    return end(task_status::cancelled);
}
bool task_object::child_ended(strand&, ending how) noexcept {
    return end(how == ending::unwound ? task_status::cancelled
               : failure()            ? task_status::failed
                                      : task_status::done);
}
owned_timers* task_object::own_timers() {
    if (!timers_) timers_ = new owned_timers(*sched, *this);
    return timers_;
}
// What it waited for before it was entered has come; or the timers that end() waited for, and it asks again.
void task_object::woken(strand&) noexcept { next = step::start; }

[[gnu::flatten]] bool task_object::end(task_status how) noexcept { // every task passes here, finish() with it
    how_ = how;
    for (;;) {
        if (!timers_) drop_arguments(); // whose destructors may arm timers
        if (!timers_) break;
        wait(nullptr, this);
        if (!timers_->end(*this)) return true;
        std::exchange(timers_, nullptr)->release();
    }
    finish(how);
    return false;
}

[[gnu::flatten]] void task_object::finish(task_status how) noexcept {
    values = nullptr;
    scheduler& sch = *sched;
    group_state* const group = group_;
    leave_parent();
    // Only references lead here now. If the strand's is the only one, nobody can come to hold another: nobody reaches the
    // context, waits for the end, or will ask how it was.
    const bool alone = !extras_ && holds_all(1);
    if (!alone) context_node::end();
    child_kind kind = child_kind::ordinary;
    bool taken_over = false;
    if (extras_) {
        kind = extras_->kind;
        if (extras_->has_slot) extras_->limit->give_back();
        taken_over = extras_->observer && extras_->observer->ending(*this, how);
    }
    if (group) {
        if (!taken_over && how != task_status::done) group->child_ending(*this, how, failure());
    } else if (how == task_status::failed) {
        report_to_ = sch.hook();
    }
    if (!alone) tell(how);
    if (extras_) {
        if (extras_->observer) extras_->observer->ended(*this);
        extras_.reset();
    }
    release();
    uncount(sch, group, kind);
}
[[gnu::noinline]] void task_object::tell(task_status how) noexcept {
    const auto told = end_.end(how);
    for (end_waiter* w = told.waiters; w;) { // each of them may be gone as soon as it is completed
        end_waiter* following = w->next;
        if (w->waiting)
            w->waiting->complete();
        else
            static_cast<other_waiter*>(w)->told();
        w = following;
    }
    if (told.callbacks) told.callbacks->launch();
}

bool task_object::wait_until(base::time_point until) {
    thread_waiter w;
    if (!add_waiter(w)) return true;
    if (w.wait(until) || !remove_waiter(w)) {
        w.wait(base::never); // off the list: its wake-up is coming, or came
        return true;
    }
    return false;
}
void task_object::add(callback_state& c) {
    const bool listed = end_.listen([&](listener_list& callbacks) {
        c.registered(*sched, epoch_); // the task does not come past its end meanwhile, so its runtime lives
        callbacks.add(c);
    });
    if (listed) return;
    const runtime_pin pin({sched, epoch_});
    if (!pin.open())
        throw base::closed_error("on_done: the runtime has closed and runs no callbacks any more", label());
    c.registered(*pin, epoch_);
    c.launch();
}
void task_object::throw_taken() const {
    throw base::usage_error("the result was taken already: take() moves it out once", label());
}
void task_object::throw_held() const {
    throw base::usage_error(
        "a child that was given the result still holds it: take() it after that has ended", label());
}
void task_object::throw_awaits_itself() const {
    throw base::usage_error("a task cannot await itself: it would wait for ever", label());
}
std::exception_ptr as_dependency_failed(const task_object& parent) noexcept {
    try {
        throw;
    } catch (const base::dependency_failed&) {
        return std::current_exception();
    } catch (...) {
        return std::make_exception_ptr(base::dependency_failed(std::current_exception(), parent.label()));
    }
}
void task_object::throw_unless_done() {
    mark_read();
    const task_status s = status();
    if (s == task_status::pending) throw base::usage_error("the task has not ended: await it first", label());
    if (s == task_status::failed) std::rethrow_exception(failure());
    if (s == task_status::cancelled) {
        const auto c = why();
        throw base::task_cancelled(c && !c->message.empty() ? "the task was cancelled: " + c->message
                                                            : "the task was cancelled",
                                   label());
    }
}

} // namespace detail
} // namespace tenure::inline v0::core
