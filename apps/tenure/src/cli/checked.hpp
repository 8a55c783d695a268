#pragma once

#include <string>
#include <utility>
#include <variant>

namespace tenure::inline v0::app {

/// The reason why there is no value: one line, fit for a user.
struct problem {
    std::string text;
};

/// A value, or the one-line reason why there is none. For conditions that a run must live with; nothing
/// throws.
template <class T>
class checked {
public:
    checked(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    checked(problem p) : state_(std::in_place_index<1>, std::move(p)) {}

    explicit operator bool() const noexcept { return state_.index() == 0; }

    T& operator*() & { return std::get<0>(state_); }
    const T& operator*() const& { return std::get<0>(state_); }
    T&& operator*() && { return std::get<0>(std::move(state_)); }
    T* operator->() { return &std::get<0>(state_); }
    const T* operator->() const { return &std::get<0>(state_); }

    /// Only when there is no value.
    const std::string& why() const { return std::get<1>(state_).text; }

private:
    std::variant<T, problem> state_;
};

} // namespace tenure::inline v0::app
