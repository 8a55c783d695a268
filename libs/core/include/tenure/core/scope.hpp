// Scopes in time: with_timeout, with_deadline, move_on_after, shield.
//
// Each is one context and one timer, owned by the scope. When the body has ended, however it ended, the timer is gone.
#pragma once
#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/task.hpp>

#include <tuple>

namespace tenure::inline v0::core {
namespace detail {

/// Cancels a context when it is due.
class deadline_timer final : public timer {
public:
    base::ref<context_node> target;
    void fire(held_nodes& visited) noexcept override;
};

/// What a timed scope shares with the handles on it.
class timeout_state final : public base::ref_counted {
public:
    void begin(strand& s, const base::ref<context_node>& node, base::time_point at);
    /// True: it had expired.
    bool end() noexcept;
    bool expired() const noexcept { return expired_.load(std::memory_order_acquire); }
    base::time_point deadline() noexcept;
    void move_to(base::time_point at);

private:
    class expiry final : public timer {
    public:
        timeout_state* state = nullptr;
        void fire(held_nodes& visited) noexcept override;
    };
    // Writer: fire(), before it cancels (release). Readers: anybody (acquire).
    std::atomic<bool> expired_{false};
    base::mutex m_; // before the timers' lock
    bool over_ TENURE_GUARDED_BY(m_) = true;
    expiry timer_; // armed and removed under the lock
    scheduler* sched_ TENURE_GUARDED_BY(m_) = nullptr;
    base::ref<context_node> node_; // constant while the timer is armed
};

} // namespace detail

/// What the body of a timed scope may take as its first parameter: with_timeout(3s, [](timeout_scope s, …) -> task<> {…}).
/// Copies refer to the same scope. Owner: it owns nothing. Threads: any.
class timeout_scope {
public:
    explicit timeout_scope(base::ref<detail::timeout_state> s) noexcept : state_(std::move(s)) {}
    /// Its time was over before the body ended. Stays true.
    bool expired() const noexcept { return state_->expired(); }
    /// Of this scope itself; an outer one may be earlier (this_task::deadline()).
    base::time_point deadline() const noexcept { return state_->deadline(); }
    /// Moves the deadline, earlier or later, or to `never`; what is cancelled stays cancelled.
    /// Throws: usage_error if it has expired, or the scope was left.
    void move_to(base::time_point at) const { state_->move_to(at); }

private:
    base::ref<detail::timeout_state> state_;
};

/// with_timeout(strict, 3s, f, args...): a value that comes too late is no value.
struct strict_t {
    explicit strict_t() = default;
};
inline constexpr strict_t strict{};

namespace detail {

enum class on_expiry : std::uint8_t { throw_timeout, throw_strictly, give_empty };

template <class F, class... A>
concept takes_timeout_scope = !returns_task<F&, A&...> && returns_task<F&, timeout_scope, A&...>;

template <class F, class... A>
struct timed_body {
    using value = task_value_t<F&, A&...>;
    deadline_timer timer;
    void begin(strand& s, const base::ref<context_node>& node, base::time_point at) {
        timer.at = at;
        timer.target = node;
        if (at != base::never) s.sched->arm(timer);
    }
    /// True: it had expired.
    bool end(strand& s) noexcept {
        const bool early = s.sched->disarm(timer);
        timer.target = nullptr;
        return !early && timer.at != base::never;
    }
    auto call(F& f, A&... a) { return std::invoke(f, a...); }
};
template <class F, class... A>
    requires takes_timeout_scope<F, A...>
struct timed_body<F, A...> {
    using value = task_value_t<F&, timeout_scope, A&...>;
    base::ref<timeout_state> state;
    void begin(strand& s, const base::ref<context_node>& node, base::time_point at) {
        state = base::ref<timeout_state>::adopt(new timeout_state);
        state->begin(s, node, at);
    }
    bool end(strand&) noexcept { return state && state->end(); }
    auto call(F& f, A&... a) { return std::invoke(f, timeout_scope(state), a...); }
};

template <bool Shield, on_expiry Policy, class F, class... A>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] timed_scope final : public link {
public:
    using body_value = typename timed_body<F, A...>::value;
    using value = std::conditional_t<
        Policy != on_expiry::give_empty, body_value,
        std::conditional_t<
            std::is_void_v<body_value>, bool,
            std::optional<std::conditional_t<std::is_void_v<body_value>, base::unit, body_value>>>>;
    using tenure_operation = void;
    static constexpr bool is_checkpoint = !Shield;

    template <class... X>
    timed_scope(base::duration d, base::time_point at, X&&... x)
        : after_(d), at_(at), call_(std::forward<X>(x)...) {}

    bool ready() const noexcept { return false; }
    void start(strand& s, frame& f) {
        caller_ = &f;
        outer_ = s.context;
        s.next = step::resume;
        const base::time_point now = s.sched->now();
        const base::time_point at = at_ == base::never ? base::saturating_add(now, after_) : at_;
        expired_ = false;
        result_ = {};
        if (at <= now) {                             // a deadline already past: the body is never entered
            expired_ = Shield || !s.asked_to_stop(); // if an outer one is past, too, it converts
            if (!expired_) s.next = step::unwind;
            return;
        }
        node_ = base::ref<context_node>::adopt(new context_node(&s));
        node_->link(*outer_, Shield, at);
        s.context = node_.get();
        enter_body(s, *this, result_, [&] {
            body_.begin(s, node_, at);
            return std::apply([this](F& g, A&... a) { return body_.call(g, a...); }, call_);
        });
    }
    bool child_ended(strand& s, ending how) noexcept override {
        const bool late = body_.end(s);
        s.context = outer_;
        const base::ref<context_node> own = std::move(node_);
        own->unlink();
        s.leaf = caller_;
        s.next = step::resume;
        if (how == ending::returned) { // a value or another error wins over an expiry
            if (Policy == on_expiry::throw_strictly && !result_.error) expired_ = late;
            return true;
        }
        if (!Shield && s.cancelled())
            s.next = step::unwind; // cancelled from outside; if both expired, the outermost one converts
        else
            expired_ = true;
        return true;
    }
    value result() {
        if constexpr (Policy != on_expiry::give_empty) {
            if (expired_)
                throw base::timeout_error(Shield ? "the shielded work did not end in time"
                                                 : "the deadline expired");
            return result_.take();
        } else if constexpr (std::is_void_v<body_value>) {
            if (!expired_) result_.take();
            return !expired_;
        } else {
            if (expired_) return std::nullopt;
            return result_.take();
        }
    }

private:
    base::duration after_;
    base::time_point at_; // never: after_ counts from the start
    std::tuple<F, A...> call_;
    frame* caller_ = nullptr;
    context_node* outer_ = nullptr;
    base::ref<context_node> node_;
    timed_body<F, A...> body_;
    bool expired_ = false;
    detail::result<body_value> result_;
};

template <bool Shield, on_expiry Policy, class F, class... A>
auto make_timed_scope(base::duration d, base::time_point at, F&& f, A&&... a) {
    TENURE_CHECK_CLOSURE(F);
    static_assert(returns_task<std::decay_t<F>&, std::decay_t<A>&...> ||
                      takes_timeout_scope<std::decay_t<F>, std::decay_t<A>...>,
                  "a timed scope takes a coroutine function and its arguments: with_timeout(3s, f, args...)");
    return timed_scope<Shield, Policy, std::decay_t<F>, std::decay_t<A>...>(d, at, std::forward<F>(f),
                                                                            std::forward<A>(a)...);
}

} // namespace detail

