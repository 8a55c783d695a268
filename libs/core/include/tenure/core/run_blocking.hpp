// run_blocking: a function that blocks, on a thread of its own.
#pragma once
#include <tenure/core/detail/blocking_pool.hpp>
#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/task.hpp>
#include <tenure/core/wait_listener.hpp>

#include <atomic>
#include <tuple>

namespace tenure::inline v0::core {

/// run_blocking(abandon_on_cancel, f, args...)
struct abandon_on_cancel_t {
    explicit abandon_on_cancel_t() = default;
};
inline constexpr abandon_on_cancel_t abandon_on_cancel{};

namespace detail {

/// The function on its thread, as this_task sees it. It owns all that the function uses.
/// References: one of the awaiting operation, one of the pool while it is submitted.
class blocking_call : public base::ref_counted, public strand, public blocking_job {
public:
    /// On the worker of `s`. Throws: what submit() throws.
    void begin(strand& s, base::task_label label);
    /// The same; the awaiter is cancelled. True: it will not hear of the call any more.
    bool leave(bool abandon) noexcept;
    /// The same; the call has ended. False: `cancelled` left the function.
    bool returned() noexcept;

    void run() noexcept final;
    void done() noexcept final;
    base::task_label job_label() const final { return label_; }
    base::task_label label() const final { return label_; }
    bool may_block() const noexcept final { return true; }
    bool start_root() noexcept final { return false; } // it is never queued
    void wait_begins() final;
    void wait_ends() noexcept final;
    /// Null: nobody is told. Confined to the function's thread.
    wait_listener* listener = nullptr;

protected:
    /// False: `cancelled` left the function.
    virtual bool call() noexcept = 0;
    virtual void drop_call() noexcept = 0;

private:
    strand* awaiter_ = nullptr; // constant while submitted
    base::ref<context_node> node_;
    base::task_label label_;
    bool interrupted_ = false; // written before ended_
    // Writers: the thread when the function has ended, the awaiter that leaves it (acq_rel). Who comes second knows.
    std::atomic<bool> settled_{false};
};

template <class F, class... A>
class blocking_call_of final : public blocking_call {
public:
    using value = std::invoke_result_t<F&, A&...>;
    template <class... X>
    explicit blocking_call_of(X&&... x) : call_(std::in_place, std::forward<X>(x)...) {}
    value take() { return result_.take(); }

private:
    bool call() noexcept override {
        auto invoke = [this]() -> decltype(auto) {
            return std::apply([](F& f, A&... a) -> decltype(auto) { return std::invoke(f, a...); }, *call_);
        };
        try {
            if constexpr (std::is_void_v<value>)
                invoke();
            else
                result_.value.emplace(invoke());
        } catch (...) {
            if (cancelled() && is_cancelled_exception()) return false;
            result_.error = std::current_exception();
        }
        return true;
    }
    void drop_call() noexcept override { call_.reset(); }
    std::optional<std::tuple<F, A...>> call_;
    detail::result<value> result_;
};

template <class Call>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] blocking_operation final
    : public operation,
      public link {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    blocking_operation(base::ref<Call> c, bool abandon) noexcept : call_(std::move(c)), abandon_(abandon) {}

    bool ready() const noexcept { return false; }
    void start(strand& s, frame& f) {
        base::task_label label = s.label();
        label.site = f.at;
        s.wait(this, this);
        call_->begin(s, std::move(label));
    }
    bool try_cancel() noexcept override { return call_->leave(abandon_); }
    void woken(strand& s) noexcept override { s.next = call_->returned() ? step::resume : step::unwind; }
    bool child_ended(strand&, ending) noexcept override { return true; } // it starts no child
    auto result() { return call_->take(); }

private:
    base::ref<Call> call_;
    bool abandon_;
};

template <class F, class... A>
auto make_blocking(bool abandon, F&& f, A&&... a) {
    static_assert(
        std::is_invocable_v<std::decay_t<F>&, std::decay_t<A>&...>,
        "run_blocking(f, args...): f cannot be called with these arguments; they are copied, references need "
        "std::ref");
    static_assert(!returns_task<std::decay_t<F>&, std::decay_t<A>&...>,
                  "run_blocking takes a plain function: a coroutine does not block, co_await it");
    static_assert(!std::is_reference_v<std::invoke_result_t<std::decay_t<F>&, std::decay_t<A>&...>>,
                  "run_blocking: what f refers to may be gone; return a value or a pointer");
    using call = blocking_call_of<std::decay_t<F>, std::decay_t<A>...>;
    return blocking_operation<call>(
        base::ref<call>::adopt(new call(std::forward<F>(f), std::forward<A>(a)...)), abandon);
}

} // namespace detail

/// `co_await run_blocking(f, args...)`: runs the plain function f(args...), with copies of the arguments, on a thread that
/// may block, and gives its value. this_task works in f: its cancellation and deadline are those of the awaiting task.
/// Owner: the calling task waits for it.
/// Cancel: f that has not begun never begins. One that runs can see it (this_task::checkpoint()), and is waited for: a value
///   that it returns is kept, and the cancellation shows at the next checkpoint. With `abandon_on_cancel` as the first
///   argument the task goes on unwinding; f, which owns all it uses, is named in audit() and in the report of close() for
///   as long as it runs.
/// Threads: at most runtime_options::blocking_threads at once, more wait their turn. One that waits in f for a future, a channel
///   or a stream lets another one run meanwhile; as many may wait so. The task goes on on a worker.
///   Virtual time does not wait for f while a timer is armed.
/// Throws: what f throws; std::system_error if no thread can be had.
template <class F, class... A>
    requires(!std::is_same_v<std::remove_cvref_t<F>, abandon_on_cancel_t>)
auto run_blocking(F&& f, A&&... a) {
    return detail::make_blocking(false, std::forward<F>(f), std::forward<A>(a)...);
}
template <class F, class... A>
auto run_blocking(abandon_on_cancel_t, F&& f, A&&... a) {
    return detail::make_blocking(true, std::forward<F>(f), std::forward<A>(a)...);
}

} // namespace tenure::inline v0::core
