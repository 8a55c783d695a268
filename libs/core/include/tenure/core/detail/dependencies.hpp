// Arguments that are futures. The child waits for them without a frame, holds them until it ends, and is called with what
// they gave.
//
// No chain grows: a task lets go of its parents when it ends, so what it is held by holds nothing further; and a failure that
// is passed on stays one exception object, however many tasks it passes.
#pragma once
#include <tenure/core/detail/task_state.hpp>

namespace tenure::inline v0::core {

template <class T>
class future;

/// spawn(f, as_handle(fut)): f gets the future itself; the child neither waits for it nor depends on its value.
template <class T>
class as_handle {
public:
    explicit as_handle(future<T> f) noexcept : future_(std::move(f)) {}
    operator future<T>() && noexcept { return std::move(future_); }
    operator future<T>() const& noexcept { return future_; }

private:
    future<T> future_;
};

namespace detail {

/// Keeps a parent's result until the child has ended.
template <class T>
class anchor {
public:
    explicit anchor(future<T> f) noexcept : task_(std::move(f.task_)) {
        if constexpr (!std::is_void_v<T>) task_->hold();
    }
    anchor(const anchor&) = delete;
    anchor& operator=(const anchor&) = delete;
    ~anchor() {
        if constexpr (!std::is_void_v<T>) task_->let_go();
    }
    task_result<T>& task() const noexcept { return *task_; }

private:
    base::ref<task_result<T>> task_;
};

template <class D>
struct stored_argument : std::type_identity<D> {};
template <class T>
struct stored_argument<future<T>> : std::type_identity<anchor<T>> {};
template <class T>
struct stored_argument<as_handle<T>> : std::type_identity<future<T>> {};
template <class A>
using stored_t = typename stored_argument<std::decay_t<A>>::type;

template <class A>
inline constexpr bool is_anchor = false;
template <class T>
inline constexpr bool is_anchor<anchor<T>> = true;

/// What a stored argument is to f: itself; of a future its value, or nothing if it has none.
template <class X>
std::tuple<X&> lend(X& x) noexcept {
    return std::tuple<X&>(x);
}
template <class T>
auto lend(anchor<T>& a) {
    if constexpr (std::is_void_v<T>)
        return std::tuple<>();
    else
        return std::tuple<const T&>(a.task().lend());
}

template <class F, class Arguments>
struct invocation;
template <class F, class... L>
struct invocation<F, std::tuple<L...>> : std::invoke_result<F, L...> {
    static constexpr bool possible = std::is_invocable_v<F, L...>;
};
/// The call of f with stored arguments.
template <class F, class... A>
struct call_of {
    using lent = decltype(std::tuple_cat(lend(std::declval<A&>())...));
    static constexpr bool possible = invocation<F&, lent>::possible;
    using result = typename invocation<F&, lent>::type;
    static constexpr bool gives_task = task_traits<result>::is_task;
    using value =
        typename std::conditional_t<gives_task, task_traits<result>, std::type_identity<result>>::type;
};
template <class F, class... A>
    requires(!invocation<F&, decltype(std::tuple_cat(lend(std::declval<A&>())...))>::possible)
struct call_of<F, A...> { // refused by spawned_value, in words
    static constexpr bool possible = false;
    using value = void;
};

/// A child's wait for one parent.
class parent_wait final : public operation {
public:
    /// True: it waits; waker.woken() will be called. False: the parent has ended.
    bool for_end_of(task_object& parent, strand& child, link& waker) noexcept {
        if (parent.status() != task_status::pending) return false;
        parent_ = &parent;
        waiter_.waiting = &child;
        child.wait(this, &waker);
        return parent.add_waiter(waiter_);
    }
    bool try_cancel() noexcept override { return parent_->remove_waiter(waiter_); }

private:
    task_object* parent_ = nullptr;
    end_waiter waiter_;
};

/// In a handler: dependency_failed with what is being handled inside; one that is dependency_failed already, as it is.
std::exception_ptr as_dependency_failed(const task_object& parent) noexcept;

/// Null: none, or the parent has a value that can be lent. The parent counts as read.
template <class X>
std::exception_ptr failure_of_argument(X& x) noexcept {
    if constexpr (is_anchor<X>) {
        try {
            x.task().throw_unless_done();
            (void)lend(x); // it may have been taken
        } catch (...) {
            return as_dependency_failed(x.task());
        }
    }
    return nullptr;
}

} // namespace detail
} // namespace tenure::inline v0::core
