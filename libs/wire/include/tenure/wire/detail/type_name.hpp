// How errors name a type.
#pragma once
#include <string_view>

namespace tenure::inline v0::wire::detail {

// No alias in the result type: GCC would append what it stands for.
template <class T>
constexpr auto raw_type_name() noexcept -> const char* {
    return __PRETTY_FUNCTION__; // "... [T = int]" or "... [with T = int]"
}

/// The compiler's name of T: static text, the same in every run of one build.
template <class T>
constexpr std::string_view type_name() noexcept {
    const std::string_view text = raw_type_name<T>();
    const auto from = text.find("T = ") + 4;
    return text.substr(from, text.size() - 1 - from);
}

} // namespace tenure::inline v0::wire::detail
