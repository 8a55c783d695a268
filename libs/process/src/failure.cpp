#include "failure.hpp"

#include <tenure/process/errors.hpp>
#include <tenure/runner/runner.hpp>
#include <tenure/wire/codec.hpp>

#include <cstdlib>
#include <cxxabi.h>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <utility>

namespace tenure::inline v0::process::detail {
namespace {

/// What follows is the message, and for a std::system_error its number.
struct thrown {
    std::string type;
    std::string message;
    std::int32_t code = 0;
    bool code_of_system = false; // errno; false: another category, or no such error
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
    if (!t.code_of_system) return unknown(t, from);
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

} // namespace

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
        t.code_of_system =
            e.code().category() == std::system_category() || e.code().category() == std::generic_category();
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
    wire::write(to, t);
}

std::exception_ptr read_exception(wire::reader& from, pid_t worker) {
    auto t = wire::read<thrown>(from);
    const remote_info info(t.type, worker);
    // A worker of another program names its own types, of which one may be called like one of ours by chance: a name with
    // "std::" or "tenure::" in it is none of those.
    for (const known_type& k : known())
        if (k.name == t.type) return k.again(t, info);
    return unknown(t, info);
}

} // namespace tenure::inline v0::process::detail
