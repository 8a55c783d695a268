// A strand is one task as the runtime runs it: a chain of coroutine frames of which only the innermost, the leaf, may run.
//
// The trampoline (run()) is the only place that resumes or destroys a frame. A frame that suspends leaves in `next` what
// is to be done; the trampoline does it. So the native stack stays flat at any depth, on any compiler and optimization.
//
// How a frame ends: the trampoline destroys it (its locals die), runs its defers, and only then tells its link in the
// awaiting frame `returned` or `unwound`. A plain await resumes, or goes on unwinding; a scope first ends its children.
#pragma once
#include <tenure/core/detail/binding.hpp>
#include <tenure/core/detail/context_node.hpp>
#include <tenure/core/detail/state_word.hpp>

#include <coroutine>
#include <cstdint>

namespace tenure::inline v0::core {
struct tree_entry;
}

namespace tenure::inline v0::core::detail {

struct frame;
class strand;
class scheduler;
class owned_timers;
class tasks_elsewhere;

enum class ending : std::uint8_t { returned, unwound };

/// Told that the frame it started has ended and has been destroyed. Lives in the awaiting frame.
class link {
public:
    /// Sets strand.next. Returns false if the strand itself has ended and must not be touched.
    virtual bool child_ended(strand& s, ending how) noexcept = 0;
    /// The wait that strand.wait(op, this) began has completed. Sets strand.next if it is not to be `resume`.
    virtual void woken(strand&) noexcept {}
    /// For a dump, while that wait lasts: fills in the call by which another process works on it, and, if it may have tasks
    /// there, who knows them. False: no call does. Threads: any, under the lock of a context node.
    virtual bool show_call(tree_entry&, base::ref<tasks_elsewhere>&) const { return false; }

protected:
    ~link() = default;
};

/// An operation that is waited for and can be withdrawn.
class operation {
public:
    /// On the strand's worker. True: withdrawn, complete() will never be called. False: it was called or will be.
    virtual bool try_cancel() noexcept = 0;

protected:
    ~operation() = default;
};

enum class step : std::uint8_t { start, resume, ended, unwind, park };

/// How many awaits may be ready in a row before the strand lets others run.
inline constexpr int await_budget = 256;

class strand {
public:
    state_word word;
    int budget = await_budget;
    frame* leaf = nullptr;           // confined to the strand's worker, as all below
    context_node* context = nullptr; // the innermost scope; never null while it runs
    base::ref<binding> values;       // what is bound in the innermost scope
    strand* queue_next = nullptr;    // owned by whoever owns the strand
    scheduler* sched = nullptr;

    bool cancelled() const noexcept { return context->cancelled(); }
    /// The same, having looked at the clock: on a busy worker nobody else fires the timers meanwhile.
    bool asked_to_stop() const noexcept;

    /// Called by an operation's start(): park until complete(). With null `op` the wait cannot be cancelled.
    void wait(operation* op, link* waker = nullptr) noexcept {
        op_ = op;
        waker_ = waker;
        next = step::park;
    }
    /// link::show_call() of what it waits for. By whoever has claimed it.
    bool show_call(tree_entry& e, base::ref<tasks_elsewhere>& tasks) const {
        return waker_ && waker_->show_call(e, tasks);
    }
    /// The operation, from any thread, once. The frame, and the strand, may be gone when it returns.
    void complete() noexcept;

    /// The task at the root of the strand: enters its first frame, or ends the strand (false).
    virtual bool start_root() noexcept = 0;

    /// Who it is, for errors and reports.
    virtual base::task_label label() const = 0;

    /// A task that its group has counted.
    virtual bool is_child() const noexcept { return false; }

    /// It runs on a thread that may block.
    virtual bool may_block() const noexcept { return false; }
    /// Around each wait of a strand that may block for what others do. Throws: then there is no wait.
    virtual void wait_begins() {}
    virtual void wait_ends() noexcept {}

    /// For one whose canceller is in another process: looks whether it was asked to stop, and cancels its own context then.
    virtual bool stopped_from_outside() const noexcept { return false; }

    /// On its worker: where the timers go that it arms. Null: nowhere.
    virtual owned_timers* own_timers() { return nullptr; }

    /// Runs until the strand parks, yields or has ended; then it must not be touched.
    void run(int awaits) noexcept;

protected:
    ~strand() = default;

private:
    bool end_leaf(ending how) noexcept;
    bool park() noexcept;

    operation* op_ = nullptr;
    link* waker_ = nullptr;

public:
    step next = step::start; // last: a task's own small fields fill its word
};

/// The strand that runs on this thread, or null. Not inlined: a coroutine may be on another thread after each await.
strand* current_strand() noexcept;
/// While it lives, `s` is what runs on this thread.
class runs_here {
public:
    explicit runs_here(strand& s) noexcept;
    runs_here(const runs_here&) = delete;
    runs_here& operator=(const runs_here&) = delete;
    ~runs_here();
};
/// While it lives other strands may run on this thread; afterwards it is again the one that did.
class ran_here {
public:
    ran_here() noexcept;
    ran_here(const ran_here&) = delete;
    ran_here& operator=(const ran_here&) = delete;
    ~ran_here();

private:
    strand* const outer_;
};

/// May a wait for `awaited` (null: anything) block this thread? Throws: as blocking_wait. The strand that would block a
/// worker, if one would.
strand* check_blocking_wait(const strand* awaited);

/// A wait that blocks this thread until `awaited` (null: anything) has ended; declared around it. On a worker, in a plain
/// function, another thread works meanwhile; on a thread that may block, others have its turn.
/// Throws: usage_error inside a coroutine, in a runtime without background workers, for a task that awaits itself, and if too
///   many wait so already.
class blocking_wait {
public:
    explicit blocking_wait(const strand* awaited);
    blocking_wait(const blocking_wait&) = delete;
    blocking_wait& operator=(const blocking_wait&) = delete;
    ~blocking_wait();

private:
    scheduler* lent_by_ = nullptr;
    strand* waits_ = nullptr;
};

/// A cause that names the task which runs on this thread as its source, if one does.
base::cause_ptr make_cause(base::reason kind, std::string message);

} // namespace tenure::inline v0::core::detail
