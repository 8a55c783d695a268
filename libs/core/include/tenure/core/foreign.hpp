// foreign: what another library's coroutines await, awaited in a task.
#pragma once
#include <tenure/core/operation.hpp>

#include <memory>

namespace tenure::inline v0::core {
namespace detail {

/// Where the bridge tells that it has ended. The bridge is the coroutine that a foreign awaitable resumes in place of ours, on
/// whatever thread it likes: our frames are resumed and destroyed by their strand alone.
///
/// THE BRIDGE  made -> resumed once by the strand -> suspended in the awaitable -> resumed by that -> at its end: complete()
///   -> destroyed by the strand. Or: destroyed by the awaitable while suspended in it -> abandoned, complete().
/// After complete() whoever called it touches nothing of the task, as the strand may go on, and destroy what it likes.
struct bridge_end {
    strand* waiter = nullptr;
    result_base* out = nullptr;
    std::coroutine_handle<> bridge; // null: none was made, or the awaitable has destroyed it
};

struct bridge {
    struct promise_type : pooled {
        promise_type() = default;
        promise_type(const promise_type&) = delete;
        promise_type& operator=(const promise_type&) = delete;
        /// Not at its end: the awaitable has destroyed what it was to resume.
        ~promise_type();

        bridge get_return_object() noexcept {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        struct last {
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<promise_type> h) const noexcept;
            void await_resume() const noexcept {}
        };
        last final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() noexcept { tells->out->error = std::current_exception(); }

        bridge_end* tells = nullptr; // null: before it begins
        bool over = false;
    };
    std::coroutine_handle<promise_type> handle;
};

/// As the language finds the awaiter of what is awaited.
template <class X>
decltype(auto) awaiter_of(X&& x) {
    if constexpr (requires { std::forward<X>(x).operator co_await(); })
        return std::forward<X>(x).operator co_await();
    else if constexpr (requires { operator co_await(std::forward<X>(x)); })
        return operator co_await(std::forward<X>(x));
    else
        return std::forward<X>(x);
}
template <class A>
concept foreign_awaiter = requires(A& a, std::coroutine_handle<bridge::promise_type> h) {
    a.await_ready();
    a.await_suspend(h);
    a.await_resume();
};
template <class X>
concept foreign_awaitable = foreign_awaiter<std::remove_reference_t<decltype(awaiter_of(std::declval<X>()))>>;
template <class X>
using foreign_value_t =
    decltype(std::declval<std::remove_reference_t<decltype(awaiter_of(std::declval<X>()))>&>()
                 .await_resume());

template <class T>
struct is_task : std::false_type {};
template <class T>
struct is_task<task<T>> : std::true_type {};
template <class X>
concept awaitable_as_it_is = is_task<std::remove_cvref_t<X>>::value ||
                             awaitable_operation<std::remove_cvref_t<X>> || awaitable_handle<X>;

/// A reference is kept as a pointer.
template <class T>
using kept_t = std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<T>, T>;

template <class X, class T>
bridge cross(X&& x, result<T>& out) {
    using value = foreign_value_t<X>;
    // Awaited by its name: GCC 12 awaits a copy of what a function gives by reference.
    auto&& awaiter = awaiter_of(std::forward<X>(x));
    if constexpr (std::is_void_v<value>)
        co_await awaiter;
    else if constexpr (std::is_reference_v<value>)
        out.value.emplace(std::addressof(co_await awaiter));
    else
        out.value.emplace(co_await awaiter);
}

/// X: an lvalue reference, or what was moved in.
template <class X>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] foreign_operation final {
    using value = foreign_value_t<X&&>;

public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    explicit foreign_operation(X&& x) : x_(std::forward<X>(x)) {}
    /// Before it is awaited.
    foreign_operation(foreign_operation&& o) noexcept(std::is_nothrow_constructible_v<X, X&&>)
        : x_(std::forward<X>(o.x_)) {}
    ~foreign_operation() {
        if (end_.bridge) end_.bridge.destroy();
    }

    bool ready() const noexcept { return false; }
    void start(strand& s, frame&) {
        const auto made = cross(std::forward<X>(x_), out_).handle;
        made.promise().tells = &end_;
        end_ = {&s, &out_, made};
        s.wait(nullptr); // nobody but x can end it
        made.resume();
    }
    value result() {
        if constexpr (std::is_reference_v<value>)
            return static_cast<value>(*out_.take());
        else
            return out_.take();
    }

private:
    X x_;
    detail::result<kept_t<value>> out_;
    bridge_end end_;
};

template <class X>
consteval bool can_be_foreign() {
    constexpr bool ours = awaitable_as_it_is<X>;
    static_assert(!ours, "foreign: this is awaited as it is: write co_await without foreign()");
    if constexpr (!ours) {
        constexpr bool fits = foreign_awaitable<X>;
        static_assert(
            fits,
            "foreign: not an awaitable: it needs await_ready(), await_suspend(std::coroutine_handle<>) and "
            "await_resume(), or an operator co_await that gives something which has them");
        return fits;
    }
    return false;
}

} // namespace detail

/// `T v = co_await foreign(x)`: awaits an awaitable of another library: something with await_ready, await_suspend and
/// await_resume, or with an operator co_await. x is moved in; an lvalue is borrowed, and awaited as one.
/// Owner: the calling task, which waits for x in any case.
/// Cancel: seen before x begins. Then x runs to its natural end, what it gives is kept, and the cancellation shows at the next
///   checkpoint. To end it sooner tell x in its own way, perhaps by a std::stop_token (context::stop_token()).
/// Timeout: as Cancel; a timed scope around it is left when x has ended.
/// Threads: x begins on the task's worker, and holds it until it suspends. It may resume on any thread; there only the result
///   is moved, and the task goes on on a worker.
/// Throws: what x throws; abandoned if x destroys the coroutine handle that it was to resume.
template <class X>
auto foreign(X&& x) {
    if constexpr (detail::can_be_foreign<X>()) return detail::foreign_operation<X>(std::forward<X>(x));
}

} // namespace tenure::inline v0::core
