#include <tenure/core/detail/runtime_pin.hpp>
#include <tenure/core/stream.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace tenure::inline v0::core {

void stream_owner::count_up() const {
    if (group_) {
        if (!group_->try_count_up()) group_->throw_ended(at_);
        return;
    }
    const detail::runtime_pin pin({sched_, epoch_});
    if (!pin || !pin->try_count_root_up())
        throw base::closed_error("spawn_stream: the runtime is closing and accepts no more tasks");
}

namespace detail {

void throw_stream_moved() {
    throw base::usage_error("the stream was moved from: use the one it was moved to");
}

stream_base::stream_base(scheduler& s, group_state* group, base::duration stall)
    : sched_(s),
      epoch_(s.epoch()),
      group_(base::ref<group_state>::share(group)),
      hook_(s.hook()),
      stall_(stall),
      left_(stall),
      timer_(*this) {
    if (stall_ < base::duration::zero())
        throw base::usage_error("stream: a stall limit is longer than zero, or zero for none");
}

bool stream_base::ending(task_object& t, task_status how) noexcept {
    bool told = true; // a cancelled producer is nobody's loss: its stream says so
    {
        base::mutex_lock l(m_);
        how_ = how;
        if (how == task_status::failed) {
            told = !gone_;
            if (told) keep(t.failure());
        }
        if (std::exchange(armed_, false)) sched_.disarm(timer_);
    }
    close_channel();
    return told;
}
void stream_base::sends_no_more(const std::exception_ptr& failure) noexcept {
    bool untold = false;
    {
        base::mutex_lock l(m_);
        early_ = true;
        untold = failure && gone_;
        if (failure && !gone_) keep(failure);
    }
    if (untold) hand_to_owner(failure);
    close_channel();
}
void stream_base::keep(const std::exception_ptr& failure) noexcept {
    failure_ = failure_ ? std::make_exception_ptr(base::group_error({failure_, failure})) : failure;
}

void stream_base::leave_reading(consumer how, held_nodes* visited) noexcept {
    auto seen = consumer::reading;
    if (!consumer_.compare_exchange_strong(seen, how, std::memory_order_acq_rel)) return;
    if (visited)
        producer_->own_context().cancel(make_cause(base::reason::cancelled, "its stream has stalled"),
                                        *visited);
    else
        producer_->own_context().cancel(make_cause(base::reason::cancelled, "its stream was stopped"));
    close_channel();
}
void stream_base::drop() noexcept {
    stop();
    std::exception_ptr untold;
    {
        base::mutex_lock l(m_);
        gone_ = true;
        untold = std::exchange(failure_, nullptr);
    }
    if (untold) {
        hand_to_owner(untold);
    } else if (!wanted_.load(std::memory_order_relaxed)) {
        // Whoever is cancelled, or fails, before it came to read has not forgotten to.
        const strand* const by = current_strand();
        if (!(by && by->cancelled()) && std::uncaught_exceptions() == 0)
            report(std::make_exception_ptr(
                base::abandoned("the stream was dropped before anybody read it: read it, or stop() it")));
    }
}
void stream_base::hand_to_owner(const std::exception_ptr& e) noexcept {
    bool of_the_task = true;
    {
        base::mutex_lock l(m_);
        of_the_task = !early_;
        if (!of_the_task && how_ == task_status::failed) producer_->mark_read(); // e has that in it
    }
    if (!group_ && of_the_task) return; // which reports it, when the last of us lets go of it
    if (!group_ || !group_->try_count_up()) return report(e); // or the group has ended without it
    group_->child_ending(*producer_, task_status::failed, e);
    group_->count_down();
}
void stream_base::report(const std::exception_ptr& e) const noexcept {
    try {
        (*hook_)({producer_->label(), e});
    } catch (...) {
        // A hook that throws has nobody above it to tell.
    }
}

void stream_base::wait_begins() {
    if (stall_ == base::duration::zero()) return;
    base::mutex_lock l(m_);
    if (how_ != task_status::pending) return;
    waits_since_ = sched_.now();
    arm();
    armed_ = true;
}
void stream_base::wait_goes_on() noexcept {
    if (stall_ == base::duration::zero()) return;
    base::mutex_lock l(m_);
    if (!armed_) return;
    sched_.disarm(timer_);
    try {
        arm();
    } catch (...) {
        // Without memory for the timer it waits without a limit.
    }
}
void stream_base::wait_ends() noexcept {
    if (stall_ == base::duration::zero()) return;
    base::mutex_lock l(m_);
    if (!std::exchange(armed_, false)) return;
    sched_.disarm(timer_);
    left_ = std::max(left_ - (sched_.now() - waits_since_), base::duration::zero());
}
void stream_base::renew_limit() noexcept {
    base::mutex_lock l(m_);
    left_ = stall_;
}
void stream_base::heartbeat() {
    if (stall_ == base::duration::zero()) return;
    base::mutex_lock l(m_);
    if (how_ != task_status::pending) return;
    left_ = stall_;
    waits_since_ = sched_.now();
    if (armed_ && sched_.disarm(timer_)) arm();
}
void stream_base::arm() {
    timer_.at = base::saturating_add(waits_since_, left_);
    if (timer_.at != base::never) sched_.arm(timer_);
}

void stream_base::at_end() {
    const consumer how = consumer_.load(std::memory_order_acquire);
    bool cancelled = false;
    std::exception_ptr failure;
    {
        base::mutex_lock l(m_);
        if (std::exchange(end_told_, true)) return;
        cancelled = how_ == task_status::cancelled && !early_;
        if (how != consumer::stalled) failure = std::exchange(failure_, nullptr);
        if (failure && how_ == task_status::failed) producer_->mark_read();
    }
    if (how == consumer::stalled)
        throw base::stalled_error("the stream has stalled: neither an item nor a heartbeat within its limit",
                                  producer_->label());
    if (failure) std::rethrow_exception(failure);
    if (cancelled && how == consumer::reading) {
        const auto why = producer_->why();
        throw base::task_cancelled("the stream's producer was cancelled: " + (why ? why->message : "?"),
                                   producer_->label());
    }
}
void stream_base::throw_failure() {
    std::exception_ptr failure;
    {
        base::mutex_lock l(m_);
        failure = std::exchange(failure_, nullptr);
    }
    if (failure) std::rethrow_exception(failure);
}

base::duration checked_limit(base::duration d) {
    if (d > base::duration::zero()) return d;
    throw base::usage_error("timeout_each: the limit must be longer than zero");
}

task<void> stop_stream(base::ref<stream_base> s) {
    s->want();
    s->stop();
    const future<void> producer(
        base::ref<task_result<void>>::share(static_cast<task_result<void>*>(s->producer().get())));
    (void)co_await producer.join();
    s->throw_failure();
}
task<void> stop_streams(std::vector<base::ref<stream_base>> all) {
    for (const auto& s : all) {
        s->want();
        s->stop();
    }
    std::vector<std::exception_ptr> failures;
    for (const auto& s : all) {
        try {
            co_await stop_stream(s);
        } catch (...) {
            failures.push_back(std::current_exception());
        }
    }
    if (failures.size() == 1) std::rethrow_exception(failures[0]);
    if (!failures.empty()) throw base::group_error(std::move(failures));
}

} // namespace detail
} // namespace tenure::inline v0::core
