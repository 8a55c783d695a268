#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace tenure::inline v0::app {

/// Damerau-Levenshtein distance (adjacent letters swapped count once).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`; empty when none is near enough to be meant.
std::string_view nearest_spelling(std::string_view word, std::span<const std::string_view> candidates);

} // namespace tenure::inline v0::app