/// `co_await with_timeout(3s, f, args...)`: runs f(args...); when d is over, cancels it and waits for its cleanup.
/// Owner: the calling task. Arguments are copied; references only by std::ref.
/// f may take a timeout_scope first, which says whether the time is over, and moves the deadline.
/// Cancel: passed to the body. Timeout: d; d <= 0 never enters the body.
/// Throws: timeout_error after the body has ended, for its own expiry only; otherwise what the body throws. A value that
///   the body returns although the time was over is kept; with `strict` as first argument it is timeout_error, too.
template <class Rep, class Period, class F, class... A>
auto with_timeout(std::chrono::duration<Rep, Period> d, F&& f, A&&... a) {
    return detail::make_timed_scope<false, detail::on_expiry::throw_timeout>(
        base::to_duration(d), base::never, std::forward<F>(f), std::forward<A>(a)...);
}
template <class Rep, class Period, class F, class... A>
auto with_timeout(strict_t, std::chrono::duration<Rep, Period> d, F&& f, A&&... a) {
    return detail::make_timed_scope<false, detail::on_expiry::throw_strictly>(
        base::to_duration(d), base::never, std::forward<F>(f), std::forward<A>(a)...);
}
/// The same with a point in time on the runtime's clock.
template <class F, class... A>
auto with_deadline(base::time_point at, F&& f, A&&... a) {
    return detail::make_timed_scope<false, detail::on_expiry::throw_timeout>(
        base::duration::max(), at, std::forward<F>(f), std::forward<A>(a)...);
}
template <class F, class... A>
auto with_deadline(strict_t, base::time_point at, F&& f, A&&... a) {
    return detail::make_timed_scope<false, detail::on_expiry::throw_strictly>(
        base::duration::max(), at, std::forward<F>(f), std::forward<A>(a)...);
}
/// Like with_timeout, but its own expiry gives an empty optional (false for task<void>) instead of an error.
template <class Rep, class Period, class F, class... A>
auto move_on_after(std::chrono::duration<Rep, Period> d, F&& f, A&&... a) {
    return detail::make_timed_scope<false, detail::on_expiry::give_empty>(
        base::to_duration(d), base::never, std::forward<F>(f), std::forward<A>(a)...);
}
/// `co_await shield(2s, f, args...)`: inside, a cancellation from outside is not seen; it shows again afterwards.
/// Runs although the calling task is cancelled already. Bounded: after d the body itself is cancelled.
/// Throws: timeout_error if it did not end in time; what the body throws.
template <class Rep, class Period, class F, class... A>
auto shield(std::chrono::duration<Rep, Period> d, F&& f, A&&... a) {
    return detail::make_timed_scope<true, detail::on_expiry::throw_timeout>(
        base::to_duration(d), base::never, std::forward<F>(f), std::forward<A>(a)...);
}

} // namespace tenure::inline v0::core
