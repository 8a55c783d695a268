// future<T>: a handle on a spawned task.
#pragma once
#include <tenure/core/callback.hpp>
#include <tenure/core/detail/dependencies.hpp>

namespace tenure::inline v0::core {
namespace detail {

enum class read_as : std::uint8_t { borrow, take, join, cancel_and_join };

template <class T, read_as Mode>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] await_end final
    : public operation,
      public link {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    explicit await_end(base::ref<task_result<T>> t) noexcept : task_(std::move(t)) {}

    bool ready() {
        begin();
        const task_status how = task_->status();
        // One that was cancelled goes through start(), which looks whether this task was, too: by one request, perhaps, that
        // came after the await began.
        return how != task_status::pending && (how != task_status::cancelled || Mode > read_as::take);
    }
    void start(strand& s, frame&) {
        begin(); // ready() is not asked when the strand's budget is used up
        waiter_.waiting = &s;
        s.wait(this, this);
        if (!task_->add_waiter(waiter_)) woken(s);
    }
    bool try_cancel() noexcept override { return task_->remove_waiter(waiter_); }
    void woken(strand& s) noexcept override {
        // Both were cancelled, by one request: that is the awaiter's own cancellation, not somebody else's.
        const bool both = Mode <= read_as::take && task_->status() == task_status::cancelled && s.cancelled();
        s.next = both ? step::unwind : step::resume;
    }
    bool child_ended(strand&, ending) noexcept override { return true; } // it starts no child

    decltype(auto) result() {
        if constexpr (Mode == read_as::borrow) {
            task_->throw_unless_done();
            if constexpr (!std::is_void_v<T>) return static_cast<const T&>(task_->lend());
        } else if constexpr (Mode == read_as::take) {
            return take_value(*task_);
        } else {
            task_->mark_read();
            return task_->status();
        }
    }
    static T take_value(task_result<T>& t) {
        t.throw_unless_done();
        if constexpr (!std::is_void_v<T>) {
            return t.take();
        }
    }

private:
    void begin() {
        if (current_strand() == task_.get()) task_->throw_awaits_itself();
        if constexpr (Mode == read_as::cancel_and_join)
            task_->own_context().cancel(make_cause(base::reason::cancelled, "cancel requested"));
    }
    base::ref<task_result<T>> task_;
    end_waiter waiter_;
};

} // namespace detail

/// A handle on a spawned task. Copies refer to the same task.
/// Owner: it owns no work; the task's group or runtime does. Dropping it neither cancels nor detaches anything.
/// Threads: any; each copy is used by one thread at a time.
template <class T>
class [[nodiscard("dropping a future loses nothing; write (void) if that is meant")]] future {
public:
    using value_type = T;
    explicit future(base::ref<detail::task_result<T>> t) noexcept : task_(std::move(t)) {}

    /// `co_await f` lends the value (const T&); it stays valid while a copy of the future lives, or a child that was given
    /// the future as an argument runs. A reference kept longer dangles; nothing here can see that, but AddressSanitizer does
    /// (results come from no pool there).
    /// `co_await std::move(f)`, and of a temporary future, moves it out, once: nothing is left to dangle.
    /// Cancel: only the wait ends; the task goes on.
    /// Throws: the task's failure; task_cancelled if it was cancelled; usage_error if a task awaits itself.
    auto await_operation() const& { return detail::await_end<T, detail::read_as::borrow>(task_); }
    auto await_operation() && { return detail::await_end<T, detail::read_as::take>(std::move(task_)); }

    /// `co_await f.join()`: waits for the end and says how it ended; throws no failure.
    auto join() const { return detail::await_end<T, detail::read_as::join>(task_); }
    /// `co_await f.cancel_and_join()`: requests cancellation and waits until the task and its cleanup have ended.
    auto cancel_and_join() const { return detail::await_end<T, detail::read_as::cancel_and_join>(task_); }

