#include "condition_driver.hpp"

#include <tenure/core/detail/runtime_pin.hpp>
#include <tenure/core/runtime.hpp>
#include <tenure/core/this_task.hpp>

#include <algorithm>
#include <cstdio>
#include <thread>
#include <utility>

namespace tenure::inline v0::core {
namespace {

void report_on_stderr(const unread_failure& f) {
    const std::string line =
        "tenure: nobody read the failure of " + to_string(f.task) + ": " + base::describe(f.error) + "\n";
    std::fputs(line.c_str(), stderr);
}

/// Never freed, but reachable, so that a leak checker sees the purpose.
void keep_for_ever(detail::scheduler* s, detail::context_node* hooks) {
    static base::mutex m;
    static auto* const kept = new std::vector<std::pair<detail::scheduler*, detail::context_node*>>;
    base::mutex_lock l(m);
    kept->emplace_back(s, hooks);
}

} // namespace

runtime::runtime(runtime_options o)
    : sched_(std::make_unique<detail::scheduler>(
          o.io ? std::move(o.io) : std::unique_ptr<driver>(new detail::condition_driver), o.threads,
          o.on_unread_failure ? std::move(o.on_unread_failure) : unread_failure_hook(report_on_stderr),
          o.blocking_threads)),
      at_end_(o.at_end) {}

runtime::~runtime() {
    close(at_end_);
    base::mutex_lock l(m_);
    if (keep_) keep_for_ever(sched_.release(), hooks_root_.detach());
}

void runtime::drain_timer::fire(detail::held_nodes& visited) noexcept {
    sched->root().cancel(detail::make_cause(base::reason::shutdown, "the runtime is closing"), visited);
}
void runtime::request_close(close_options o) {
    base::mutex_lock l(m_);
    if (stage_ != stage::open || requested_) return;
    requested_ = true;
    sched_->refuse_new();
    drain_until_ = base::saturating_add(sched_->now(), o.drain);
    drain_timer_.sched = sched_.get();
    drain_timer_.at = drain_until_;
    if (drain_until_ != base::never) sched_->arm(drain_timer_);
}

void runtime::add_hook(std::unique_ptr<close_hook> h) {
    base::mutex_lock l(m_);
    if (stage_ != stage::open)
        throw base::closed_error("on_close: the runtime is closing; register what it runs then earlier");
    hooks_.push_back(std::move(h));
}
// Runs what on_close() was given, each as a task.
//
// A HOOK  waiting for a thread -> begun -> ended; or -> cancelled, when its limit, which counts from `begun`, has passed.
// It always begins. Workers may be stuck in what was abandoned, each in a task that is still counted: if a hook does not begin
// in time a further thread works, and when there are as many as tasks, one is free. Only if no thread can be had is a hook
// given up before it began, and named.
class runtime::hook_runner {
public:
    hook_runner(detail::scheduler& s, detail::context_node& under, const close_options& o, close_report& into)
        : sched_(s), under_(under), limits_(o), report_(into) {
        if (sched_.has_workers() && sched_.tasks() > 0) lend();
    }
    hook_runner(const hook_runner&) = delete;
    hook_runner& operator=(const hook_runner&) = delete;
    ~hook_runner() {
        for (; lent_ > 0; --lent_)
            sched_.take_back_worker();
    }

