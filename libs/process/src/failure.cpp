#include "failure.hpp"

#include <tenure/base/mutex.hpp>
#include <tenure/process/errors.hpp>
#include <tenure/process/known_error.hpp>
#include <tenure/runner/runner.hpp>
#include <tenure/wire/codec.hpp>

#include <algorithm>
#include <cstdlib>
#include <cxxabi.h>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <utility>
#include <vector>

namespace tenure::inline v0::process::detail {
namespace {

constexpr std::uint8_t code_of_system = 1; // errno; without: another category, or no such error
constexpr std::uint8_t named_by_program = 2;

/// If it is named by the program there follow the name of the type that it is known as, and a size and bytes: its fields.
struct thrown {
    std::string type;
    std::string message;
    std::int32_t code = 0; // of a std::system_error
    std::uint8_t flags = 0;
};

std::string name_of(const std::type_info& t) { return demangled(t.name()); }

std::exception_ptr unknown(const thrown& t, const remote_info& from) {
    using error = runner::remote_error;
    return std::make_exception_ptr(remote<error>(error(t.type, t.message), from));
}
template <class E>
std::exception_ptr again(const thrown& t, const remote_info& from) {
    return std::make_exception_ptr(remote<E>(E(t.message), from));
}
template <>
std::exception_ptr again<std::bad_alloc>(const thrown&, const remote_info& from) {
    return std::make_exception_ptr(remote<std::bad_alloc>(std::bad_alloc(), from));
}
template <>
std::exception_ptr again<std::system_error>(const thrown& t, const remote_info& from) {
    if ((t.flags & code_of_system) == 0) return unknown(t, from);
    // The message ends with what the code means, which the constructor adds.
    const std::error_code code(t.code, std::system_category());
    std::string text = t.message;
    const std::string meaning = ": " + code.message();
    if (text.size() >= meaning.size() && text.ends_with(meaning)) text.resize(text.size() - meaning.size());
    return std::make_exception_ptr(remote<std::system_error>(std::system_error(code, text), from));
}

struct known_type {
    std::string name;
    std::exception_ptr (*again)(const thrown&, const remote_info&);
};
template <class... E>
const std::vector<known_type>& make_known() {
    static const std::vector<known_type> all{{name_of(typeid(E)), &again<E>}...};
    return all;
}
const std::vector<known_type>& known() {
    return make_known<std::runtime_error, std::logic_error, std::invalid_argument, std::domain_error,
                      std::length_error, std::out_of_range, std::range_error, std::overflow_error,
                      std::underflow_error, std::bad_alloc, std::system_error, wire::wire_error, base::error,
                      base::timeout_error, base::closed_error, base::task_cancelled, base::abandoned,
                      base::stalled_error, base::usage_error>();
}

/// What known_error names.
struct all_known_errors {
    base::mutex m;
    std::vector<error_type> types TENURE_GUARDED_BY(m);
};
all_known_errors& known_errors() {
    static all_known_errors* const all =
        new all_known_errors; // never destroyed: some known_error may go later
    return *all;
}
std::vector<error_type> copy_of_known_errors() {
    all_known_errors& all = known_errors();
    base::mutex_lock l(all.m);
    return all.types;
}

std::string in_words(const std::exception_ptr& e) {
    try {
        std::rethrow_exception(e);
    } catch (const std::exception& x) {
        return x.what();
    } catch (...) {
        return "its codec threw something that is no std::exception";
    }
}

/// The type that the exception which is being handled is known as: its own, or of those that it is derived from one of which no
/// other is derived. Null: it is not known.
const std::type_info* write_fields(const std::type_info& thrown_type, wire::writer& fields,
                                   std::string& text) {
    std::optional<error_type> best;
    const auto all = copy_of_known_errors();
    for (const error_type& t : all)
        if (*t.type == thrown_type) best = t;
    for (const error_type* t = all.data(); !best && t != all.data() + all.size(); ++t) {
        const auto is_nearer = [&](const error_type& other) {
            return *other.type != *t->type && other.is_handled() && t->takes(other.throw_null);
        };
        if (t->is_handled() && std::none_of(all.begin(), all.end(), is_nearer)) best = *t;
    }
    if (!best) return nullptr;
    try {
        best->write(fields);
        return best->type;
    } catch (...) {
        text += " (its fields could not be sent: " + in_words(std::current_exception()) + ")";
        return nullptr;
    }
}

/// A failure as it was sent.
struct message {
    explicit message(wire::reader& from) : what(wire::read<thrown>(from)), known_as(what.type) {
        if (what.flags > (code_of_system | named_by_program)) from.fail("failure", "its flags mean nothing");
        named = (what.flags & named_by_program) != 0;
        if (!named) return;
        known_as = wire::read<std::string>(from);
        const auto size = from.fixed<std::uint64_t>("size of an exception's fields");
        fields = std::span(from.bytes(size, "fields of an exception"), size);
    }
    thrown what;
    std::string known_as;
    std::span<const std::byte> fields;
    bool named = false;
};

std::exception_ptr again_if_ours(const thrown& t, const remote_info& from) {
    // A worker of another program names its own types, of which one may be called like one of ours by chance: a name with
    // "std::" or "tenure::" in it is none of those.
    for (const known_type& k : known())
        if (k.name == t.type) return k.again(t, from);
    return nullptr;
}
/// Null: it cannot be made again; if it should have been, its text says why.
std::exception_ptr again_if_known(message& m, const remote_info& from) {
    std::optional<error_type> found;
    for (const error_type& t : copy_of_known_errors()) {
        if (name_of(*t.type) != m.known_as) continue;
        if (found && *found->type != *t.type) {
            m.what.message +=
                " (two types are called " + m.known_as + " here: one of them needs another name)";
            return nullptr;
        }
        found = t;
    }
    if (!found) return nullptr;
    try {
        wire::reader fields(m.fields);
        return found->make(m.named ? &fields : nullptr, m.what.message, from);
    } catch (...) {
        m.what.message +=
            " (it could not be made again as " + m.known_as + ": " + in_words(std::current_exception()) + ")";
        return nullptr;
    }
}

} // namespace

void add(const error_type& t) {
    all_known_errors& all = known_errors();
    base::mutex_lock l(all.m);
    all.types.push_back(t);
}
void remove(const error_type& t) noexcept {
    all_known_errors& all = known_errors();
    base::mutex_lock l(all.m);
    const auto it = std::find_if(all.types.begin(), all.types.end(),
                                 [&](const error_type& each) { return *each.type == *t.type; });
    if (it != all.types.end()) all.types.erase(it);
}

std::string demangled(const char* name) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(
        abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
    return text ? text.get() : name;
}

void write_current_exception(wire::writer& to) {
    thrown t;
    const std::type_info* const type = abi::__cxa_current_exception_type();
    t.type = type ? name_of(*type) : "an exception of another language";
    try {
        throw;
    } catch (const std::system_error& e) {
        t.message = e.what();
        t.code = e.code().value();
        if (e.code().category() == std::system_category() || e.code().category() == std::generic_category())
            t.flags = code_of_system;
    } catch (const std::exception& e) {
        t.message = e.what();
    } catch (const std::string& text) {
        t.message = text;
    } catch (const char* text) {
        t.message = text;
    } catch (int number) {
        t.message = std::to_string(number);
    } catch (...) {
        t.message = "it is no std::exception";
    }
    wire::writer fields;
    const std::type_info* const known_as = type ? write_fields(*type, fields, t.message) : nullptr;
    if (known_as) t.flags |= named_by_program;
    wire::write(to, t);
    if (known_as) {
        wire::write(to, name_of(*known_as));
        to.block(fields.size(), fields.message().data(), fields.size());
    }
}

std::exception_ptr read_exception(wire::reader& from, pid_t worker) {
    message m(from);
    const remote_info info(m.what.type, worker);
    if (auto e = again_if_ours(m.what, info)) return e;
    if (auto e = again_if_known(m, info)) return e;
    return unknown(m.what, info);
}
std::exception_ptr read_exception_of_ours(wire::reader& from, pid_t worker) {
    const message m(from);
    const remote_info info(m.what.type, worker);
    const auto e = again_if_ours(m.what, info);
    return e ? e : unknown(m.what, info);
}

} // namespace tenure::inline v0::process::detail
