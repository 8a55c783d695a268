#include <tenure/core/detail/owned_timers.hpp>

#include <utility>

namespace tenure::inline v0::core::detail {

owned_timer::owned_timer(owned_timers& list, base::duration after, base::duration interval, at_end policy,
                         base::duration grace, base::task_label label)
    : own_(*this),
      list_(base::ref<owned_timers>::share(&list)),
      policy_(policy),
      interval_(interval),
      grace_(grace),
      label_(std::move(label)) {
    sched = &list.sched;
    context = &own_;
    at = base::saturating_add(sched->now(), after);
    add_ref(); // the context node's, dropped by dispose()
}

// The phase is `arming`, and the list's lock is held: it does not end meanwhile.
void owned_timer::arm() {
    if (at != base::never) sched->arm(*this);
    if (change(phase::arming, phase::armed)) return;             // not touched any more: it may be running
    if (!change(phase::due, phase::fired)) sched->disarm(*this); // called off
    sched->push(*this);
}

void owned_timer::fire(held_nodes& visited) noexcept {
    if (change(phase::armed, phase::fired)) {
        sched->push(*this);
    } else if (!change(phase::arming, phase::due) && at_end_) {
        own_.cancel(make_cause(base::reason::deadline, "a timer's last call did not end within its grace"),
                    visited);
    }
}

bool owned_timer::cancel() noexcept {
    for (auto p = phase_.load(std::memory_order_acquire);;) {
        switch (p) {
        case phase::armed:
            if (change(p, phase::called_off)) { // its owner waits for it, so there is still a scheduler
                sched->disarm(*this);
                sched->push(*this);
                return true;
            }
            break;
        case phase::arming:
        case phase::due:
        case phase::fired:
            if (change(p, phase::called_off)) return true;
            break;
        case phase::running:
            if (change(p, phase::stopping)) return false;
            break;
        default: return false;
        }
        p = phase_.load(std::memory_order_acquire);
    }
}

bool owned_timer::start_root() noexcept {
    if (!change(phase::fired, phase::running)) return settle(), false;
    if (!std::exchange(linked_, true)) own_.link(list_->context, true);
    result_.error = nullptr;
    if (at_end_) {
        at = base::saturating_add(sched->now(), grace_);
        try {
            if (at != base::never) sched->arm(*this);
        } catch (...) { // without memory for it, its call has no limit
            report(std::current_exception());
        }
    }
    switch (enter()) {
    case entry::entered: return true;
    case entry::ended: ran(); break;
    case entry::forgotten: settle(); break;
    }
    return false;
}
bool owned_timer::child_ended(strand&, ending) noexcept {
    ran();
    return false;
}
void owned_timer::ran() noexcept {
    left();
    if (at_end_) sched->disarm(*this);
    if (result_.error) report(std::exchange(result_.error, nullptr));
    const auto list = list_; // as soon as it is armed, this may end
    if (interval_ == base::duration::zero() || forgotten() || !list->rearm(*this)) settle();
}

// By the owner's strand, once. True: it has ended. False: it is on its way.
bool owned_timer::end_with_owner() noexcept {
    if (change(phase::armed, phase::called_off)) {
        sched->disarm(*this);
        if (interval_ == base::duration::zero() && !forgotten()) {
            if (policy_ == at_end::run) {
                at_end_ = true;
                phase_.store(phase::fired,
                             std::memory_order_release); // `called_off` is nobody else's to change
                sched->push(*this);
                return false;
            }
            if (policy_ == at_end::report)
                report(std::make_exception_ptr(base::abandoned(
                    "a timer was armed when its owner ended, so its callback never ran: give it to a "
                    "group that lives longer, or ask for at_end::run or at_end::drop",
                    label_)));
        }
        settle();
        return true;
    }
    if (!at_end_ && (change(phase::running, phase::stopping) ||
                     phase_.load(std::memory_order_acquire) == phase::stopping))
        own_.cancel(make_cause(base::reason::cancelled, "the owner of the timer has ended"));
    return false;
}

void owned_timer::report(const std::exception_ptr& e) noexcept {
    try {
        (*sched->hook())({label_, e});
    } catch (...) {
        // A hook that throws has nobody above it to tell.
    }
}

void owned_timer::settle() noexcept {
    drop_callback();
    own_.unlink();
    phase_.store(phase::ended, std::memory_order_release);
    const auto list = std::move(list_);
    list->remove(*this); // the owner may end now, and the runtime with it
    own_.release();
    release();
}

void owned_timers::add(owned_timer& t) {
    try {
        base::mutex_lock l(m_);
        if (closed_)
            throw base::closed_error(
                "the owner of the timer has ended or is ending: arm it earlier, or give it to a "
                "group that lives longer",
                t.label());
        t.next_ = newest_;
        if (newest_) newest_->prev_ = &t;
        newest_ = &t;
        t.listed_ = true;
        try {
            t.arm();
        } catch (...) {
            unlist(t);
            throw;
        }
    } catch (...) { // what settle() would have let go of
        t.own_.release();
        t.release();
        throw;
    }
}
bool owned_timers::rearm(owned_timer& t) noexcept {
    using phase = owned_timer::phase;
    const base::time_point now = sched.now();
    base::mutex_lock l(m_);
    if (closed_ || !t.change(phase::running, phase::arming)) return false;
    t.next = step::start;
    // Calls that a long one left no room for are left out, not made up for.
    const auto late = now - t.at;
    t.at = late < t.interval_ ? base::saturating_add(t.at, t.interval_)
                              : base::saturating_add(t.at, (late / t.interval_ + 1) * t.interval_);
    try {
        t.arm();
        return true;
    } catch (...) {
        t.phase_.store(phase::stopping, std::memory_order_release);
        return false;
    }
}
void owned_timers::unlist(owned_timer& t) noexcept {
    (t.prev_ ? t.prev_->next_ : newest_) = t.next_;
    if (t.next_) t.next_->prev_ = t.prev_;
    t.listed_ = false;
}
void owned_timers::remove(owned_timer& t) noexcept {
    strand* waiter = nullptr;
    {
        base::mutex_lock l(m_);
        unlist(t);
        if (awaited_ == &t) {
            awaited_ = nullptr;
            waiter = std::exchange(waiter_, nullptr);
        }
    }
    if (waiter) waiter->complete();
}
bool owned_timers::end(strand& s) noexcept {
    for (;;) {
        base::ref<owned_timer> t;
        {
            base::mutex_lock l(m_);
            closed_ = true;
            t = base::ref<owned_timer>::share(newest_);
        }
        if (!t) return true;
        if (t->end_with_owner()) continue;
        base::mutex_lock l(m_);
        if (!t->listed_) continue; // it ended meanwhile
        awaited_ = t.get();
        waiter_ = &s;
        return false;
    }
}

owned_timers& timers_of_this_task(const char* verb, const base::spawn_site& at) {
    strand* s = current_strand();
    owned_timers* list = s ? s->own_timers() : nullptr;
    if (!list)
        throw base::usage_error(std::string(verb) + " at " + base::to_string(at) +
                                ": no task runs on this thread that could own the timer; give it to a "
                                "group: g." +
                                verb + "(...)");
    return *list;
}
base::duration checked_interval(base::duration d) {
    if (d > base::duration::zero()) return d;
    const strand* s = current_strand();
    throw base::usage_error("every: the interval must be longer than zero",
                            s ? s->label() : base::task_label{});
}

} // namespace tenure::inline v0::core::detail
