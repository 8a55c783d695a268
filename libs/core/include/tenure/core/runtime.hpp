// The runtime: workers, and the owner of what is submitted from outside.
#pragma once
#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/detail/spawn_overloads.hpp>
#include <tenure/core/detail/wake_up.hpp>
#include <tenure/core/future.hpp>

namespace tenure::inline v0::core {

class context;

/// How long each step of close() may take.
struct close_options {
    base::duration drain = std::chrono::seconds(5); // for tasks to end by themselves
    base::duration grace = std::chrono::seconds(5); // after they have been cancelled
    base::duration hook = std::chrono::seconds(5);  // for each function given to on_close(), from its start
    /// For the workers to leave what they run, once something was abandoned. Those that do not are stuck, and let go of.
    base::duration workers = std::chrono::seconds(1);
};
struct close_report {
    /// Tasks that did not end: they wait for something that cannot be cancelled, or a function does not return.
    std::vector<base::task_label> abandoned;
    /// What the functions given to on_close() threw, in the order in which they ran; timeout_error for one that took too long.
    std::vector<std::exception_ptr> errors{};
    /// What lived at that moment, and where each task waits; empty unless something was abandoned.
    task_tree tree{};
};

struct runtime_options {
    /// Background workers. 0: none; block_on() works on the calling thread.
    unsigned threads = std::thread::hardware_concurrency();
    /// Where idle workers park. Null: a condition variable, for runtimes without I/O.
    std::unique_ptr<driver> io{};
    /// Told once of a failure that nobody read. Null: one line on stderr.
    unread_failure_hook on_unread_failure{};
    /// Threads that run_blocking() may use at once; and workers that may block at once in plain functions.
    unsigned blocking_threads = 256;
    /// Used by the destructor.
    close_options at_end{};
};

/// What is held at this moment. All zero after close(), unless something was abandoned.
struct audit_report {
    std::size_t tasks = 0;
    std::size_t timers = 0;
    std::size_t callbacks = 0; // registered, neither run nor stopped
    std::size_t descriptors = 0;
    std::size_t processes = 0;
    /// Workers that block in a plain function; a thread works in place of each.
    std::size_t lent_workers = 0;
    /// Threads beside the workers. Those that nothing needs end by themselves.
    std::size_t threads = 0;
    /// What runs on them: functions of run_blocking(), by task and place of the call; workers in place of blocked ones.
    std::vector<base::task_label> blocking{};
    bool clean() const noexcept {
        return tasks == 0 && timers == 0 && callbacks == 0 && descriptors == 0 && processes == 0 &&
               blocking.empty();
    }
};

/// Runs tasks. Installs no signal handler, reaps no child that is not its own.
/// Owner: of every submitted task. The destructor closes.
/// Threads: any, but for close() and destruction: not from inside one of its tasks.
class runtime {
public:
    explicit runtime(runtime_options o = {});
    runtime(const runtime&) = delete;
    runtime& operator=(const runtime&) = delete;
    ~runtime();

    /// submit(f, args...) or submit({.name = "serve"}, f, args...): starts f(args...), with copies of the arguments.
    /// f returns a task<T>, or is a plain function.
    /// An argument that is a future becomes its value, as in group::spawn.
    /// Owner: the runtime. Throws: closed_error once close() has begun.
    TENURE_SPAWN_OVERLOADS(submit, do_submit)

    /// block_on(f, args...) or block_on({.name = "main"}, f, args...): runs f(args...) and waits for its result. Without
    /// background workers the calling thread works meanwhile.
    /// Throws: what the task throws; closed_error; usage_error inside a task.
    TENURE_SPAWN_OVERLOADS(block_on, do_block_on)

