#pragma once

#include "cli/checked.hpp"

#include <chrono>
#include <string_view>

namespace tenure::inline v0::app {

/// Reads `5s`, `500ms`, `1.5h`, `2m30s`; units are ns, us, ms, s, m, h and d, each part larger than the next.
/// A number without a unit is an error, because xargs, timeout and sleep do not agree on what it means.
checked<std::chrono::nanoseconds> parse_duration(std::string_view text);

} // namespace tenure::inline v0::app
