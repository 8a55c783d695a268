// What an aggregate consists of, found without help of its author.
#pragma once
#include <tenure/wire/detail/field_table.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace tenure::inline v0::wire::detail {

/// Stands for an initializer of any type, in unevaluated expressions only. Defined for types of an unnamed namespace, of
/// which compilers want to see a definition.
struct any_field {
    template <class Field>
    operator Field() const noexcept {
        __builtin_unreachable();
    }
};

/// Initializes a base class of T and nothing else.
template <class T>
struct only_base_of {
    template <class Base>
        requires(std::is_base_of_v<Base, T> && !std::same_as<Base, T>)
    operator Base() const noexcept {
        __builtin_unreachable();
    }
};

template <std::size_t>
using any_field_at = any_field;

template <class T, std::size_t... I>
consteval bool takes_in_braces(std::index_sequence<I...>) {
    return requires { T{any_field_at<I>{}...}; };
}
template <class T, std::size_t... I>
consteval bool takes_in_parentheses(std::index_sequence<I...>) {
    return requires { T(any_field_at<I>{}...); };
}

/// How many initializers T takes. More than max_fields if it takes more. Zero if it is empty, or cannot be made this way.
template <class T, std::size_t N = max_fields + 1>
consteval std::size_t count_fields() {
    // Downwards: with fewer initializers than members, a member that must have one fails.
    if constexpr (N == 0)
        return 0;
    else if constexpr (takes_in_braces<T>(std::make_index_sequence<N>()))
        return N;
    else
        return count_fields<T, N - 1>();
}
template <class T>
inline constexpr std::size_t field_count = count_fields<T>();

template <class T>
concept has_base_class = requires { T{only_base_of<T>{}}; };

/// Braces may be left out around the elements of a C array, but no array can be initialized in parentheses.
template <class T>
concept has_array_member = !takes_in_parentheses<T>(std::make_index_sequence<field_count<T>>());

/// A class whose members can be found.
template <class T>
concept decomposable =
    std::is_aggregate_v<T> && !std::is_union_v<T> && !std::is_empty_v<T> && !has_base_class<T> &&
    field_count<T> >= 1 && field_count<T> <= max_fields && !has_array_member<T>;

template <class T>
constexpr auto fields_of(T& v) noexcept {
    return bind_fields<field_count<std::remove_const_t<T>>>(v);
}
/// std::tuple of the members' types as they were declared.
template <class T>
using field_types = typename decltype(fields_of(std::declval<T&>()))::declared;

} // namespace tenure::inline v0::wire::detail
