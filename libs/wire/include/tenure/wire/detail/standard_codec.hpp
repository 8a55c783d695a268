// How each kind of type is written and read. docs/reference/wire_format.md has the bytes.
#pragma once
#include <tenure/wire/detail/kind.hpp>
#include <tenure/wire/detail/type_name.hpp>
#include <tenure/wire/reader.hpp>
#include <tenure/wire/writer.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>

namespace tenure::inline v0::wire {

template <class T>
struct codec;
template <class T>
void write(writer& w, const T& v);
template <class T>
T read(reader& r);

namespace detail {

template <class T>
inline constexpr std::string_view name_of = type_name<T>();

/// Not the library's own codec.
template <class T>
concept custom = !requires { typename codec<T>::is_standard; };

/// The fewest bytes that a value takes in a message: never 0, so that a count cannot name more than is there.
template <class T>
consteval std::size_t least_bytes() {
    if constexpr (requires { codec<T>::min_size; }) {
        static_assert(codec<T>::min_size >= 1, "every value takes at least one byte in a message");
        return codec<T>::min_size;
    } else {
        return 1;
    }
}
template <class... T>
consteval std::size_t least_bytes_of(std::type_identity<std::tuple<T...>>) {
    return (least_bytes<T>() + ... + 0);
}

/// Lies in memory as it does in a message, and every pattern of bits is a value.
template <class T>
consteval bool is_bulk();
template <class... T>
consteval bool are_bulk(std::type_identity<std::tuple<T...>>) {
    return (is_bulk<T>() && ...);
}
template <class... T>
consteval std::size_t bytes_of(std::type_identity<std::tuple<T...>>) {
    return (sizeof(T) + ... + 0);
}
template <class T>
consteval bool is_bulk() {
    if constexpr (!std::is_trivially_copyable_v<T> || !std::is_default_constructible_v<T> || custom<T>)
        return false;
    else if constexpr (kind_of<T>() == kind::enumeration)
        return fixed_enum<T> && std::is_null_pointer_v<decltype(enum_range<T>)> &&
               !std::is_same_v<std::underlying_type_t<T>, bool>;
    else if constexpr (kind_of<T>() == kind::array)
        return is_bulk<typename T::value_type>();
    else if constexpr (kind_of<T>() == kind::aggregate)
        return bytes_of(std::type_identity<field_types<T>>()) == sizeof(T) && // no padding
               are_bulk(std::type_identity<field_types<T>>());
    else
        return kind_of<T>() == kind::arithmetic;
}
template <class T>
concept bulk = is_bulk<T>();

/// Larger containers grow as their elements arrive.
inline constexpr std::size_t reserved_at_once = 1 << 20; // bytes

template <class C>
void reserve(C& c, std::size_t n) {
    if constexpr (requires { c.reserve(n); })
        c.reserve(std::min(n, reserved_at_once / sizeof(typename C::value_type) + 1));
}

template <class T, kind = kind_of<T>()>
struct standard_codec {
    using is_standard = void;
    static void write(writer&, const T&) { static_assert(can_be_written<T>()); }
    static auto read(reader&) { static_assert(can_be_read<T>()); }
};

template <class T>
struct standard_codec<T, kind::boolean> {
    using is_standard = void;
    static constexpr std::size_t min_size = 1;
    static void write(writer& w, bool v) { w.fixed(static_cast<std::uint8_t>(v)); }
    static bool read(reader& r) { return read_flag(r, name_of<bool>); }
    /// 0 or 1.
    static bool read_flag(reader& r, std::string_view type) {
        const auto v = r.fixed<std::uint8_t>(type);
        if (v > 1) [[unlikely]]
            r.fail(type, "the byte before is neither 0 nor 1");
        return v != 0;
    }
};

template <class T>
struct standard_codec<T, kind::arithmetic> {
    using is_standard = void;
    static constexpr std::size_t min_size = sizeof(T);
    static void write(writer& w, T v) { w.fixed(v); }
    static T read(reader& r) { return r.fixed<T>(name_of<T>); }
};

template <class T>
struct standard_codec<T, kind::enumeration> {
    using is_standard = void;
    using number = std::underlying_type_t<T>;
    static constexpr std::size_t min_size = sizeof(T);
    static void write(writer& w, T v) {
        static_assert(can_be_written<T>());
        w.fixed(v);
    }
    static T read(reader& r) {
        static_assert(can_be_read<T>());
        const auto v = wire::read<number>(r);
        if constexpr (!std::is_null_pointer_v<decltype(enum_range<T>)>) {
            constexpr auto range = enum_range<T>;
            if (v < static_cast<number>(range.first) || v > static_cast<number>(range.second)) [[unlikely]]
                r.fail(name_of<T>, "the number before is outside of its range");
        }
        return static_cast<T>(v);
    }
};

/// While a container is written whose iterators make their elements, or nothing: those die before the message is sent.
struct no_guard {
    explicit no_guard(writer&) noexcept {}
};
template <class C>
using element_guard =
    std::conditional_t<std::is_lvalue_reference_v<decltype(*std::declval<const C&>().begin())>, no_guard,
                       writer::in_band>;

template <class C>
void write_elements(writer& w, const C& c) {
    using element = std::remove_cv_t<typename C::value_type>;
    if constexpr (bulk<element>) {
        w.block(c.size(), c.data(), c.size() * sizeof(element));
    } else {
        const writer::level nested(w, name_of<C>);
        [[maybe_unused]] const element_guard<C> copied(w);
        w.fixed(static_cast<std::uint64_t>(c.size()));
        for (const element& e : c)
            wire::write(w, e);
    }
}

template <class T>
struct standard_codec<T, kind::view> {
    using is_standard = void;
    static constexpr std::size_t min_size = 8;
    static void write(writer& w, const T& v) { write_elements(w, v); }
    static T read(reader&) { static_assert(can_be_read<T>()); }
};

template <class C>
struct standard_codec<C, kind::sequence> {
    using is_standard = void;
    using element = typename C::value_type;
    static constexpr std::size_t min_size = 8;
    static void write(writer& w, const C& c) {
        const writer::level nested(w, name_of<C>);
        [[maybe_unused]] const element_guard<C> copied(w);
        w.fixed(static_cast<std::uint64_t>(c.size()));
        for (const element& e : c)
            wire::write(w, e);
    }
    static C read(reader& r) {
        const reader::level nested(r, name_of<C>);
        const std::size_t n = r.count(least_bytes<element>(), sizeof(element), name_of<C>);
        C c;
        reserve(c, n);
        for (std::size_t i = 0; i < n; ++i)
            c.push_back(wire::read<element>(r));
        return c;
    }
};

template <class C>
struct standard_codec<C, kind::elements> : standard_codec<C, kind::sequence> {
    using element = typename C::value_type;
    static void write(writer& w, const C& c) { write_elements(w, c); }
    static C read(reader& r) {
        if constexpr (bulk<element>) {
            const auto found = r.block(sizeof(element), true, name_of<C>);
            const auto n = static_cast<std::size_t>(found.count);
            const auto* first = reinterpret_cast<const element*>(found.from);
            if (reinterpret_cast<std::uintptr_t>(first) % alignof(element) == 0) return C(first, first + n);
            C c;
            c.resize(n);
            if (n != 0) std::memcpy(static_cast<void*>(c.data()), found.from, n * sizeof(element));
            return c;
        } else {
            return standard_codec<C, kind::sequence>::read(r);
        }
    }
};

template <class C>
struct standard_codec<C, kind::set> {
    using is_standard = void;
    using key = typename C::key_type;
    static constexpr std::size_t min_size = 8;
    static void write(writer& w, const C& c) { standard_codec<C, kind::sequence>::write(w, c); }
    static C read(reader& r) {
        const reader::level nested(r, name_of<C>);
        const std::size_t n = r.count(least_bytes<key>(), sizeof(key), name_of<C>);
        C c;
        reserve(c, n);
        for (std::size_t i = 1; i <= n; ++i) {
            c.emplace_hint(c.end(), wire::read<key>(r));
            if (c.size() != i) [[unlikely]]
                r.fail(name_of<C>, "the key before occurs twice");
        }
        return c;
    }
};

template <class C>
struct standard_codec<C, kind::map> {
    using is_standard = void;
    using key = typename C::key_type;
    using mapped = typename C::mapped_type;
    static constexpr std::size_t min_size = 8;
    static void write(writer& w, const C& c) {
        const writer::level nested(w, name_of<C>);
        [[maybe_unused]] const element_guard<C> copied(w);
        w.fixed(static_cast<std::uint64_t>(c.size()));
        for (const auto& [k, v] : c) {
            wire::write<key>(w, k);
            wire::write<mapped>(w, v);
        }
    }
    static C read(reader& r) {
        const reader::level nested(r, name_of<C>);
        constexpr std::size_t least = least_bytes<key>() + least_bytes<mapped>();
        const std::size_t n = r.count(least, sizeof(typename C::value_type), name_of<C>);
        C c;
        reserve(c, n);
        for (std::size_t i = 1; i <= n; ++i) {
            auto k = wire::read<key>(r);
            c.emplace_hint(c.end(), std::move(k), wire::read<mapped>(r));
            if (c.size() != i) [[unlikely]]
                r.fail(name_of<C>, "the key before occurs twice");
        }
        return c;
    }
};

template <class T>
struct standard_codec<T, kind::path> {
    using is_standard = void;
    static constexpr std::size_t min_size = 8;
    static void write(writer& w, const T& p) { wire::write(w, p.native()); }
    static T read(reader& r) { return T(wire::read<typename T::string_type>(r)); }
};

template <class T>
struct standard_codec<T, kind::array> {
    using is_standard = void;
    using element = typename T::value_type;
    static constexpr std::size_t min_size = std::tuple_size_v<T> * least_bytes<element>();
    static void write(writer& w, const T& v) {
        if constexpr (bulk<element>)
            w.bytes(v.data(), sizeof(T));
        else
            for (const element& e : v)
                wire::write(w, e);
    }
    static T read(reader& r) {
        if constexpr (bulk<element>) {
            T v;
            std::memcpy(static_cast<void*>(v.data()), r.bytes(sizeof(T), name_of<T>), sizeof(T));
            return v;
        } else if constexpr (std::is_default_constructible_v<T> && std::is_move_assignable_v<element>) {
            T v;
            for (element& e : v)
                e = wire::read<element>(r);
            return v;
        } else {
            return [&]<std::size_t... I>(std::index_sequence<I...>) {
                return T{{(static_cast<void>(I), wire::read<element>(r))...}};
            }(std::make_index_sequence<std::tuple_size_v<T>>());
        }
    }
};

/// Members one after the other, as the constructor takes them.
template <class T, class... Fields>
T read_fields(reader& r, std::type_identity<std::tuple<Fields...>>) {
    return T{wire::read<std::remove_cv_t<Fields>>(r)...}; // braces: from left to right
}
template <class Refs>
void write_fields(writer& w, const Refs& refs) {
    std::apply([&](const auto&... field) { (wire::write(w, field), ...); }, refs);
}
template <class... Fields>
consteval bool are_values(std::type_identity<std::tuple<Fields...>>) {
    static_assert((!std::is_reference_v<Fields> && ...),
                  "a member is a reference, which means nothing in another process: use the value");
    return true;
}

template <class T>
struct standard_codec<T, kind::aggregate> {
    using is_standard = void;
    using fields = std::type_identity<field_types<T>>;
    static constexpr std::size_t min_size = least_bytes_of(fields());
    static void write(writer& w, const T& v) {
        static_assert(are_values(fields()));
        write_fields(w, fields_of(v).refs);
    }
    static T read(reader& r) {
        static_assert(are_values(fields()));
        return read_fields<T>(r, fields());
    }
};

template <class First, class Second>
auto as_tuple(const std::pair<First, Second>&) -> std::type_identity<std::tuple<First, Second>>;
template <class... Fields>
auto as_tuple(const std::tuple<Fields...>&) -> std::type_identity<std::tuple<Fields...>>;

template <class T>
struct standard_codec<T, kind::product> {
    using is_standard = void;
    using fields = decltype(as_tuple(std::declval<T>()));
    static constexpr std::size_t min_size = least_bytes_of(fields());
    static void write(writer& w, const T& v) {
        static_assert(are_values(fields()));
        write_fields(w, v);
    }
    static T read(reader& r) {
        static_assert(are_values(fields()));
        return read_fields<T>(r, fields());
    }
};

template <class T>
struct standard_codec<T, kind::empty> {
    using is_standard = void;
    static constexpr std::size_t min_size = 1;
    static void write(writer& w, const T&) { w.fixed(std::uint8_t{0}); }
    static T read(reader& r) {
        if (r.fixed<std::uint8_t>(name_of<T>) != 0) [[unlikely]]
            r.fail(name_of<T>, "the byte before is not 0");
        return T{};
    }
};

template <class T>
struct standard_codec<T, kind::optional> {
    using is_standard = void;
    static constexpr std::size_t min_size = 1;
    static void write(writer& w, const T& v) {
        wire::write(w, v.has_value());
        if (v) wire::write(w, *v);
    }
    static T read(reader& r) {
        if (!standard_codec<bool>::read_flag(r, name_of<T>)) return T();
        return T(std::in_place, wire::read<typename T::value_type>(r));
    }
};

template <class T>
struct standard_codec<T, kind::owner> {
    using is_standard = void;
    using element = typename T::element_type;
    static constexpr std::size_t min_size = 1;
    static void write(writer& w, const T& v) {
        const writer::level nested(w, name_of<T>);
        wire::write(w, v != nullptr);
        if (v) wire::write(w, *v);
    }
    static T read(reader& r) {
        const reader::level nested(r, name_of<T>);
        if (!standard_codec<bool>::read_flag(r, name_of<T>)) return nullptr;
        return std::make_unique<element>(wire::read<element>(r));
    }
};

template <class T>
struct standard_codec<T, kind::variant> {
    using is_standard = void;
    static constexpr std::size_t min_size = 2;
    static void write(writer& w, const T& v) {
        if (v.valueless_by_exception()) w.fail(name_of<T>, "the variant has no value");
        w.fixed(static_cast<std::uint8_t>(v.index()));
        std::visit([&](const auto& alternative) { wire::write(w, alternative); }, v);
    }
    static T read(reader& r) {
        const auto index = r.fixed<std::uint8_t>(name_of<T>);
        if (index >= std::variant_size_v<T>) [[unlikely]]
            r.fail(name_of<T>, "the byte before is the index of no alternative");
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            static constexpr T (*readers[])(reader&) = {&read_alternative<I>...};
            return readers[index](r);
        }(std::make_index_sequence<std::variant_size_v<T>>());
    }
    template <std::size_t I>
    static T read_alternative(reader& r) {
        return T(std::in_place_index<I>, wire::read<std::variant_alternative_t<I, T>>(r));
    }
};

template <class T>
struct standard_codec<T, kind::duration> {
    using is_standard = void;
    static constexpr std::size_t min_size = sizeof(typename T::rep);
    static void write(writer& w, const T& v) { wire::write(w, v.count()); }
    static T read(reader& r) { return T(wire::read<typename T::rep>(r)); }
};

template <class T>
struct standard_codec<T, kind::instant> {
    using is_standard = void;
    static constexpr std::size_t min_size = sizeof(typename T::rep);
    static void write(writer& w, const T& v) { wire::write(w, v.time_since_epoch()); }
    static T read(reader& r) { return T(wire::read<typename T::duration>(r)); }
};

} // namespace detail
} // namespace tenure::inline v0::wire
