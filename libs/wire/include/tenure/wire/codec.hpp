// Values as bytes and back, without boilerplate.
//
// Arithmetic types, enums, bool, strings, the standard containers, optional, variant, tuple, pair, unique_ptr, chrono
// durations and time points, filesystem::path, and aggregates of all these with at most 32 members. Everything else is a
// compile error that says what to do. Both sides are the same program or keep to docs/reference/wire_format.md.
//
// A class with private members says how it travels:
//
//   template <>
//   struct tenure::wire::codec<money> {
//       static void write(writer& w, const money& m) { tenure::wire::write(w, m.cents()); }
//       static money read(reader& r) { return money(tenure::wire::read<std::int64_t>(r)); }
//       static constexpr std::size_t min_size = 8;      // optional: a value never takes fewer bytes; default 1
//       static constexpr bool writes_in_place = true;   // optional: write() hands on parts of m, no temporaries; large
//   };                                                  // ones may then travel out of band
//
// A time point of steady_clock means the same in all processes of one machine until it is booted, and nothing elsewhere.
#pragma once
#include <tenure/wire/detail/standard_codec.hpp>
#include <tenure/wire/reader.hpp>
#include <tenure/wire/writer.hpp>

#include <bit>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

namespace tenure::inline v0::wire {

static_assert(std::endian::native == std::endian::little, "the format is that of little-endian machines");

/// How values of T are written and read. Specialise it for types of your own.
template <class T>
struct codec : detail::standard_codec<T> {};

/// Appends v. What it holds may become segments, if the writer makes any.
/// Throws: wire_error if values are nested too deeply, or a variant has no value.
template <class T>
void write(writer& w, const T& v) {
    if constexpr (detail::custom<T>) {
        const writer::level nested(w, detail::name_of<T>);
        const std::size_t before = w.size();
        if constexpr (requires { requires codec<T>::writes_in_place; }) {
            codec<T>::write(w, v);
        } else {
            const writer::in_band copied(w);
            codec<T>::write(w, v);
        }
        if (w.size() - before < detail::least_bytes<T>())
            w.fail(detail::name_of<T>, "its codec wrote fewer bytes than its min_size, or none");
    } else {
        codec<T>::write(w, v);
    }
}

/// The same for what ends before the message does: always copied into it.
template <class T>
    requires(!std::is_reference_v<T> && !std::is_const_v<T>)
void write(writer& w, T&& v) {
    const writer::in_band copied(w);
    write(w, std::as_const(v));
}

/// The next value, which must be a T.
/// Throws: wire_error.
template <class T>
T read(reader& r) {
    if constexpr (detail::custom<T>) {
        const reader::level nested(r, detail::name_of<T>);
        return codec<T>::read(r);
    } else {
        return codec<T>::read(r);
    }
}

/// A message that holds v alone.
template <class T>
std::vector<std::byte> encode(const T& v) {
    writer w;
    write(w, v);
    return {w.message().begin(), w.message().end()};
}

/// The value of a message that holds nothing else.
/// Throws: wire_error.
template <class T>
T decode(std::span<const std::byte> message, read_limits limits = {}) {
    reader r(message, {}, limits);
    T v = read<T>(r);
    r.finish();
    return v;
}

} // namespace tenure::inline v0::wire