    /// Requests cancellation. True for the first request on a task that has not ended; the first one fixes the cause.
    bool cancel(std::string why = "cancel requested") const {
        return task_->own_context().cancel(detail::make_cause(base::reason::cancelled, std::move(why)));
    }
    bool cancel_requested() const noexcept { return task_->own_context().cancelled(); }
    base::cause_ptr why() const noexcept { return task_->why(); }
    /// What it threw; null unless it has ended so.
    std::exception_ptr error() const noexcept {
        if (status() != task_status::failed) return nullptr;
        task_->mark_read();
        return task_->failure();
    }
    task_status status() const noexcept { return task_->status(); }
    base::task_label label() const { return task_->label(); }

    /// Blocks until the task has ended; lends the value. In a plain function that runs as a task, another thread works in
    /// place of the blocked one: at most runtime_options::blocking_threads of them.
    /// Throws: the failure; task_cancelled; usage_error inside a coroutine (co_await it there).
    decltype(auto) get() const& {
        block();
        return detail::await_end<T, detail::read_as::borrow>(task_).result();
    }
    /// Of a temporary future, `rt.submit(f).get()`: take(), since a reference would dangle.
    T get() && { return take(); }
    /// Waits likewise, and moves the value out, once. Throws: usage_error if it was taken already.
    T take() const {
        block();
        return detail::await_end<T, detail::read_as::take>::take_value(*task_);
    }
    /// Blocks at most for d. False: it has not ended. An observer: the task goes on.
    template <class Rep, class Period>
    bool wait_for(std::chrono::duration<Rep, Period> d) const {
        if (task_->status() != task_status::pending) return true;
        const detail::blocking_wait waiting(task_.get());
        return task_->wait_until(
            base::saturating_add(std::chrono::steady_clock::now(), base::to_duration(d)));
    }
    /// How it ended, without blocking; empty while it runs. Throws: usage_error if the value was taken.
    std::optional<base::outcome<T>> try_outcome() const {
        using outcome = base::outcome<T>;
        switch (task_->status()) {
        case task_status::pending: return std::nullopt;
        case task_status::failed: task_->mark_read(); return outcome::failure(task_->failure());
        case task_status::cancelled: return outcome::cancelled(task_->why());
        case task_status::done: break;
        }
        if constexpr (std::is_void_v<T>)
            return outcome::success();
        else
            return outcome::success(std::as_const(task_->lend()));
    }

    /// Calls f(future), or f(), once on a worker after the task has ended; soon, if it has already. Those that were
    /// registered before the end run one after the other, in that order.
    /// Owner: the handle; f is gone when it has run, was stopped, or the handle is. The runtime does not close while it runs.
    /// Throws: closed_error if the task has ended and the runtime has closed. What f throws is reported through the hook.
    template <class F>
    callback_handle on_done(F&& f, base::spawn_site at = base::spawn_site::current()) const {
        auto call = [self = *this, f = std::decay_t<F>(std::forward<F>(f))]() mutable {
            detail::call_with_or_without(f, self);
        };
        using made = detail::callback<ended_task, decltype(call)>;
        auto c = base::ref<detail::callback_state>::adopt(
            new made("on_done", at, ended_task{task_}, std::move(call)));
        task_->add(*c);
        return callback_handle(std::move(c));
    }
    /// The same, calling f(*owner, future), f(*owner) or f(): skipped once the owner has died, which it does not keep alive.
    template <class O, class F>
    callback_handle on_done(std::weak_ptr<O> owner, F&& f,
                            base::spawn_site at = base::spawn_site::current()) const {
        return on_done(detail::weakly_bound<O, std::decay_t<F>>{std::move(owner), std::forward<F>(f)}, at);
    }

    /// For the runtime.
    const base::ref<detail::task_result<T>>& object() const noexcept { return task_; }

private:
    friend class detail::anchor<T>;
    struct ended_task {
        base::ref<detail::task_object> task;
        bool unlist(detail::listener& l) const noexcept { return task->unlist(l); }
    };
    void block() const {
        if (task_->status() != task_status::pending) return;
        const detail::blocking_wait waiting(task_.get());
        task_->wait_until(base::never);
    }
    base::ref<detail::task_result<T>> task_;
};

} // namespace tenure::inline v0::core
