// The base of every promise, and the rules of co_await.
//
// OWNERS OF A FRAME  created: the task object -> awaited or spawned: its strand -> ended: destroyed by the trampoline.
// Results go straight to whoever awaits; they never stay in the frame.
#pragma once
#include <tenure/base/outcome.hpp>
#include <tenure/core/detail/block_pool.hpp>
#include <tenure/core/detail/strand.hpp>

#include <cassert>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace tenure::inline v0::core {
template <class T>
class task;
}

namespace tenure::inline v0::core::detail {

/// Where a task's end is written: in the awaiting frame, or in the task object of a spawned one.
struct result_base {
    std::exception_ptr error;
};
template <class T>
struct result : result_base {
    std::optional<T> value;
    T take() {
        if (error) std::rethrow_exception(error);
        return std::move(*value);
    }
};
template <>
struct result<void> : result_base {
    void take() const {
        if (error) std::rethrow_exception(error);
    }
};

/// A cleanup that `defer` registered: owns the callable and its arguments.
class deferred {
public:
    virtual ~deferred() = default;
    virtual task<void> make() = 0;
    base::duration grace{};
    std::unique_ptr<deferred> next;
};

struct frame {
    link* up = nullptr;
    strand* owner = nullptr;
    result_base* out = nullptr;
    frame* caller = nullptr; // the frame that waits for this one; null: the strand's first
    base::spawn_site at{};   // of its last co_await: one pointer to a constant
    // What its strand does when it has ended; unwind: `cancelled` left its body. Not zero, or else the compiler clears it in
    // one store with what is before it, across a cache line, and the load at the end waits until that has left the core.
    step at_end = step::ended;
    std::unique_ptr<deferred> defers; // last registered first
};

/// Names the task, and the await that is one too many.
[[noreturn]] void throw_awaited_twice(const strand& s);

/// In a coroutine: where its caller awaits it.
base::spawn_site awaited_at() noexcept;

/// Runs the defers of a frame that has been destroyed, then tells `up`. False: the strand has ended.
bool run_defers(std::unique_ptr<deferred> list, strand& s, link& up, ending how, result_base& out) noexcept;

/// Enters the coroutine that make() gives, for `up`. If it throws, the body never became one: it has returned, with that.
template <class Up, class T, class Make>
void enter_body(strand& s, Up& up, result<T>& out, Make&& make) noexcept {
    try {
        auto t = make();
        t.enter(s, up, out);
    } catch (...) {
        out.error = std::current_exception();
        up.child_ended(s, ending::returned);
    }
}

/// What may be awaited in a task. Promises to the operation and by it:
///   is_checkpoint   a pending cancellation is seen before the operation begins (false: as_outcome, shield, defer)
///   ready()         on the strand's worker; true: result() is called at once, start() is not
///   start(s, f)     on the strand's worker, frame suspended; leaves in s.next what to do: resume, park (s.wait), or it
///                   enters a child. May run although ready() would be true: the strand had used up its budget.
///   result()        on the strand's worker; may throw
template <class A>
concept awaitable_operation = requires { typename A::tenure_operation; };

template <class A>
class operation_awaiter {
public:
    operation_awaiter(A& op, frame& f) noexcept : op_(op), frame_(f) {}
    bool await_ready() {
        strand& s = *frame_.owner;
        if (A::is_checkpoint && s.cancelled()) return false;
        return --s.budget > 0 && op_.ready();
    }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) {
        frame& f = h.promise(); // frame_, but needs no load
        strand& s = *f.owner;
        if (A::is_checkpoint && s.cancelled())
            s.next = step::unwind;
        else
            op_.start(s, f);
    }
    decltype(auto) await_resume() { return op_.result(); }

private:
    A& op_; // lives until the end of the full expression that awaits it
    frame& frame_;
};

/// `co_await child()`: the child's frame becomes the leaf; it ends before this one goes on.
template <class T>
class call final : public link {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    explicit call(task<T>&& t) noexcept : task_(std::move(t)) {}
    bool ready() const noexcept { return false; }
    void start(strand& s, frame&) { task_.enter(s, *this, result_); }
    T result() { return result_.take(); }
    bool child_ended(strand& s, ending how) noexcept override { // the leaf is the caller already
        s.next = how == ending::returned ? step::resume : step::unwind;
        return true;
    }

private:
    task<T> task_;
    detail::result<T> result_;
};
template <class T>
class call_awaiter { // holds the call, since the awaited task is a temporary that a wrapper must outlive
public:
    call_awaiter(task<T>&& t, frame& f) noexcept : call_(std::move(t)), frame_(f) {}
    bool await_ready() { return awaiter().await_ready(); }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) {
        awaiter().await_suspend(h);
    }
    T await_resume() { return call_.result(); }