    /// Refuses new tasks, waits for the running ones, cancels what is left, waits again, runs what on_close() was given,
    /// ends the threads. Idempotent; of several callers one closes, the others wait for the same report.
    /// Timeout: o.drain + o.grace, o.hook + o.grace for each function, o.workers; and o.workers again for each function for
    /// which a thread has to be found. What did not end by then is named in the report, and what it uses is never freed.
    /// Throws: usage_error inside one of its tasks (request_close() there), and in any coroutine.
    close_report close(close_options o = {});
    /// Begins to close, and returns at once: new tasks are refused from now on, and what still runs after o.drain is
    /// cancelled. Whoever owns the runtime calls close(), or the destructor does, for the rest.
    /// Threads: any, also inside a task.
    void request_close(close_options o = {});
    /// close() runs f, a plain function or a coroutine function, when no task is left: last registered first, each once and
    /// as a task, whatever the others do. One that takes too long is cancelled, but none before it has begun.
    /// Throws: closed_error once close() has begun; f is destroyed then.
    template <class F>
    void on_close(F&& f, base::spawn_site site = base::spawn_site::current()) {
        static_assert(std::is_void_v<detail::spawned_value_t<F>>,
                      "on_close: there is nobody to give a value to");
        auto hook = std::make_unique<hook_of<std::decay_t<F>>>(std::forward<F>(f));
        hook->site = site;
        add_hook(std::move(hook));
    }
    audit_report audit();
    /// What lives at this moment, as a tree; to_string() makes it readable. A process that runs a call, and tasks for it, is
    /// asked for these. Threads: any, also inside a task.
    /// Timeout: `patience` for all such processes together; 0: none is asked.
    task_tree dump(base::duration patience = dump_patience) { return sched_->dump(patience); }
    /// A new context below the runtime's own: cancelled when the runtime closes (context.hpp).
    core::context context();
    driver& io() noexcept { return sched_->io(); }
    base::time_point now() noexcept { return sched_->now(); }
    /// For the parts of this library that own tasks.
    detail::scheduler& sched() noexcept { return *sched_; }

private:
    template <class F, class... A>
    auto do_submit(spawn_options&& o, F&& f, A&&... a) {
        if (!sched_->try_count_root_up())
            throw base::closed_error("submit: the runtime is closing and accepts no more tasks");
        return future<detail::spawned_value_t<F, A...>>(detail::launch(
            {*sched_, sched_->root()}, std::move(o), std::forward<F>(f), std::forward<A>(a)...));
    }
    template <class F, class... A>
    auto do_block_on(spawn_options&& o, F&& f, A&&... a) {
        const auto submitted = do_submit(std::move(o), std::forward<F>(f), std::forward<A>(a)...);
        wait_for_end(*submitted.object());
        return submitted.take();
    }
    struct close_hook {
        virtual ~close_hook() = default;
        /// Counts it; `begun` is woken when f is about to be called. Throws: then nothing is counted.
        virtual base::ref<detail::task_result<void>> start(detail::scheduler& in, detail::context_node& under,
                                                           std::shared_ptr<detail::wake_up> begun) = 0;
        base::spawn_site site;
    };
    template <class F>
    class hook_of final : public close_hook {
    public:
        explicit hook_of(F f) : f_(std::move(f)) {}
        base::ref<detail::task_result<void>> start(detail::scheduler& in, detail::context_node& under,
                                                   std::shared_ptr<detail::wake_up> begun) override {
            auto call = [f = std::move(f_), b = std::move(begun)]() mutable {
                b->wake();
                return f();
            };
            in.count_root_up();
            return detail::launch({in, under}, spawn_options{.name = "on_close", .site = this->site},
                                  std::move(call));
        }

    private:
        F f_;
    };
    class hook_runner;
    void add_hook(std::unique_ptr<close_hook> h);
    void run_hooks(const close_options& o, close_report& into);
    void wait_for_end(detail::task_object& t);
    void work_in_turn(const std::function<bool()>& ended);
    bool take_turn(const std::function<bool()>& ended);
    void give_turn() noexcept;

    std::unique_ptr<detail::scheduler> sched_;
    const close_options at_end_;
    base::mutex m_;
    enum class stage : std::uint8_t { open, closing, closed };
    base::condition closed_;
    stage stage_ TENURE_GUARDED_BY(m_) = stage::open;
    bool requested_ TENURE_GUARDED_BY(m_) = false;
    base::time_point drain_until_ TENURE_GUARDED_BY(m_) = base::never; // of the request
    class drain_timer final : public detail::timer {
    public:
        detail::scheduler* sched = nullptr;
        void fire(detail::held_nodes& visited) noexcept override;
    };
    drain_timer drain_timer_; // armed by request_close(), removed by close()
    std::vector<std::unique_ptr<close_hook>> hooks_ TENURE_GUARDED_BY(m_);
    // Of the hooks: the root of the tasks is cancelled by then.
    base::ref<detail::context_node> hooks_root_;
    close_report report_ TENURE_GUARDED_BY(m_);
    bool keep_ TENURE_GUARDED_BY(m_) = false; // something may still run in it

    // Without background workers one of the threads in block_on() works, for all of them.
    base::mutex turn_m_;
    base::condition turn_;
    bool working_ TENURE_GUARDED_BY(turn_m_) = false;
    std::atomic<int> waiting_{
        0}; // Writer: take_turn(), under the lock. Relaxed: a task's end is behind a lock that orders it
};

} // namespace tenure::inline v0::core
