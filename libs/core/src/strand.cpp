#include <tenure/core/detail/frame.hpp>
#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/detail/strand.hpp>

namespace tenure::inline v0::core::detail {
namespace {
// Reached without a call also from position-independent code.
[[gnu::tls_model("initial-exec")]] constinit thread_local strand* running = nullptr;
} // namespace

[[gnu::noinline]] strand* current_strand() noexcept { return running; }

runs_here::runs_here(strand& s) noexcept { running = &s; }
runs_here::~runs_here() { running = nullptr; }
ran_here::ran_here() noexcept : outer_(running) {}
ran_here::~ran_here() { running = outer_; }

strand* check_blocking_wait(const strand* awaited) {
    strand* s = current_strand();
    if (!s || s->may_block()) return nullptr;
    if (s == awaited)
        throw base::usage_error("a task cannot await itself: it would wait for ever", s->label());
    if (s->leaf)
        throw base::usage_error(
            "a blocking wait inside a coroutine would stop its worker: co_await the future instead",
            s->label());
    if (!s->sched->has_workers())
        throw base::usage_error(
            "a blocking wait inside a task would stop the only thread that works: co_await the future "
            "in a coroutine, or give the runtime background workers",
            s->label());
    return s;
}
blocking_wait::blocking_wait(const strand* awaited) {
    if (const strand* s = check_blocking_wait(awaited)) {
        s->sched->lend_worker();
        lent_by_ = s->sched;
    } else if (strand* here = current_strand(); here && here->may_block()) {
        here->wait_begins();
        waits_ = here;
    }
}
blocking_wait::~blocking_wait() {
    if (waits_) waits_->wait_ends();
    if (lent_by_) lent_by_->take_back_worker();
}

base::cause_ptr make_cause(base::reason kind, std::string message) {
    base::cause c{kind, std::move(message), {}};
    if (const strand* s = current_strand()) c.source = s->label();
    return std::make_shared<const base::cause>(std::move(c));
}

bool strand::asked_to_stop() const noexcept {
    if (cancelled() || stopped_from_outside()) return true;
    const base::time_point deadline = context->deadline();
    if (deadline == base::never || sched->now() < deadline) return false;
    held_nodes visited;
    sched->fire_due_timers(visited);
    return cancelled();
}

void strand::complete() noexcept {
    scheduler& to = *sched; // read first: as soon as the word says done, the strand may end
    if (word.complete()) to.push(*this);
}

void strand::run(int awaits) noexcept {
    running = this;
    budget = awaits;
    for (bool alive = true; alive;) { // compared one by one: a jump table costs an await more
        if (next == step::resume) {
            if (budget <= 0) { // others first; the frame has no part in it
                running = nullptr;
                sched->push(*this);
                return;
            }
            handle_of(*leaf).resume();
            // A child that it entered is resumed from a place of its own: each is predicted apart.
            if (next == step::resume && budget > 0) handle_of(*leaf).resume();
            if (next != step::ended) continue;
        }
        if (next == step::ended)
            alive = end_leaf(ending::returned);
        else if (next == step::park)
            alive = !park();
        else if (next == step::start)
            alive = start_root();
        else
            alive = end_leaf(ending::unwound);
    }
    running = nullptr;
}

void throw_awaited_twice(const strand& s) {
    const std::string at = s.leaf && s.leaf->at.line() ? base::to_string(s.leaf->at) + ": " : std::string();
    throw base::usage_error(
        at + "a task is awaited once, and this one was awaited, spawned or moved from before: call "
             "its function again for a new one",
        s.label());
}

base::spawn_site awaited_at() noexcept {
    const frame* const own = current_strand()->leaf;
    return own->caller ? own->caller->at : base::spawn_site();
}

bool is_cancelled_exception() noexcept {
    try {
        throw;
    } catch (const base::cancelled&) {
        return true;
    } catch (...) {
        return false;
    }
}

bool strand::end_leaf(ending how) noexcept {
    frame& f = *leaf;
    link& up = *f.up;
    result_base* const out = f.out;
    leaf = f.caller; // what runs between here and its resumption is called by that frame
    if (f.defers) [[unlikely]] {
        auto defers = std::move(f.defers);
        handle_of(f).destroy();
        return run_defers(std::move(defers), *this, up, how, *out);
    }
    handle_of(f).destroy(); // the locals die here, before anybody is told
    return up.child_ended(*this, how);
}

// True: the strand has been let go of and must not be touched.
bool strand::park() noexcept {
    for (;;) {
        switch (word.try_park(op_ == nullptr)) {
        case state_word::park_result::parked: return true;
        case state_word::park_result::completed: {
            next = step::resume;
            if (link* w = std::exchange(waker_, nullptr)) w->woken(*this);
            return false;
        }
        case state_word::park_result::look:
            if (!op_ || !cancelled()) break;
            if (op_->try_cancel()) {
                word.withdrawn();
                waker_ = nullptr;
                next = leaf ? step::unwind : step::start; // no frame yet: the task ends without one
                return false;
            }
            op_ = nullptr; // it is completing: wait for that, and deliver it
            break;
        }
    }
}

} // namespace tenure::inline v0::core::detail
