// Groups: the scope that owns tasks. It is not left before every child has ended.
#pragma once
#include <tenure/core/detail/launch_in_group.hpp>
#include <tenure/core/future.hpp>
#include <tenure/core/start.hpp>
#include <tenure/core/timer.hpp>

namespace tenure::inline v0::core {

/// Handle on the children of a `with_group` scope. Copies are safe to keep: after the scope spawn throws closed_error.
/// Threads: any.
class group {
public:
    explicit group(base::ref<detail::group_state> s) noexcept : state_(std::move(s)) {}

    /// spawn(f, args...) or spawn({.name = "fetch"}, f, args...): starts f(args...) as a child, with copies of the
    /// arguments; references only by std::ref. f returns a task<T>, or is a plain function.
    /// An argument that is a future<T> becomes its value, lent as const T& (nothing for future<void>): the child waits for it,
    /// and holds it until it has ended. If it failed or was cancelled, f is not called and the child fails with
    /// dependency_failed. as_handle(fut) passes the future itself.
    /// Owner: the group; no child outlives its scope.
    /// Cancel: a child of a cancelled group is never entered; its future says cancelled.
    /// Throws: closed_error if the scope has ended; f and args are destroyed then.
    TENURE_SPAWN_OVERLOADS(spawn, do_spawn)
    /// The same, but nothing is thrown: empty if the scope has ended or was cancelled. f and args are destroyed then, and f is
    /// not called.
    TENURE_SPAWN_OVERLOADS(try_spawn, do_try_spawn)
    /// spawn_background(f, args...): a child that serves the others. When the body and all ordinary children have ended it is
    /// cancelled, and awaited. Its failure fails the group like any other.
    TENURE_SPAWN_OVERLOADS(spawn_background, do_spawn_background)

    /// `auto port = co_await g.start(serve, args...)`: starts serve(started<int>, args...) as a child and waits until that says
    /// `ready(port)`; the child goes on in the group. The first parameter's type says what is waited for.
    /// Cancel: the child is cancelled, and awaited. Timeout: none; wrap in with_timeout.
    /// Throws: what the child threw before it was ready, which does not fail the group; usage_error if it ended without
    ///   having been ready; task_cancelled if it was cancelled before; closed_error if the scope has ended.
    TENURE_SPAWN_WITHOUT_OPTIONS(start, do_start)
    template <class F, class... A>
    auto start(const spawn_options& o, F&& f, A&&... a) {
        return do_start(spawn_options(o), std::forward<F>(f), std::forward<A>(a)...);
    }
    template <class F, class... A>
    auto start(spawn_options&& o, F&& f, A&&... a) {
        static_assert(detail::temporary_options_are_safe<F>,
                      "GCC 12 destroys temporary options twice inside co_await: give them a name first");
        return do_start(std::move(o), std::forward<F>(f), std::forward<A>(a)...);
    }

    /// g.call_later(1s, f), g.every(1s, f): as in timer.hpp. Owner: the group; a timer does not keep its scope open: when the
    /// body and all children have ended, the timers end.
    TENURE_TIMER_OVERLOADS(const, timers)

