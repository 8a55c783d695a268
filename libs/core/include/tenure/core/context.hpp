// context: the cancellation tree as plain code sees it: who asks, until when, why, and with which values.
//
// Every task runs in a context, and everything below hears of its end. In a coroutine that needs no handle: each await looks.
// A handle is for code that has no co_await: it polls, throws, derives a narrower context, or registers what to call.
#pragma once
#include <tenure/core/callback.hpp>
#include <tenure/core/detail/shared_context.hpp>

#include <chrono>
#include <memory>

namespace tenure::inline v0::core {

class group;
class runtime;

/// Names a value of type T that contexts carry: `inline const context_key<std::string> trace_id{"trace_id"};`
/// Its address is its identity, so that two keys of one name do not meet. Its values stay in this process; those of a
/// runner::travelling_key go along with calls into others.
template <class T>
class context_key {
public:
    explicit constexpr context_key(const char* name) noexcept : name_(name) {}
    context_key(const context_key&) = delete;
    context_key& operator=(const context_key&) = delete;
    const char* name() const noexcept { return name_; }
    /// For the runtime.
    const detail::carrier* carrier() const noexcept { return carrier_; }

protected:
    constexpr context_key(const char* name, const detail::carrier* by) noexcept : name_(name), carrier_(by) {}

private:
    const char* name_;
    const detail::carrier* carrier_ = nullptr;
};

/// A handle on a node of the cancellation tree. Copies are the same context.
/// Owner: the scope below which it was made: a task, a group, a timeout, the runtime. When that ends, its contexts are
///   cancelled and their timers removed; a handle that is kept says so. Dropping handles cancels nothing: children go on
///   hearing the parent's parent. The last handle takes the deadline's timer along.
/// Cancel: irrevocable; the first cause stays; everything below reports it when the cancel() that says true returns.
/// Threads: any; each copy by one thread at a time. No call runs code of tasks or callbacks.
class context {
public:
    /// A new context below the scope that runs here. Throws: usage_error outside a task: there it is runtime::context().
    static context current();

    /// A new context below this one, to be cancelled on its own.
    context with_cancel() const;
    /// The same, cancelled by itself when d is over, with the reason `deadline`. Never later than this one's deadline; a
    /// time that has passed cancels it at once.
    template <class Rep, class Period>
    context with_timeout(std::chrono::duration<Rep, Period> d,
                         std::string why = "the deadline expired") const {
        return after(base::to_duration(d), std::move(why));
    }
    /// The same with a point in time on the runtime's clock.
    context with_deadline(base::time_point at, std::string why = "the deadline expired") const;
    /// This context with one more value; whoever has the old handle does not see it.
    template <class T, class V>
    context with_value(const context_key<T>& key, V&& value) const {
        context c(*this);
        c.values_ = base::ref<detail::binding>::adopt(
            new detail::bound_value<T>(&key, key.carrier(), values_, std::forward<V>(value)));
        return c;
    }
    /// A new context with the values of this one and nothing else of it: cancelled when its new owner is.
    /// Throws: closed_error if the group has ended.
    context without_cancel(const group& owner) const;
    context without_cancel(runtime& owner) const;

    /// Requests cancellation of everything below. True for the first request; the first one fixes the cause.
    bool cancel(std::string why = "context cancelled") const;

    /// Looks at the clock, too.
    bool cancel_requested() const noexcept { return node_->asked_to_stop(); }
    /// For plain functions: throws `cancelled` if it was cancelled.
    void checkpoint() const {
        if (cancel_requested()) throw base::cancelled{};
    }
    /// `none` until it was cancelled.
    base::reason reason() const noexcept {
        const auto c = node_->why();
        return c ? c->kind : base::reason::none;
    }
    /// Null until it was cancelled; then it never changes.
    base::cause_ptr cause() const noexcept { return node_->why(); }
    /// The earliest one of this context and all above; `never` if there is none.
    base::time_point deadline() const noexcept { return node_->deadline(); }
    /// The nearest value bound to the key, null if there is none. Valid while this handle or a context made from it lives.
    template <class T>
    const T* value(const context_key<T>& key) const noexcept {
        return values_ ? static_cast<const T*>(values_->find(&key)) : nullptr;
    }

    /// Calls f() once on a worker when the context has been cancelled; soon, if it has been already.
    /// Owner: the handle; f is gone when it has run, was stopped, or the handle is. The runtime does not close while it runs.
    /// Throws: closed_error once the runtime has closed. What f throws is reported through the runtime's hook.
    template <class F>
    callback_handle after_func(F&& f, base::spawn_site at = base::spawn_site::current()) const {
        static_assert(std::is_invocable_v<std::decay_t<F>&>,
                      "after_func takes a function without parameters");
        using made = detail::callback<listed_in, std::decay_t<F>>;
        auto c = base::ref<detail::callback_state>::adopt(
            new made("after_func", at, listed_in{node_}, std::forward<F>(f)));
        node_->add(*c);
        return callback_handle(std::move(c));
    }
    /// The same, calling f(*owner), or f(): skipped once the owner has died, which it does not keep alive.
    template <class O, class F>
    callback_handle after_func(std::weak_ptr<O> owner, F&& f,
                               base::spawn_site at = base::spawn_site::current()) const {
        return after_func(detail::weakly_bound<O, std::decay_t<F>>{std::move(owner), std::forward<F>(f)}, at);
    }

    /// A token that a worker requests to stop soon after the context was cancelled, so that what is registered with it runs
    /// on no canceller's stack. It says so while a handle of the context lives.
    std::stop_token stop_token() const { return node_->stop_token(); }

    /// For the runtime.
    context(const detail::context_handle& node, base::ref<detail::binding> values) noexcept
        : node_(node), values_(std::move(values)) {}
    context(const context&) = default; // no move: a handle is never empty
    context& operator=(const context&) = default;
    ~context() = default;
    detail::shared_context& node() const noexcept { return *node_; }
    const base::ref<detail::binding>& values() const noexcept { return values_; }

private:
    struct listed_in {
        detail::context_handle context;
        bool unlist(detail::listener& l) const noexcept { return context->unlist(l); }
    };
    context after(base::duration d, std::string why) const;

    detail::context_handle node_;
    base::ref<detail::binding> values_;
};

/// Cancels its context when it is destroyed. Owner: the block that it stands in.
class [[nodiscard("it cancels when it is destroyed: give it a name")]] cancel_guard {
public:
    explicit cancel_guard(const context& c, std::string why = "the guard's block was left")
        : context_(c), why_(std::move(why)) {}
    cancel_guard(const cancel_guard&) = delete;
    cancel_guard& operator=(const cancel_guard&) = delete;
    ~cancel_guard() {
        if (armed_) context_.cancel(std::move(why_));
    }
    /// Cancels nothing any more.
    void release() noexcept { armed_ = false; }

private:
    context context_;
    std::string why_;
    bool armed_ = true;
};

namespace this_task {
/// The nearest value bound to the key for the running task, null if there is none. Valid within the scope that bound it.
template <class T>
const T* value(const context_key<T>& key) noexcept {
    const auto* s = detail::current_strand();
    return s && s->values ? static_cast<const T*>(s->values->find(&key)) : nullptr;
}
} // namespace this_task

} // namespace tenure::inline v0::core
