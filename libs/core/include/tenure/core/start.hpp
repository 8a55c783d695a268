// The handshake of group::start(): a child that says when it is ready.
#pragma once
#include <tenure/core/detail/launch_in_group.hpp>

#include <memory>
#include <tuple>

namespace tenure::inline v0::core {

namespace detail {

/// Between start() and its child, which share it.
///
///   waiting --say()-----------> started   the value is handed over; the child is the group's alone
///   waiting --child has ended-> ended     its failure is start()'s, not the group's
///   waiting --give_up()-------> given_up  start() was cancelled; it has the child cancelled, and waits for its end
///
/// INVARIANTS
///  1. The first transition wins, under m_; there is no second one.
///  2. The starter is completed exactly once: by say(), or, if that did not win, when the child has ended.
class handshake_base : public end_observer {
public:
    enum class state : std::uint8_t { waiting, started, ended, given_up };

    /// Before the child is launched.
    void begin(strand& starter) noexcept { starter_ = &starter; }
    /// The starter's. True: nobody will be handed over any more, and the child's end completes the starter.
    bool give_up() noexcept;
    /// For the starter, after its completion.
    state how() noexcept;
    task_status end_of_child() noexcept;
    std::exception_ptr failure() noexcept;

    bool ending(task_object& t, task_status how) noexcept final;
    void ended(task_object& t) noexcept final;

protected:
    /// True: say() has won: the value is to be put down before the lock is let go.
    bool win() TENURE_REQUIRES(m_);

    base::mutex m_;
    strand* starter_ = nullptr; // constant after begin()

private:
    state state_ TENURE_GUARDED_BY(m_) = state::waiting;
    task_status end_ TENURE_GUARDED_BY(m_) = task_status::pending;
    std::exception_ptr failure_ TENURE_GUARDED_BY(m_);
};

template <class T>
class handshake final : public handshake_base {
public:
    bool say(std::unique_ptr<T> v) {
        {
            base::mutex_lock l(m_);
            if (!win()) return false;
            value_ = std::move(v);
        }
        starter_->complete();
        return true;
    }
    T take() { return std::move(*value_); }

private:
    std::unique_ptr<T>
        value_; // written by say(), under the lock, then the starter's; a pointer: no user code under a lock
};
template <>
class handshake<void> final : public handshake_base {
public:
    bool say() {
        {
            base::mutex_lock l(m_);
            if (!win()) return false;
        }
        starter_->complete();
        return true;
    }
    void take() const noexcept {}
};

[[noreturn]] void throw_not_started(handshake_base& h, const task_object& child);

} // namespace detail

/// What the function that group::start() runs takes as its first parameter: `task<> serve(started<int> ready, …)`.
/// Owner: it owns nothing; copies are the same handshake. Threads: any.
template <class T = void>
class started {
public:
    using value_type = T;
    explicit started(base::ref<detail::handshake<T>> h) noexcept : handshake_(std::move(h)) {}
    /// `ready(v)`: start() returns v, and the caller goes on in the group.
    /// False: start() was cancelled, or the child has ended; nobody gets v.
    /// Throws: usage_error when it was said before.
    bool operator()(T v) const { return handshake_->say(std::make_unique<T>(std::move(v))); }

private:
    base::ref<detail::handshake<T>> handshake_;
};
template <>
class started<void> {
public:
    using value_type = void;
    explicit started(base::ref<detail::handshake<void>> h) noexcept : handshake_(std::move(h)) {}
    bool operator()() const { return handshake_->say(); }

private:
    base::ref<detail::handshake<void>> handshake_;
};

namespace detail {

template <class T>
struct started_value {
    static constexpr bool is_started = false;
};
template <class T>
struct started_value<started<T>> : std::type_identity<T> {
    static constexpr bool is_started = true;
};
template <class T>
struct first_parameter : std::type_identity<void> {};
template <class R, class A, class... B>
struct first_parameter<R (*)(A, B...)> : std::type_identity<std::decay_t<A>> {};
template <class R, class A, class... B>
struct first_parameter<R (*)(A, B...) noexcept> : std::type_identity<std::decay_t<A>> {};
template <class R, class C, class A, class... B>
struct first_parameter<R (C::*)(A, B...)> : std::type_identity<std::decay_t<A>> {};
template <class R, class C, class A, class... B>
struct first_parameter<R (C::*)(A, B...) const> : std::type_identity<std::decay_t<A>> {};
template <class R, class C, class A, class... B>
struct first_parameter<R (C::*)(A, B...) noexcept> : std::type_identity<std::decay_t<A>> {};
template <class R, class C, class A, class... B>
struct first_parameter<R (C::*)(A, B...) const noexcept> : std::type_identity<std::decay_t<A>> {};
template <class F>
    requires requires { &F::operator(); }
struct first_parameter<F> : first_parameter<decltype(&F::operator())> {};

template <class T, class F, class... A>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] start_operation final
    : public operation,
      public link {
    using child = spawned_value_t<F, started<T>, A...>;

public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    template <class G, class... X>
    start_operation(base::ref<group_state> in, spawn_options&& o, G&& f, X&&... a)
        : in_(std::move(in)), options_(std::move(o)), call_(std::forward<G>(f), std::forward<X>(a)...) {}

    bool ready() const noexcept { return false; }
    void start(strand& s, frame&) {
        handshake_ = base::ref<handshake<T>>::adopt(new handshake<T>);
        handshake_->begin(s);
        starter_ = &s;
        auto extras = std::make_unique<task_extras>();
        extras->observer = handshake_;
        std::apply(
            [&](F& f, A&... a) {
                child_ = launch_in_group(*in_, std::move(extras), std::move(options_), std::move(f),
                                         started<T>(handshake_), std::move(a)...);
            },
            call_);
        s.wait(this, this);
    }
    bool try_cancel() noexcept override {
        if (handshake_->give_up()) child_->own_context().cancel(starter_->context->why());
        return false; // the completion comes in any case: with the value, or with the child's end
    }
    void woken(strand& s) noexcept override {
        using state = handshake_base::state;
        const state how = handshake_->how();
        const bool both = how == state::ended && s.cancelled() &&
                          handshake_->end_of_child() == task_status::cancelled; // by one request
        s.next = how == state::given_up || both ? step::unwind : step::resume;
    }
    bool child_ended(strand&, ending) noexcept override { return true; } // it enters no frame

    T result() {
        if (handshake_->how() != handshake_base::state::started) throw_not_started(*handshake_, *child_);
        return handshake_->take();
    }

private:
    base::ref<group_state> in_;
    spawn_options options_;
    std::tuple<F, A...> call_;
    strand* starter_ = nullptr;
    base::ref<handshake<T>> handshake_;
    base::ref<task_result<child>> child_;
};

template <class F, class... A>
auto make_start(base::ref<group_state> in, spawn_options&& o, F&& f, A&&... a) {
    TENURE_CHECK_CLOSURE(F);
    using first = started_value<typename first_parameter<std::decay_t<F>>::type>;
    static_assert(first::is_started,
                  "start(f, args...): the first parameter of f says what the task is ready with: "
                  "task<> f(started<int> ready, ...); spell its type out, not auto");
    if constexpr (first::is_started)
        return start_operation<typename first::type, std::decay_t<F>, std::decay_t<A>...>(
            std::move(in), std::move(o), std::forward<F>(f), std::forward<A>(a)...);
}

} // namespace detail
} // namespace tenure::inline v0::core
