// task<T>: a lazy coroutine. Nothing of its body runs before it has an owner.
#pragma once
#include <tenure/core/detail/frame.hpp>

namespace tenure::inline v0::core {

/// A computation that yields a T, written as a coroutine; it runs when it is awaited or spawned.
/// Owner: this object until then, afterwards the awaiting task. Destroyed without an owner, its body never runs.
/// Cancel: seen at every co_await; the frames are destroyed innermost first, destructors run, handlers do not.
/// Threads: runs on the workers of its runtime, after each co_await perhaps on another one.
template <class T = void>
class [[nodiscard("a task does nothing before it is awaited or spawned")]] task {
    static_assert(!std::is_reference_v<T>,
                  "task<T&> would dangle unseen: return a pointer or std::reference_wrapper");

public:
    using promise_type = detail::promise<T>;
    using value_type = T;

    explicit task(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}
    task(task&& o) noexcept : handle_(std::exchange(o.handle_, nullptr)) {}
    task& operator=(task&&) = delete;
    ~task() {
        if (handle_) handle_.destroy();
    }

    /// For the runtime: hands the frame to the strand, where it becomes the leaf.
    /// Throws: usage_error if it was moved from; then nothing has changed.
    void enter(detail::strand& s, detail::link& up, detail::result<T>& out) {
        if (!handle_) detail::throw_awaited_twice(s);
        auto& p = std::exchange(handle_, nullptr).promise();
        p.up = &up;
        p.owner = &s;
        p.out = &out;
        p.caller = s.leaf;
        s.leaf = &p;
        s.next = detail::step::resume;
    }

private:
    std::coroutine_handle<promise_type> handle_;
};

namespace detail {

template <class T>
task<T> promise<T>::get_return_object() noexcept {
    return task<T>(made_by(*this));
}
inline task<void> promise<void>::get_return_object() noexcept { return task<void>(made_by(*this)); }

template <class T>
struct task_traits {
    static constexpr bool is_task = false;
};
template <class T>
struct task_traits<task<T>> {
    static constexpr bool is_task = true;
    using type = T;
};
template <class F, class... A>
concept returns_task = std::is_invocable_v<F, A...> && task_traits<std::invoke_result_t<F, A...>>::is_task;
/// T of the task<T> that f(args...) returns.
template <class F, class... A>
using task_value_t = typename task_traits<std::invoke_result_t<F, A...>>::type;

// GCC 12 destroys a temporary closure or aggregate twice inside a full expression that awaits (conformance: coroutine
// traps).
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
template <class F>
inline constexpr bool closure_is_safe =
    std::is_lvalue_reference_v<F> || std::is_trivially_destructible_v<std::remove_cvref_t<F>>;
template <class Dependent>
inline constexpr bool temporary_options_are_safe = false;
#else
template <class F>
inline constexpr bool closure_is_safe = true;
template <class Dependent>
inline constexpr bool temporary_options_are_safe = true;
#endif
// NOLINTBEGIN(bugprone-macro-parentheses): F is a type
#define TENURE_CHECK_CLOSURE(F)                                                                              \
    static_assert(::tenure::core::detail::closure_is_safe<F&&>,                                              \
                  "GCC 12 destroys a temporary lambda with captures twice inside co_await: give the lambda " \
                  "a name first")
// NOLINTEND(bugprone-macro-parentheses)

} // namespace detail
} // namespace tenure::inline v0::core
