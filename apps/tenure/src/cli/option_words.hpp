#pragma once

#include "cli/checked.hpp"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenure::inline v0::app {

/// What an option is, as far as cutting up the command line goes.
struct option_shape {
    std::string_view long_name; ///< without dashes
    char short_name = 0;        ///< 0: none
    bool takes_value = false;
};

/// The words of a command line, told apart.
struct option_words {
    std::vector<std::string> options; ///< "--name", or "--name" "value"; long names only
    std::vector<std::string> command; ///< up to `:::`
    std::optional<std::vector<std::string>> items;
};

/// Tells options, COMMAND and items apart. Options end at `--`, at `:::` and at the first word that is none.
/// Understood: --name value, --name=value, -n value, -nvalue, and one-letter options run together.
checked<option_words> split_words(std::span<const char* const> words, std::span<const option_shape> shapes);

} // namespace tenure::inline v0::app
