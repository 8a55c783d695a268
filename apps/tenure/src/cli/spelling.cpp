#include "cli/spelling.hpp"

#include <algorithm>
#include <vector>

namespace tenure::inline v0::app {

std::size_t edit_distance(std::string_view a, std::string_view b) {
    const std::size_t columns = b.size() + 1;
    std::vector<std::size_t> cost((a.size() + 1) * columns);
    auto at = [&](std::size_t i, std::size_t j) -> std::size_t& { return cost[i * columns + j]; };
    for (std::size_t i = 0; i <= a.size(); ++i)
        at(i, 0) = i;
    for (std::size_t j = 0; j <= b.size(); ++j)
        at(0, j) = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            std::size_t best = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = std::min(best, at(i - 2, j - 2) + 1);
            at(i, j) = best;
        }
    }
    return at(a.size(), b.size());
}

namespace {

std::string lower_case(std::string_view word) {
    std::string text(word);
    for (char& c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

std::size_t common_beginning(std::string_view a, std::string_view b) {
    return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

// How far `word` is from being meant as `candidate`; an upper-case word is one slip.
std::size_t slips(std::string_view word, std::string_view candidate) {
    const std::string lower = lower_case(word);
    std::size_t distance = edit_distance(lower, candidate);
    const std::size_t common = common_beginning(lower, candidate);
    // An abbreviation lacks letters at its end only: count it as one slip. A different ending is two.
    if (common == lower.size() && common >= 2) distance = std::min<std::size_t>(distance, 1);
    if (common >= 4) distance = std::min<std::size_t>(distance, 2);
    return lower == word ? distance : distance + 1;
}

} // namespace

std::string_view nearest_spelling(std::string_view word, std::span<const std::string_view> candidates) {
    constexpr std::size_t longest_word = 64; // nothing that long is a slip of the fingers
    if (word.empty() || word.size() > longest_word) return {};
    std::string_view best;
    std::size_t best_distance = static_cast<std::size_t>(-1);
    for (std::string_view candidate : candidates) {
        const std::size_t distance = slips(word, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    const std::size_t allowed = std::max<std::size_t>(1, std::min(word.size(), best.size()) / 3 + 1);
    return best_distance <= allowed && best_distance < word.size() ? best : std::string_view{};
}

} // namespace tenure::inline v0::app
