#include "cli/duration.hpp"

#include <array>
#include <cmath>
#include <cstdint>

namespace tenure::inline v0::app {

namespace {

struct unit {
    std::string_view name;
    std::int64_t ns;
};

// Longest first, so that "ms" is not read as "m" with an "s" left over.
constexpr std::array<unit, 7> units{{{"ns", 1},
                                     {"us", 1'000},
                                     {"ms", 1'000'000},
                                     {"s", 1'000'000'000},
                                     {"m", 60'000'000'000},
                                     {"h", 3'600'000'000'000},
                                     {"d", 86'400'000'000'000}}};

// Far below the 292 years that nanoseconds in 64 bits can hold: a sum of parts cannot overflow.
constexpr std::int64_t longest = 36'500 * units[6].ns;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

problem not_a_duration(std::string_view text) {
    return {std::string(text) + ": not a duration; write 5s, 500ms, 2m30s"};
}

problem too_long(std::string_view text) { return {std::string(text) + ": longer than 100 years"}; }

} // namespace

checked<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    std::int64_t sum = 0;
    std::int64_t last_unit = INT64_MAX;
    std::string_view rest = text;
    if (rest.empty()) return not_a_duration(text);
    while (!rest.empty()) {
        std::int64_t whole = 0;
        std::size_t i = 0;
        for (; i < rest.size() && is_digit(rest[i]); ++i) {
            if (whole > INT64_MAX / 10 - 1) return too_long(text); // in any unit
            whole = whole * 10 + (rest[i] - '0');
        }
        bool digits = i > 0;
        double fraction = 0;
        double scale = 0.1;
        if (i < rest.size() && rest[i] == '.') {
            for (++i; i < rest.size() && is_digit(rest[i]); ++i) {
                digits = true;
                fraction += (rest[i] - '0') * scale;
                scale /= 10;
            }
        }
        if (!digits) return not_a_duration(text);
        rest.remove_prefix(i);

        const unit* found = nullptr;
        for (const unit& u : units) {
            if (rest.starts_with(u.name)) {
                found = &u;
                break;
            }
        }
        if (!found || found->ns >= last_unit) return not_a_duration(text);
        rest.remove_prefix(found->name.size());
        last_unit = found->ns;

        if (whole > longest / found->ns) return too_long(text);
        sum += whole * found->ns + std::llround(fraction * static_cast<double>(found->ns));
        if (sum > longest) return too_long(text);
    }
    return std::chrono::nanoseconds(sum);
}

} // namespace tenure::inline v0::app
