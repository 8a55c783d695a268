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

/// The exception that is being handled.
void write_current_exception(wire::writer& to);
/// Throws: wire_error if no such message comes next.
std::exception_ptr read_exception(wire::reader& from, pid_t worker);

} // namespace tenure::inline v0::process::detail
