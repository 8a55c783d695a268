#pragma once

#include <string_view>

namespace tenure::inline v0::app {

/// What `tenure --help` prints.
extern const std::string_view tenure_help;

/// What `tenure map --help` prints: at most two screens of 80 columns and 24 lines.
extern const std::string_view map_help;

} // namespace tenure::inline v0::app
