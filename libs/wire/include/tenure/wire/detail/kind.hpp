// Which rule of the format a type falls under. Containers are known by their interface, not by their name.
#pragma once
#include <tenure/wire/detail/fields.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace tenure::inline v0::wire {

/// Specialise it for an enum to have what is read compared with its first and last value:
///   template <> inline constexpr auto tenure::wire::enum_range<color> = std::pair(color::red, color::blue);
template <class Enum>
inline constexpr auto enum_range = nullptr;

namespace detail {

template <class T, template <class...> class Template>
inline constexpr bool is_a = false;
template <class... A, template <class...> class Template>
inline constexpr bool is_a<Template<A...>, Template> = true;

template <class T>
inline constexpr bool is_std_array = false;
template <class T, std::size_t N>
inline constexpr bool is_std_array<std::array<T, N>> = true;

template <class T>
inline constexpr bool is_view = is_a<T, std::basic_string_view>;
template <class T, std::size_t N>
inline constexpr bool is_view<std::span<T, N>> = true;

/// A unique_ptr that a reader can make: of a single object, with the usual deleter, and of no base class.
template <class T>
inline constexpr bool is_owner = false;
template <class T>
inline constexpr bool is_owner<std::unique_ptr<T>> = !std::is_array_v<T> && !std::is_polymorphic_v<T>;

template <class T>
concept sized_range = std::is_default_constructible_v<T> && requires(const T& c) {
    typename T::value_type;
    { c.size() } -> std::convertible_to<std::size_t>;
    c.begin();
    c.end();
};
template <class T>
concept contiguous_container = sized_range<T> && requires(T& c) {
    { c.data() } -> std::same_as<typename T::value_type*>;
    c.resize(std::size_t{});
};
template <class T>
concept associative_container = sized_range<T> && requires(T& c, typename T::key_type key) {
    { c.emplace_hint(c.end(), *c.begin()) } -> std::same_as<typename T::iterator>;
};
template <class T>
concept sequence_container =
    sized_range<T> && requires(T& c, typename T::value_type v) { c.push_back(std::move(v)); };
template <class T>
concept path_like = std::constructible_from<T, typename T::string_type> && requires(const T& p) {
    { p.native() } -> std::same_as<const typename T::string_type&>;
    p.lexically_normal();
};
/// Its values all have a meaning: no integer becomes an enum value that the language does not know.
template <class T>
concept fixed_enum = std::is_enum_v<T> && requires { T{std::underlying_type_t<T>{}}; };

enum class kind : unsigned char {
    unsupported,
    boolean,
    arithmetic,
    enumeration,
    view,
    elements, // contiguous; those without anything to check are copied at once
    sequence,
    set,
    map,
    path,
    array,
    product,
    optional,
    owner,
    variant,
    duration,
    instant,
    empty,
    aggregate,
};

template <class T>
consteval kind kind_of() {
    if constexpr (!std::is_object_v<T> || std::is_array_v<T> || std::is_const_v<T> || std::is_volatile_v<T>)
        return kind::unsupported;
    else if constexpr (std::is_same_v<T, bool>)
        return kind::boolean;
    else if constexpr (std::is_arithmetic_v<T>)
        return std::is_same_v<T, long double> ? kind::unsupported : kind::arithmetic;
    else if constexpr (std::is_enum_v<T>)
        return kind::enumeration;
    else if constexpr (is_view<T>)
        return kind::view;
    else if constexpr (path_like<T>)
        return kind::path;
    else if constexpr (contiguous_container<T>)
        return kind::elements;
    else if constexpr (associative_container<T>)
        return requires { typename T::mapped_type; } ? kind::map : kind::set;
    else if constexpr (sequence_container<T>)
        return kind::sequence;
    else if constexpr (is_std_array<T>)
        return std::tuple_size_v<T> == 0 ? kind::empty : kind::array;
    else if constexpr (is_a<T, std::tuple> || is_a<T, std::pair>)
        return std::tuple_size_v<T> == 0 ? kind::empty : kind::product;
    else if constexpr (is_a<T, std::optional>)
        return kind::optional;
    else if constexpr (is_owner<T>)
        return kind::owner;
    else if constexpr (is_a<T, std::variant>)
        return std::variant_size_v<T> <= 255 ? kind::variant : kind::unsupported;
    else if constexpr (is_a<T, std::chrono::duration>)
        return kind::duration;
    else if constexpr (is_a<T, std::chrono::time_point>)
        return kind::instant;
    else if constexpr (std::is_aggregate_v<T> && std::is_empty_v<T> && !std::is_union_v<T> &&
                       !has_base_class<T>)
        return kind::empty;
    else
        return decomposable<T> ? kind::aggregate : kind::unsupported;
}

/// Compiles if T can be written; otherwise the compiler says what to do instead.
template <class T>
consteval bool can_be_written() {
    static_assert(!std::is_reference_v<T>, "a reference means nothing in another process: send the value");
    static_assert(
        !std::is_pointer_v<T> && !std::is_member_pointer_v<T> && !std::is_null_pointer_v<T>,
        "a pointer means nothing in another process: send the value, or a std::unique_ptr that owns it");
    static_assert(!std::is_array_v<T>,
                  "a C array has no value semantics: use std::array, std::vector, or std::string for text");
    static_assert(!std::is_const_v<T> && !std::is_volatile_v<T>, "name the type without const and volatile");
    static_assert(!std::is_same_v<T, long double>, "long double differs between machines: send a double");
    static_assert(!is_a<T, std::shared_ptr> && !is_a<T, std::weak_ptr>,
                  "what is shared would silently become copies: send the value, or a std::unique_ptr");
    static_assert(!is_a<T, std::unique_ptr> || is_owner<T>,
                  "a std::unique_ptr to an array, to a polymorphic class or with a deleter of its own cannot "
                  "be made by "
                  "the receiver: use a container or a std::variant");
    static_assert(!std::is_union_v<T>, "nothing says which member of a union is alive: use std::variant");
    static_assert(
        !std::is_enum_v<T> || fixed_enum<T> || !std::is_null_pointer_v<decltype(enum_range<T>)>,
        "not every number is a value of this enum: give it an underlying type (enum e : int), or specialise "
        "tenure::wire::enum_range");
    if constexpr (std::is_aggregate_v<T> && !std::is_union_v<T> && !std::is_array_v<T>) {
        static_assert(!has_base_class<T>,
                      "an aggregate with a base class: make the base a member, or specialise "
                      "tenure::wire::codec");
        static_assert(field_count<T> <= max_fields || !has_array_member<T>,
                      "an aggregate with more than 32 members: group some of them in a struct, or specialise "
                      "tenure::wire::codec");
        static_assert(std::is_empty_v<T> || !has_array_member<T>,
                      "a member is a C array or a reference: use std::array, or the value");
    }
    static_assert(
        kind_of<T>() != kind::unsupported,
        "this type cannot be sent: make it an aggregate (public members, no constructor, no base class), or "
        "specialise tenure::wire::codec. A lambda's captures are invisible: use an aggregate function "
        "object");
    return true;
}
template <class T>
consteval bool can_be_read() {
    static_assert(!is_view<T>, "a view would point into the message: read a std::string or std::vector, or a "
                               "tenure::wire::view where the message outlives it");
    return can_be_written<T>();
}

} // namespace detail
} // namespace tenure::inline v0::wire
