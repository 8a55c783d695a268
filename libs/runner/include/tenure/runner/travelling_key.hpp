// Context values that go along with calls: what is bound where a call is awaited is bound where it runs, in a worker process, too.
//
//   inline const travelling_key<std::string> trace_id{"app.trace_id"};          at namespace scope
//   co_await with_value(trace_id, "a-1", handle, request);                      all calls inside of handle carry it
//   const std::string* id = this_task::value(trace_id);                         in the function that was called, wherever it runs
//
// A call carries the nearest value of each such key, as it was when the await began; a call inside of it carries them on. One
// that finds none costs a look at one pointer.
#pragma once
#include <tenure/core/context.hpp>
#include <tenure/core/operation.hpp>
#include <tenure/wire/codec.hpp>

#include <atomic>
#include <cstddef>
#include <span>

namespace tenure::inline v0::runner {

namespace detail {

/// A key as other processes know it: by its name. Stays when the key has gone, because bound values refer to it.
class carried_key final : public core::detail::carrier {
public:
    using binding = core::detail::binding;
    struct of_type {
        void (*write)(wire::writer& to, const void* value);
        base::ref<binding> (*bind)(const carried_key& key, base::ref<binding> outer, wire::reader& from);
    };
    enum class state : std::uint8_t { known, ambiguous, gone };

    /// Adds a key to those of this program. It lives until remove().
    static carried_key& add(const char* name, const void* key, of_type how);
    void remove() noexcept;

    const char* const name;
    const void* const key;
    const of_type how;
    // Relaxed: says what the key's owner did, which whoever uses the key has seen.
    std::atomic<state> is{state::known};

private:
    carried_key(const char* n, const void* k, of_type h) noexcept : name(n), key(k), how(h) {}
};

/// Text that lives as long as the program.
class key_name {
public:
    template <std::size_t N>
    // NOLINTNEXTLINE(google-explicit-constructor): so that a literal is one
    consteval key_name(const char (&text)[N]) : text_(text) {
        if (N < 2) throw "a key that travels needs a name that is not empty";
    }
    constexpr const char* text() const noexcept { return text_; }

private:
    const char* text_;
};

template <class T>
struct carried_value {
    static void write(wire::writer& to, const void* value) { wire::write(to, *static_cast<const T*>(value)); }
    static base::ref<core::detail::binding> bind(const carried_key& key,
                                                 base::ref<core::detail::binding> outer, wire::reader& from) {
        T value = wire::read<T>(from);
        from.finish();
        return base::ref<core::detail::binding>::adopt(
            new core::detail::bound_value<T>(key.key, &key, std::move(outer), std::move(value)));
    }
};

} // namespace detail

/// A context_key whose values travel with calls. T is what wire can send; a program is meant to have one key of each name, at
/// namespace scope. The name is what the other process looks for: one that does not know it leaves the value alone.
template <class T>
class travelling_key final : public core::context_key<T> {
    static_assert(wire::detail::can_be_read<T>(),
                  "the values of a key that travels are sent: T must be what wire can send");

public:
    explicit travelling_key(detail::key_name name)
        : travelling_key(name, detail::carried_key::add(
                                   name.text(), static_cast<const core::context_key<T>*>(this),
                                   {&detail::carried_value<T>::write, &detail::carried_value<T>::bind})) {}
    travelling_key(const travelling_key&) = delete;
    travelling_key& operator=(const travelling_key&) = delete;
    ~travelling_key() { as_.remove(); }

private:
    travelling_key(detail::key_name name, detail::carried_key& as)
        : core::context_key<T>(name.text(), &as), as_(as) {}
    detail::carried_key& as_;
};

// ---- for runners that carry jobs elsewhere

/// write_travelling_values() would write something.
inline bool has_travelling_values(const core::detail::strand& s) noexcept {
    return s.values && s.values->first_that_travels();
}
/// Appends what is bound for the task: for each key its name, as a string, and its value, as an element count and bytes.
/// Throws: usage_error if the program has two keys of one name that travel; what codecs throw.
void write_travelling_values(wire::writer& to, const core::detail::strand& s);
/// Binds what is in a message of such values and known here.
/// Throws: wire_error.
base::ref<core::detail::binding> read_travelling_values(std::span<const std::byte> message);

} // namespace tenure::inline v0::runner
