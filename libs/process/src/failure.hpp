// Exceptions as messages: what a call threw, and the same thing thrown again in the parent.
#pragma once
#include <tenure/wire/reader.hpp>
#include <tenure/wire/writer.hpp>

#include <exception>
#include <string>
#include <sys/types.h>

namespace tenure::inline v0::process::detail {

/// The name of a type or function as in the source; `name` itself if it is no mangled one.
std::string demangled(const char* name);

/// The exception that is being handled. Runs code of users: their codecs.
void write_current_exception(wire::writer& to);
/// The same again: a type that known_error names, or one of the standard library or of tenure, as itself. Runs code of users.
/// Throws: wire_error if no such message comes next.
std::exception_ptr read_exception(wire::reader& from, pid_t worker);
/// The same under a lock: what known_error names is not known.
std::exception_ptr read_exception_of_ours(wire::reader& from, pid_t worker);

} // namespace tenure::inline v0::process::detail