    /// Throws: what launching it throws; timeout_error.
    void run(close_hook& hook) {
        const std::size_t may_be_stuck = sched_.tasks();
        const auto begun = std::make_shared<detail::wake_up>();
        const auto task = hook.start(sched_, under_, begun);
        if (!begins(*begun, may_be_stuck) || !ends(*task, limits_.hook)) {
            task->own_context().cancel(
                detail::make_cause(base::reason::deadline, "a close hook took too long"));
            if (!ends(*task, limits_.grace)) {
                report_.abandoned.push_back(task->label());
                if (sched_.has_workers()) lend(); // the next one may need a thread
            }
            if (task->status() != task_status::failed)
                throw base::timeout_error("a function given to on_close() did not end in time",
                                          task->label());
        }
        task->mark_read();
        if (task->status() == task_status::failed) report_.errors.push_back(task->failure());
    }

private:
    bool begins(detail::wake_up& begun, std::size_t may_be_stuck) {
        if (!sched_.has_workers()) return work_until([&] { return begun.woken(); }, base::never);
        for (; may_be_stuck > 0; --may_be_stuck) {
            if (begun.wait(from_now(limits_.workers))) return true;
            if (!lend()) return begun.wait(from_now(limits_.workers));
        }
        return begun.wait(base::never);
    }
    bool ends(detail::task_object& t, base::duration limit) {
        if (sched_.has_workers()) return t.wait_until(from_now(limit));
        return work_until([&] { return t.status() != task_status::pending; },
                          base::saturating_add(sched_.now(), limit));
    }
    template <class Done>
    bool work_until(Done&& done, base::time_point until) {
        try {
            return sched_.work_until(done, until);
        } catch (const base::deadlock_error&) { // a test driver: nothing will come, however long we wait
            return false;
        }
    }
    static base::time_point from_now(base::duration d) {
        return base::saturating_add(std::chrono::steady_clock::now(), d);
    }
    bool lend() {
        try {
            sched_.lend_worker();
            ++lent_;
            return true;
        } catch (...) { // no thread to be had: whatever worker is left runs them
            report_.errors.push_back(std::current_exception());
            return false;
        }
    }