    /// Requests cancellation of all children and of the body. True for the first request.
    bool cancel(std::string why = "group cancelled") const { return state_->cancel(std::move(why)); }
    bool cancel_requested() const noexcept { return state_->context->cancelled(); }
    /// For the runtime.
    detail::group_state& state() const noexcept { return *state_; }

private:
    struct arming { // counted, so that the group cannot end meanwhile
        base::ref<detail::group_state> state;
        arming(base::ref<detail::group_state> s, const char* verb, const base::spawn_site& at)
            : state(std::move(s)) {
            if (!state->try_count_up()) state->throw_ended_for_timer(verb, at);
        }
        ~arming() { state->count_down(); }
        operator detail::owned_timers&() const { return state->own_timers(); }
    };
    arming timers(const char* verb, const base::spawn_site& at) const { return {state_, verb, at}; }
    template <class F, class... A>
    auto do_spawn(spawn_options&& o, F&& f, A&&... a) {
        return future<detail::spawned_value_t<F, A...>>(detail::launch_in_group(
            *state_, nullptr, std::move(o), std::forward<F>(f), std::forward<A>(a)...));
    }
    template <class F, class... A>
    auto do_try_spawn(spawn_options&& o, F&& f, A&&... a) {
        using child = std::optional<future<detail::spawned_value_t<F, A...>>>;
        auto extras = detail::with_limit_of(*state_);
        if (cancel_requested() || !state_->try_count_up()) return child();
        return child(detail::launch_counted(*state_, std::move(extras), std::move(o), std::forward<F>(f),
                                            std::forward<A>(a)...));
    }
    template <class F, class... A>
    auto do_start(spawn_options&& o, F&& f, A&&... a) {
        return detail::make_start(state_, std::move(o), std::forward<F>(f), std::forward<A>(a)...);
    }
    template <class F, class... A>
    auto do_spawn_background(spawn_options&& o, F&& f, A&&... a) {
        auto extras = std::make_unique<detail::task_extras>();
        extras->kind = detail::child_kind::background;
        if (!state_->try_count_up(detail::child_kind::background)) state_->throw_ended(o.site, o.name);
        const auto under = state_->background();
        return future<detail::spawned_value_t<F, A...>>(
            detail::launch({state_->sched, *under, state_.get(), std::move(extras)}, std::move(o),
                           std::forward<F>(f), std::forward<A>(a)...));
    }
    base::ref<detail::group_state> state_;
};

namespace detail {

/// What a group's scope does whatever its body is.
class group_scope_base : public link {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    bool ready() const noexcept { return false; }
    bool child_ended(strand& s, ending how) noexcept final;
    // It may have come further.
    void woken(strand& s) noexcept final;

protected:
    group_scope_base() = default;
    explicit group_scope_base(group_options&& o)
        : options_(std::make_unique<const group_options>(std::move(o))) {}
    group_scope_base(group_scope_base&&) = default; // before it begins
    ~group_scope_base() = default;
    /// Opens the group, before the body is entered. `out`: where the body's end is written, and then the group's.
    void open(strand& s, frame& f, result_base& out, bool has_value);
    const base::ref<group_state>& state() const noexcept { return state_; }

private:
    std::unique_ptr<const group_options> options_; // null: the usual ones
    frame* caller_ = nullptr;
    context_node* outer_ = nullptr;
    result_base* out_ = nullptr;
    base::ref<group_state> state_;
    ending body_ending_ = ending::returned;
    bool has_value_ = false;
};

template <class F>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] group_scope final
    : public group_scope_base {
public:
    using value = task_value_t<F&, group>;
    template <class X>
        requires(!std::is_same_v<std::remove_cvref_t<X>, group_scope>)
    explicit group_scope(X&& body) : body_(std::forward<X>(body)) {}
    template <class X>
    group_scope(group_options o, X&& body) : group_scope_base(std::move(o)), body_(std::forward<X>(body)) {}

    void start(strand& s, frame& f) {
        result_ = {};
        open(s, f, result_, !std::is_void_v<value>);
        enter_body(s, *this, result_, [this] {
            state()->watch();
            return body_(group(state()));
        });
    }
    value result() { return result_.take(); }

private:
    F body_;
    detail::result<value> result_;
};

} // namespace detail

/// `co_await with_group(body)`: runs body(group) and waits until it and every child have ended.
/// Owner: the calling task. Nothing spawned in the group outlives this await, so children may borrow the caller's locals.
/// Cancel: children and body are cancelled and still awaited.
/// Throws: the single failure unchanged; group_error for several, in the order in which they happened. The first failure
///   cancels the other children and the body. task_cancelled if the group cancelled itself and its body has a value.
template <class F>
auto with_group(F&& body) {
    TENURE_CHECK_CLOSURE(F);
    static_assert(detail::returns_task<std::decay_t<F>&, group>,
                  "with_group takes a coroutine: [](group g) -> task<T> { … }");
    return detail::group_scope<std::decay_t<F>>(std::forward<F>(body));
}

/// `co_await with_group(supervise(handler), body)`, `co_await with_group(group_options().max_concurrency(8), body)`: the same,
/// with what group_options.hpp says about children's failures and their number.
template <class F>
auto with_group(group_options o, F&& body) {
    TENURE_CHECK_CLOSURE(F);
    static_assert(detail::returns_task<std::decay_t<F>&, group>,
                  "with_group takes a coroutine: [](group g) -> task<T> { … }");
    return detail::group_scope<std::decay_t<F>>(std::move(o), std::forward<F>(body));
}

} // namespace tenure::inline v0::core
