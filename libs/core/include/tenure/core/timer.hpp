// call_later and every: callbacks that are called later, and never after their owner has ended.
#pragma once
#include <tenure/core/detail/owned_timers.hpp>

namespace tenure::inline v0::core {

/// call_later(1s, f, {.name = "retry", .when_owner_ends = at_end::run})
struct timer_options {
    std::string name{};
    at_end when_owner_ends = at_end::report;
    /// How long a call at_end::run may take.
    base::duration grace = std::chrono::seconds(5);
    base::spawn_site site = base::spawn_site::current();
};

/// A handle on a timer. Copies refer to the same one; dropping it changes nothing.
/// Owner: it owns nothing; the task or group that armed the timer does. Threads: any.
class timer {
public:
    explicit timer(base::ref<detail::owned_timer> t) noexcept : timer_(std::move(t)) {}
    /// Ends the timer without waiting: no call begins any more.
    /// True: it prevented a call. False: one is under way, or the timer had ended.
    bool cancel() const noexcept { return timer_->cancel(); }

private:
    base::ref<detail::owned_timer> timer_;
};

namespace detail {

template <class F>
core::timer call_later_in(owned_timers& list, base::duration d, F&& f, timer_options o) {
    return core::timer(start_timer(list, d, base::duration::zero(), o.when_owner_ends, o.grace,
                                   {list.sched.next_id(), std::move(o.name), o.site}, std::forward<F>(f)));
}
template <class F>
core::timer every_in(owned_timers& list, base::duration d, F&& f, base::spawn_site site) {
    checked_interval(d);
    return core::timer(start_timer(list, d, d, at_end::drop, base::duration::zero(),
                                   {list.sched.next_id(), {}, site}, std::forward<F>(f)));
}
template <class T, class F>
auto bind_to(std::weak_ptr<T> owner, F&& f) {
    static_assert(std::is_invocable_v<std::decay_t<F>&, T&>,
                  "a callback that is bound to an object is called with it: [](T& object) { … }");
    return bound_callback<T, std::decay_t<F>>(std::move(owner), std::forward<F>(f));
}

} // namespace detail

// Defines call_later and every on the list that LIST(verb, site) gives. The site is where they are called.
// NOLINTBEGIN(bugprone-macro-parentheses): CONST is a qualifier
#define TENURE_TIMER_OVERLOADS(CONST, LIST)                                                                  \
    template <class Rep, class Period, class F>                                                              \
    ::tenure::core::timer call_later(::std::chrono::duration<Rep, Period> d, F&& f,                          \
                                     ::tenure::core::timer_options o) CONST {                                \
        const ::tenure::base::spawn_site site = o.site;                                                      \
        return ::tenure::core::detail::call_later_in(                                                        \
            LIST("call_later", site), ::tenure::base::to_duration(d), std::forward<F>(f), std::move(o));     \
    }                                                                                                        \
    template <class Rep, class Period, class F>                                                              \
    ::tenure::core::timer call_later(::std::chrono::duration<Rep, Period> d, F&& f,                          \
                                     ::tenure::base::spawn_site site =                                       \
                                         ::tenure::base::spawn_site::current()) CONST {                      \
        return ::tenure::core::detail::call_later_in(                                                        \
            LIST("call_later", site), ::tenure::base::to_duration(d), std::forward<F>(f), {.site = site});   \
    }                                                                                                        \
    template <class Rep, class Period, class T, class F>                                                     \
        requires(                                                                                            \
            !std::is_same_v<std::remove_cvref_t<F>, ::tenure::core::timer_options>)::tenure::core::timer     \
    call_later(::std::chrono::duration<Rep, Period> d, std::weak_ptr<T> owner, F&& f,                        \
               ::tenure::base::spawn_site site = ::tenure::base::spawn_site::current()) CONST {              \
        return ::tenure::core::detail::call_later_in(                                                        \
            LIST("call_later", site), ::tenure::base::to_duration(d),                                        \
            ::tenure::core::detail::bind_to(std::move(owner), std::forward<F>(f)), {.site = site});          \
    }                                                                                                        \
    template <class Rep, class Period, class F>                                                              \
    ::tenure::core::timer every(::std::chrono::duration<Rep, Period> d, F&& f,                               \
                                ::tenure::base::spawn_site site = ::tenure::base::spawn_site::current())     \
        CONST {                                                                                              \
        return ::tenure::core::detail::every_in(LIST("every", site), ::tenure::base::to_duration(d),         \
                                                std::forward<F>(f), site);                                   \
    }                                                                                                        \
    template <class Rep, class Period, class T, class F>                                                     \
    ::tenure::core::timer every(::std::chrono::duration<Rep, Period> d, std::weak_ptr<T> owner, F&& f,       \
                                ::tenure::base::spawn_site site = ::tenure::base::spawn_site::current())     \
        CONST {                                                                                              \
        return ::tenure::core::detail::every_in(                                                             \
            LIST("every", site), ::tenure::base::to_duration(d),                                             \
            ::tenure::core::detail::bind_to(std::move(owner), std::forward<F>(f)), site);                    \
    }
// NOLINTEND(bugprone-macro-parentheses)

/// `call_later(1s, f)`: calls f, a plain function or a coroutine function without arguments, when d is over, as a strand of
///   its own: never on the stack of whoever arms or cancels. With `call_later(1s, weak, f)` f gets the object that `weak`
///   refers to, and is skipped and forgotten once that is gone.
/// Owner: the calling task; a callback's own timers are its owner's. `g.call_later(1s, f)`: the group. The owner does not
///   end before a call that is under way; one that has not begun then is reported, or as `when_owner_ends` says.
/// f may use the owner's arguments, but not its locals: those may be gone a moment earlier.
/// Cancel: the owner's cancellation does not reach the callback; its end does.
/// Threads: f runs on any worker. A failure of f goes to the runtime's hook for unread failures.
/// Throws: usage_error outside a task; closed_error if the owner has ended.
///
/// `every(1s, f)`: the same, again and again, on a fixed beat: the next call is due d after the last one was. It never
///   overlaps itself; calls that a long one left no room for are left out. A failing call is reported and the beat goes on.
/// Throws: usage_error unless d > 0.
TENURE_TIMER_OVERLOADS(, detail::timers_of_this_task)

} // namespace tenure::inline v0::core
