// Exceptions of your own that arrive from worker processes as what they are:
//
//   inline const known_error<parse_error> parse_errors_are_known;                at namespace scope, where the type is
//
// An exception crosses as its type's name and its text. A type that is known is made again from
//   - what wire can send of it: an aggregate without base class, or a type with a wire::codec, so that its fields come along;
//   - otherwise its text, what(): it needs a constructor that takes a std::string or a const char*.
// One that is derived from a known type, and not known itself, arrives as the nearest known one. What cannot be sent or made again
// arrives as runner::remote_error, with its type, its text, and why. It owns only what was sent: no task, future or pool.
#pragma once
#include <tenure/process/errors.hpp>
#include <tenure/wire/codec.hpp>

#include <exception>
#include <string>
#include <type_traits>
#include <typeinfo>

namespace tenure::inline v0::process {

namespace detail {

/// What there is to do with exceptions of one type.
struct error_type {
    const std::type_info* type;
    /// The exception that is being handled is of the type, or of one that is derived from it.
    bool (*is_handled)();
    /// Appends the fields of that one.
    void (*write)(wire::writer& to);
    /// Null: it is made of fields, and none were sent. `fields`: null if none were.
    std::exception_ptr (*make)(wire::reader* fields, const std::string& text, const remote_info& from);
    void (*throw_null)();
    /// Whether a handler for this type takes what `f` throws.
    bool (*takes)(void (*f)());
};
void add(const error_type& t);
void remove(const error_type& t) noexcept;

template <class E>
inline constexpr bool has_fields =
    wire::detail::custom<E> || wire::detail::kind_of<E>() != wire::detail::kind::unsupported;
// In braces: a pointer is no bool.
template <class E>
inline constexpr bool has_text_as_string = requires(const std::string& text) { E{text}; };
template <class E>
inline constexpr bool has_text = has_text_as_string<E> || requires(const char* text) { E{text}; };

template <class E>
std::exception_ptr thrown_again(const E& e, const remote_info& from) {
    if constexpr (std::is_final_v<E>)
        return std::make_exception_ptr(e);
    else
        return std::make_exception_ptr(remote<E>(e, from));
}

template <class E>
struct error_functions {
    static bool is_handled() {
        try {
            throw;
        } catch (const E&) {
            return true;
        } catch (...) {
            return false;
        }
    }
    static void write(wire::writer& to) {
        if constexpr (has_fields<E>) {
            try {
                throw;
            } catch (const E& e) {
                wire::write(to, e);
            }
        }
    }
    static std::exception_ptr make(wire::reader* fields, const std::string& text, const remote_info& from) {
        if constexpr (has_fields<E>) {
            if (!fields) return nullptr;
            const E e = wire::read<E>(*fields);
            fields->finish();
            return thrown_again(e, from);
        } else if constexpr (has_text_as_string<E>) {
            return thrown_again(E{text}, from);
        } else {
            return thrown_again(E{text.c_str()}, from);
        }
    }
    // NOLINTBEGIN(misc-throw-by-value-catch-by-reference): which of two classes is the base, without an object of either
    static void throw_null() { throw static_cast<const E*>(nullptr); }
    static bool takes(void (*f)()) {
        try {
            f();
        } catch (const E*) {
            return true;
        } catch (...) {
            return false;
        }
        return false;
    }
    // NOLINTEND(misc-throw-by-value-catch-by-reference)
};

} // namespace detail

/// While it lives E is known in this program, and so in its workers. E is named by its type, so one name must be one type.
template <class E>
class known_error {
    static_assert(std::is_class_v<E> && std::is_same_v<E, std::remove_cv_t<E>>,
                  "known_error<E> names the class of an exception: without const, reference or pointer");
    static_assert(std::is_copy_constructible_v<E>, "an exception that arrives is copied: E must be copyable");
    static_assert(
        detail::has_fields<E> || detail::has_text<E>,
        "nothing says how such an exception is made again: specialise tenure::wire::codec<E>, which "
        "brings its fields along, or give it a constructor that takes the text (std::string)");

public:
    known_error() { detail::add(what_to_do()); }
    known_error(const known_error&) = delete;
    known_error& operator=(const known_error&) = delete;
    ~known_error() { detail::remove(what_to_do()); }

private:
    using functions = detail::error_functions<E>;
    static detail::error_type what_to_do() noexcept {
        return {&typeid(E),       &functions::is_handled, &functions::write,
                &functions::make, &functions::throw_null, &functions::takes};
    }
};

} // namespace tenure::inline v0::process