    detail::scheduler& sched_;
    detail::context_node& under_;
    const close_options& limits_;
    close_report& report_;
    unsigned lent_ = 0;
};

// Everybody who could register one has been refused since close() began.
void runtime::run_hooks(const close_options& o, close_report& into) {
    std::vector<std::unique_ptr<close_hook>> hooks;
    {
        base::mutex_lock l(m_);
        hooks = std::move(hooks_);
    }
    if (hooks.empty()) return;
    hooks_root_ = base::ref<detail::context_node>::adopt(new detail::context_node);
    hook_runner runner(*sched_, *hooks_root_, o, into);
    for (; !hooks.empty(); hooks.pop_back()) {
        try {
            runner.run(*hooks.back());
        } catch (...) {
            into.errors.push_back(std::current_exception());
        }
    }
}

close_report runtime::close(close_options o) {
    const detail::strand* const caller = detail::current_strand();
    if (caller && caller->sched == sched_.get())
        throw base::usage_error(
            "close: called from inside a task, it would wait for itself; request_close() there, and "
            "close() in plain code");
    const detail::blocking_wait waiting(nullptr); // in a plain function of another runtime
    base::time_point drain_until = base::saturating_add(sched_->now(), o.drain);
    {
        base::mutex_lock l(m_);
        while (stage_ == stage::closing)
            closed_.wait(m_);
        if (stage_ == stage::closed) return report_;
        stage_ = stage::closing;
        drain_until = std::min(drain_until, drain_until_);
    }
    close_report report;
    sched_->refuse_new();
    auto wait = [&](base::time_point until) {
        try {
            return sched_->wait_idle(until);
        } catch (const base::deadlock_error&) { // a test driver: nothing will come, however long we wait
            return false;
        }
    };
    bool idle = wait(drain_until);
    sched_->disarm(drain_timer_);
    // Also if no task is left: what waits for a context to end hears it, and runs before we return.
    sched_->root().cancel(detail::make_cause(base::reason::shutdown, "the runtime is closing"));
    idle = wait(base::saturating_add(sched_->now(), o.grace));
    auto name_the_rest = [&] {
        report.abandoned = sched_->live_tasks();
        report.tree = sched_->dump();
    };
    if (!idle) name_the_rest();
    run_hooks(o, report);
    // Callbacks that hooks, or handles elsewhere, have registered meanwhile. What was abandoned is not waited for again.
    const base::time_point gone_by =
        idle && report.abandoned.empty() ? base::saturating_add(sched_->now(), o.grace) : sched_->now();
    bool retired = false;
    do {
        idle = wait(gone_by);
        sched_->root().end_contexts();
        retired = detail::runtime_pin::retire(*sched_);
    } while (idle && !retired && sched_->now() < gone_by); // a callback came in between
    if (!retired) detail::runtime_pin::shut(*sched_);
    idle = retired && wait(gone_by); // whoever counted down last has let go
    if (!idle && report.abandoned.empty()) name_the_rest();
    // A worker that is inside an abandoned function will not come; the others leave at once.
    const auto soon = base::saturating_add(std::chrono::steady_clock::now(), o.workers);
    const bool stopped = sched_->stop_workers(idle && report.abandoned.empty() ? base::never : soon);
    if (!stopped && report.abandoned.empty())
        report.abandoned.push_back({0, "a task that has ended, in the destructor of its result", {}});
    // Functions that were abandoned by their task have had all the time above.
    if (!sched_->blocking().stop(report.abandoned.empty()
                                     ? base::saturating_add(std::chrono::steady_clock::now(), o.grace)
                                     : std::chrono::steady_clock::now()))
        for (auto& label : sched_->blocking().running())
            if (label.id != 0 && // a worker in place of another is stuck in what is named already
                std::none_of(report.abandoned.begin(), report.abandoned.end(),
                             [&](const base::task_label& known) { return known.id == label.id; }))
                report.abandoned.push_back(std::move(label));

    base::mutex_lock l(m_);
    keep_ = !retired || !report.abandoned.empty();
    report_ = std::move(report);
    stage_ = stage::closed;
    closed_.notify_all();
    return report_;
}

audit_report runtime::audit() {
    const driver_usage io = sched_->io().usage();
    return {.tasks = sched_->tasks(),
            .timers = sched_->timers(),
            .callbacks = sched_->callbacks(),
            .descriptors = io.descriptors,
            .processes = io.processes,
            .lent_workers = sched_->lent_workers(),
            .threads = sched_->blocking().threads(),
            .blocking = sched_->blocking().running()};
}

void runtime::wait_for_end(detail::task_object& t) {
    detail::check_blocking_wait(nullptr);
    if (sched_->has_workers()) return; // take() blocks
    const auto ended = [&t] { return t.status() != task_status::pending; };
    try {
        work_in_turn(ended);
    } catch (const base::deadlock_error& e) {
        const std::string tree = to_string(dump());
        // What the task borrows from its caller must not be left to it when this exception leaves.
        t.own_context().cancel(detail::make_cause(base::reason::cancelled, "every task waits"));
        work_in_turn(ended);
        throw base::deadlock_error(std::string(e.what()) + "\n" + tree);
    }
}
void runtime::work_in_turn(const std::function<bool()>& ended) {
    struct turn {
        runtime& r;
        ~turn() { r.give_turn(); }
    };
    const detail::ran_here caller; // a plain function of another runtime, which goes on as what it was
    if (!take_turn(ended)) return;
    const turn until_end{*this};
    sched_->work_until(
        [&] {
            if (waiting_.load(std::memory_order_relaxed) >
                0) { // what has just ended may be what another one waits for
                base::mutex_lock l(turn_m_);
                turn_.notify_all();
            }
            return ended();
        },
        base::never);
}
// False: it has ended, by the work of another thread.
bool runtime::take_turn(const std::function<bool()>& ended) {
    base::mutex_lock l(turn_m_);
    waiting_.fetch_add(1, std::memory_order_relaxed);
    while (working_ && !ended())
        turn_.wait(turn_m_);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    if (working_) return false;
    return working_ = true;
}
void runtime::give_turn() noexcept {
    base::mutex_lock l(turn_m_);
    working_ = false;
    turn_.notify_all();
}

namespace this_task {

bool cancel_requested() noexcept {
    const auto* s = detail::current_strand();
    return s && s->asked_to_stop();
}
base::cause_ptr why() noexcept {
    const auto* s = detail::current_strand();
    return s ? s->context->why() : nullptr;
}
base::time_point deadline() noexcept {
    const auto* s = detail::current_strand();
    return s ? s->context->deadline() : base::never;
}
base::task_label label() {
    auto* s = detail::current_strand();
    return s ? s->label() : base::task_label{};
}
bool may_block() noexcept {
    const auto* s = detail::current_strand();
    return !s || s->may_block() || !s->leaf;
}
void checkpoint() {
    if (cancel_requested()) throw base::cancelled{};
}

} // namespace this_task
} // namespace tenure::inline v0::core
