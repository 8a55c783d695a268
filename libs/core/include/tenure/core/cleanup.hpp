// Cleanup that awaits: defer and with_cleanup.
#pragma once
#include <tenure/core/task.hpp>

#include <functional>
#include <tuple>

namespace tenure::inline v0::core {
namespace detail {

template <class F, class... A>
class deferred_call final : public deferred {
public:
    template <class... X>
    explicit deferred_call(base::duration g, X&&... x) : call_(std::forward<X>(x)...) {
        grace = g;
    }
    task<void> make() override {
        return std::apply([](F& f, A&... a) { return std::invoke(f, a...); }, call_);
    }

private:
    std::tuple<F, A...> call_;
};

class [[nodiscard("nothing happens before it is awaited: write co_await")]] register_deferred {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = false;
    explicit register_deferred(std::unique_ptr<deferred> d) noexcept : deferred_(std::move(d)) {}
    bool ready() const noexcept { return false; }
    void start(strand& s, frame& f) noexcept {
        deferred_->next = std::move(f.defers);
        f.defers = std::move(deferred_);
        s.next = step::resume;
    }
    void result() const noexcept {}

private:
    std::unique_ptr<deferred> deferred_;
};

template <class T>
inline constexpr bool is_raw_pointer = std::is_pointer_v<T> && !std::is_same_v<T, const char*>;

} // namespace detail

/// `co_await defer(2s, f, args...)`: when the calling coroutine has ended, by return, failure or cancellation, and its
/// locals are gone, runs f(args...), last registered first, each shielded and at most for the grace given.
/// Owner: the coroutine's frame; f and args are its own, nothing is borrowed.
/// Throws into the outcome: an error of f replaces a value and a cancellation, and joins another error in group_error; an
///   overrun is timeout_error.
template <class Rep, class Period, class F, class... A>
auto defer(std::chrono::duration<Rep, Period> grace, F&& f, A&&... a) {
    using call = detail::deferred_call<std::decay_t<F>, std::decay_t<A>...>;
    static_assert(std::is_empty_v<std::decay_t<F>> || std::is_pointer_v<std::decay_t<F>>,
                  "defer runs when the locals are gone: capture nothing, pass what it needs as arguments; to "
                  "borrow locals "
                  "use with_cleanup");
    static_assert((!detail::is_raw_pointer<std::decay_t<A>> && ...),
                  "defer owns its arguments: no raw pointers");
    static_assert(std::is_same_v<std::invoke_result_t<std::decay_t<F>&, std::decay_t<A>&...>, task<void>>,
                  "defer takes a coroutine function that returns task<>");
    return detail::register_deferred(
        std::make_unique<call>(base::to_duration(grace), std::forward<F>(f), std::forward<A>(a)...));
}

/// `co_await with_cleanup(2s, body, cleanup)`: runs body(), then cleanup() however body ended, shielded, at most for the
/// grace. Both may borrow the caller's locals.
template <class Rep, class Period, class B, class C>
auto with_cleanup(std::chrono::duration<Rep, Period> grace, B body, C cleanup)
    -> task<detail::task_value_t<B&>> {
    co_await defer(grace, [](C& c) { return c(); }, std::move(cleanup));
    co_return co_await body();
}

} // namespace tenure::inline v0::core
