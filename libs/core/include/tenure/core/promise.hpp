// promise: a result that is given by hand, once, from anywhere: what a callback of somebody else's code turns into an await.
#pragma once
#include <tenure/base/outcome.hpp>
#include <tenure/core/event.hpp>

#include <optional>

namespace tenure::inline v0::core {
namespace detail {

/// What a promise shares with those that wait for its result.
///   open -claim()-> being written -given.set()-> resolved      The claim is won once; only its winner writes the outcome.
template <class T>
class promise_state final : public base::ref_counted {
public:
    bool resolve(base::outcome<T> o) noexcept {
        if (!claim()) return false;
        try {
            outcome_.emplace(std::move(o));
        } catch (...) { // of moving the value
            outcome_.emplace(base::outcome<T>::failure(std::current_exception()));
        }
        given.set(); // its lock publishes the outcome
        return true;
    }
    /// After given is set.
    const base::outcome<T>& outcome() const noexcept { return *outcome_; }

    event given;

private:
    bool claim() noexcept {
        base::mutex_lock l(m_);
        return !std::exchange(claimed_, true);
    }
    base::mutex m_;
    bool claimed_ TENURE_GUARDED_BY(m_) = false;
    std::optional<base::outcome<T>> outcome_;
};

template <class T, bool Lend>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] await_promise {
    using wait_operation = decltype(std::declval<event&>().wait());

public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    explicit await_promise(base::ref<promise_state<T>> s) noexcept
        : state_(std::move(s)), wait_(state_->given.wait()) {}
    bool ready() { return wait_.ready(); }
    void start(strand& s, frame& f) { wait_.start(s, f); }
    std::conditional_t<Lend, std::add_lvalue_reference_t<const T>, T> result() const {
        if constexpr (std::is_void_v<T>)
            state_->outcome().value();
        else
            return state_->outcome().value();
    }

private:
    base::ref<promise_state<T>> state_; // first: the operation refers to it
    wait_operation wait_;
};

} // namespace detail

/// A handle on the result of a promise. Copies refer to the same one.
/// Threads: any; each copy is used by one thread at a time.
template <class T>
class [[nodiscard]] promised {
public:
    using value_type = T;
    explicit promised(base::ref<detail::promise_state<T>> s) noexcept : state_(std::move(s)) {}

    /// `co_await r` lends the value (const T&), which stays valid while a copy of the handle lives; a temporary handle gives
    /// a copy of it. Cancel: only the wait ends. Throws: the failure; abandoned; task_cancelled.
    auto await_operation() const& { return detail::await_promise<T, true>(state_); }
    auto await_operation() && { return detail::await_promise<T, false>(std::move(state_)); }

    bool resolved() const noexcept { return state_->given.is_set(); }
    /// Empty while there is none. Does not block.
    std::optional<base::outcome<T>> try_outcome() const {
        if (!resolved()) return std::nullopt;
        return state_->outcome();
    }

private:
    base::ref<detail::promise_state<T>> state_;
};

/// The side that gives the result: the first call counts and says true; later ones say false and change nothing.
/// Owner: whoever is to give the result. Destroyed without one it resolves as `abandoned`, so nobody waits for ever.
/// Threads: any, also foreign ones; several may race to be the first.
/// Throws: usage_error after it was moved from.
template <class T>
class promise {
public:
    explicit promise(base::spawn_site at = base::spawn_site::current())
        : state_(base::ref<detail::promise_state<T>>::adopt(new detail::promise_state<T>)), made_at_(at) {}
    promise(promise&&) noexcept = default;
    promise& operator=(promise&& o) noexcept {
        promise old(std::move(o));
        std::swap(state_, old.state_);
        std::swap(made_at_, old.made_at_);
        return *this;
    }
    ~promise() {
        if (!state_ || state_->given.is_set()) return;
        try {
            set_failure(std::make_exception_ptr(base::abandoned(
                "the promise made at " + base::to_string(made_at_) + " was destroyed without a result")));
        } catch (...) {
            (void)state_->resolve(base::outcome<T>::failure(std::current_exception()));
        }
    }

    promised<T> result() const { return promised<T>((check(), state_)); }

    template <class V = T>
        requires(!std::is_void_v<T>)
    bool set_value(V&& v) {
        return set_outcome(base::outcome<T>::success(T(std::forward<V>(v))));
    }
    bool set_value()
        requires std::is_void_v<T>
    {
        return set_outcome(base::outcome<T>::success());
    }
    bool set_failure(std::exception_ptr e) { return set_outcome(base::outcome<T>::failure(std::move(e))); }
    bool set_outcome(base::outcome<T> o) {
        check();
        return state_->resolve(std::move(o));
    }

private:
    void check() const {
        if (!state_) throw base::usage_error("the promise was moved from: use the one it was moved to");
    }
    base::ref<detail::promise_state<T>> state_; // null: moved from
    base::spawn_site made_at_;
};

} // namespace tenure::inline v0::core