private:
    operation_awaiter<call<T>> awaiter() noexcept { return {call_, frame_}; }
    call<T> call_;
    frame& frame_;
};

/// What a handle gives that is awaited: `co_await fut` awaits `fut.await_operation()`.
template <class A>
concept awaitable_handle =
    requires(A&& a) { requires awaitable_operation<decltype(std::forward<A>(a).await_operation())>; };
template <class Op>
class owning_awaiter {
public:
    owning_awaiter(Op op, frame& f) : op_(std::move(op)), frame_(f) {}
    bool await_ready() { return awaiter().await_ready(); }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) {
        awaiter().await_suspend(h);
    }
    decltype(auto) await_resume() { return op_.result(); }

private:
    operation_awaiter<Op> awaiter() noexcept { return {op_, frame_}; }
    Op op_;
    frame& frame_;
};

template <class>
inline constexpr bool never_true = false;

/// In a handler: the exception is `cancelled`.
bool is_cancelled_exception() noexcept;

struct promise_base : frame, pooled {
    std::suspend_always initial_suspend() const noexcept { return {}; }
    struct final_awaiter {
        bool await_ready() const noexcept { return false; }
        void await_resume() const noexcept {}
        template <class P>
        void await_suspend(std::coroutine_handle<P> h) const noexcept {
            frame& f = h.promise();
            f.owner->next = f.at_end;
        }
    };
    final_awaiter final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept {
        if (owner->cancelled() && is_cancelled_exception())
            at_end = step::unwind; // by checkpoint() in a plain function that the coroutine called
        else
            out->error = std::current_exception();
    }

    template <class U>
    call_awaiter<U> await_transform(task<U>&& t,
                                    base::spawn_site where = base::spawn_site::current()) noexcept {
        at = where;
        return {std::move(t), *this};
    }
    template <class U>
    std::suspend_never await_transform(task<U>&) noexcept {
        static_assert(never_true<U>, "a task is awaited once: write co_await std::move(t)");
        return {};
    }
    template <class A>
        requires awaitable_operation<std::remove_cvref_t<A>>
    operation_awaiter<std::remove_reference_t<A>>
    await_transform(A&& op, base::spawn_site where = base::spawn_site::current()) noexcept {
        at = where;
        return {op, *this};
    }
    template <class A>
        requires awaitable_handle<A>
    owning_awaiter<decltype(std::declval<A>().await_operation())>
    await_transform(A&& h, base::spawn_site where = base::spawn_site::current()) {
        at = where;
        return {std::forward<A>(h).await_operation(), *this};
    }
    template <class A>
        requires(!awaitable_operation<std::remove_cvref_t<A>> && !awaitable_handle<A>)
    std::suspend_never await_transform(A&&) noexcept {
        static_assert(never_true<A>,
                      "not an awaitable of tenure: its resumption could not be owned or cancelled; another "
                      "library's is awaited by co_await foreign(x)");
        return {};
    }
    template <class V>
    std::suspend_never yield_value(V&&) noexcept {
        static_assert(never_true<V>, "a task has one result: co_return it");
        return {};
    }
};

/// Computed: to load it would be one more step from a strand to what it runs. The compilers place a promise by its alignment
/// alone; made_by() sees to it that what it makes is found again.
inline std::coroutine_handle<> handle_of(frame& f) noexcept {
    return std::coroutine_handle<promise_base>::from_promise(static_cast<promise_base&>(f));
}
template <class P>
std::coroutine_handle<P> made_by(P& promise) noexcept {
    static_assert(alignof(P) == alignof(promise_base) && std::is_base_of_v<promise_base, P>);
    const auto h = std::coroutine_handle<P>::from_promise(promise);
    assert(h.address() == handle_of(promise).address());
    return h;
}

template <class T>
struct promise final : promise_base {
    task<T> get_return_object() noexcept;
    template <class V = T>
        requires std::is_constructible_v<T, V>
    void return_value(V&& v) {
        static_cast<result<T>*>(out)->value.emplace(std::forward<V>(v));
    }
};
template <>
struct promise<void> final : promise_base {
    task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
};

} // namespace tenure::inline v0::core::detail
