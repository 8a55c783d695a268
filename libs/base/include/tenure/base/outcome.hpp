// How a task ended: a value, a failure, or cancelled. Cancellation is not a failure.
#pragma once
#include <tenure/base/error.hpp>

#include <exception>
#include <utility>
#include <variant>

namespace tenure::inline v0::base {

/// Stands for the value of an operation that returns nothing.
using unit = std::monostate;

template <class T>
class [[nodiscard]] outcome {
    using stored = std::conditional_t<std::is_void_v<T>, unit, T>;

public:
    static outcome success(stored v = stored())
        requires std::is_void_v<T>
    {
        return outcome(std::in_place_index<0>, v);
    }
    template <class V>
        requires(!std::is_void_v<T>)
    static outcome success(V&& v) {
        return outcome(std::in_place_index<0>, std::forward<V>(v));
    }
    static outcome failure(std::exception_ptr e) { return outcome(std::in_place_index<1>, std::move(e)); }
    static outcome cancelled(cause_ptr c) { return outcome(std::in_place_index<2>, std::move(c)); }

    bool has_value() const noexcept { return state_.index() == 0; }
    bool has_failed() const noexcept { return state_.index() == 1; }
    bool was_cancelled() const noexcept { return state_.index() == 2; }
    explicit operator bool() const noexcept { return has_value(); }

    /// The value; throws the failure, or `task_cancelled`.
    stored& value() & { return check(), std::get<0>(state_); }
    const stored& value() const& { return check(), std::get<0>(state_); }
    stored&& value() && { return check(), std::get<0>(std::move(state_)); }
    /// Null unless it failed.
    std::exception_ptr error() const { return has_failed() ? std::get<1>(state_) : nullptr; }
    /// Null unless it was cancelled.
    cause_ptr why() const { return was_cancelled() ? std::get<2>(state_) : nullptr; }

private:
    template <std::size_t I, class V>
    outcome(std::in_place_index_t<I> i, V&& v) : state_(i, std::forward<V>(v)) {}
    void check() const {
        if (has_failed()) std::rethrow_exception(std::get<1>(state_));
        if (was_cancelled()) {
            const auto& c = std::get<2>(state_);
            throw task_cancelled(c && !c->message.empty() ? "cancelled: " + c->message : "cancelled");
        }
    }
    std::variant<stored, std::exception_ptr, cause_ptr> state_;
};

} // namespace tenure::inline v0::base
