#include "map/text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

namespace tenure::inline v0::app {

namespace {

unsigned char byte_at(std::string_view s, std::size_t i) { return static_cast<unsigned char>(s[i]); }

// The code point of a valid sequence of `length` bytes.
char32_t code_point(std::string_view s, int length) {
    if (length == 1) return byte_at(s, 0);
    constexpr std::array<unsigned char, 5> first_mask{0, 0x7F, 0x1F, 0x0F, 0x07};
    char32_t c = byte_at(s, 0) & first_mask[static_cast<std::size_t>(length)];
    for (int i = 1; i < length; ++i)
        c = (c << 6) | (byte_at(s, static_cast<std::size_t>(i)) & 0x3FU);
    return c;
}

struct range {
    char32_t first, last;
};

// Unicode 15: East Asian Wide and Fullwidth, and emoji, by blocks; good enough for lining up columns.
constexpr std::array<range, 14> wide{{{0x1100, 0x115F},
                                      {0x2E80, 0x303E},
                                      {0x3041, 0x33FF},
                                      {0x3400, 0x4DBF},
                                      {0x4E00, 0x9FFF},
                                      {0xA000, 0xA4CF},
                                      {0xAC00, 0xD7A3},
                                      {0xF900, 0xFAFF},
                                      {0xFE30, 0xFE6F},
                                      {0xFF00, 0xFF60},
                                      {0xFFE0, 0xFFE6},
                                      {0x1F300, 0x1F64F},
                                      {0x1F900, 0x1F9FF},
                                      {0x20000, 0x3FFFD}}};

// Combining marks and invisible characters.
constexpr std::array<range, 8> narrow{{{0x0300, 0x036F},
                                       {0x0483, 0x0489},
                                       {0x1AB0, 0x1AFF},
                                       {0x1DC0, 0x1DFF},
                                       {0x200B, 0x200D},
                                       {0x20D0, 0x20FF},
                                       {0xFE00, 0xFE0F},
                                       {0xFE20, 0xFE2F}}};

// They would reorder or hide what stands around them.
constexpr std::array<range, 4> disguising{
    {{0x200E, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}}};

template <std::size_t N>
bool in(const std::array<range, N>& ranges, char32_t c) {
    return std::any_of(ranges.begin(), ranges.end(), [c](range r) { return c >= r.first && c <= r.last; });
}

std::size_t width(char32_t c) {
    if (c < 0x300) return 1;
    if (in(narrow, c)) return 0;
    return in(wide, c) ? 2 : 1;
}

std::string two_digits(std::int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); }

} // namespace

int utf8_sequence(std::string_view bytes) {
    if (bytes.empty()) return -1;
    const unsigned char first = byte_at(bytes, 0);
    if (first < 0x80) return 1;
    // The second byte's range keeps out overlong forms, surrogates and what lies beyond U+10FFFF.
    int length = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (first >= 0xC2 && first <= 0xDF)
        length = 2;
    else if (first >= 0xE0 && first <= 0xEF) {
        length = 3;
        if (first == 0xE0) low = 0xA0;
        if (first == 0xED) high = 0x9F;
    } else if (first >= 0xF0 && first <= 0xF4) {
        length = 4;
        if (first == 0xF0) low = 0x90;
        if (first == 0xF4) high = 0x8F;
    } else
        return 0;
    for (int i = 1; i < length; ++i) {
        if (static_cast<std::size_t>(i) >= bytes.size()) return -1;
        const unsigned char c = byte_at(bytes, static_cast<std::size_t>(i));
        if (c < low || c > high) return 0;
        low = 0x80;
        high = 0xBF;
    }
    return length;
}

bool is_utf8(std::string_view bytes) {
    while (!bytes.empty()) {
        const int length = utf8_sequence(bytes);
        if (length <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(length));
    }
    return true;
}

std::size_t columns_of(std::string_view text) {
    std::size_t columns = 0;
    while (!text.empty()) {
        const int length = std::max(utf8_sequence(text), 0);
        columns += length == 0 ? 1 : width(code_point(text, length));
        text.remove_prefix(static_cast<std::size_t>(std::max(length, 1)));
    }
    return columns;
}

std::string printable(std::string_view text, std::size_t max_columns) {
    std::string shown;
    std::size_t columns = 0;
    std::size_t fits = 0; // length of `shown` with room left for "…"
    while (!text.empty()) {
        const int length = utf8_sequence(text);
        const char32_t c = length > 0 ? code_point(text, length) : 0;
        std::string piece;
        if (length <= 0 || c < 0x20 || c == 0x7F || (c >= 0x80 && c < 0xA0) || in(disguising, c)) {
            const auto hidden = static_cast<std::size_t>(std::max(length, 1));
            for (std::size_t i = 0; i < hidden; ++i) {
                std::array<char, 8> hex{};
                std::snprintf(hex.data(), hex.size(), "\\x%02X", static_cast<unsigned>(byte_at(text, i)));
                piece += hex.data();
            }
            if (c == '\n') piece = "\\n";
            if (c == '\t') piece = "\\t";
            if (c == '\r') piece = "\\r";
        } else {
            piece = text.substr(0, static_cast<std::size_t>(length));
        }
        columns += columns_of(piece);
        if (columns > max_columns) {
            shown.resize(fits);
            return max_columns == 0 ? std::string() : shown + "…";
        }
        shown += piece;
        if (columns + 1 <= max_columns) fits = shown.size();
        text.remove_prefix(static_cast<std::size_t>(std::max(length, 1)));
    }
    return shown;
}

std::string thousands(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (std::size_t i = digits.size(); i > 3; i -= 3)
        digits.insert(i - 3, 1, ',');
    return digits;
}

std::string human_duration(std::chrono::nanoseconds d) {
    const std::int64_t ns = std::max<std::int64_t>(d.count(), 0);
    std::array<char, 32> text{};
    // Each limit is where the rounded figure would reach the next unit.
    if (ns < 999'500) return std::to_string((ns + 500) / 1'000) + " us";
    if (ns < 999'500'000) return std::to_string((ns + 500'000) / 1'000'000) + " ms";
    if (ns < 9'995'000'000) {
        std::snprintf(text.data(), text.size(), "%.2f s", static_cast<double>(ns) / 1e9);
        return text.data();
    }
    if (ns < 59'950'000'000) {
        std::snprintf(text.data(), text.size(), "%.1f s", static_cast<double>(ns) / 1e9);
        return text.data();
    }
    const std::int64_t s = (ns + 500'000'000) / 1'000'000'000;
    if (s < 3600) return std::to_string(s / 60) + "m " + two_digits(s % 60) + "s";
    const std::int64_t m = s / 60;
    if (m < 24 * 60) return std::to_string(m / 60) + "h " + two_digits(m % 60) + "m";
    const std::int64_t h = m / 60;
    return std::to_string(h / 24) + "d " + two_digits(h % 24) + "h";
}

std::string rfc3339(std::chrono::system_clock::time_point t) {
    using namespace std::chrono;
    const auto ms = floor<milliseconds>(t);
    const auto day = floor<days>(ms);
    const year_month_day date(day);
    const hh_mm_ss time(ms - day);
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                  static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                  static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
                  static_cast<int>(time.subseconds().count()));
    return text.data();
}

std::string shell_quoted(std::string_view word) {
    constexpr std::string_view harmless =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:@%+=";
    // A bare a=b in front of a command would be an assignment.
    if (!word.empty() && word.find_first_not_of(harmless) == std::string_view::npos &&
        word.find('=') == std::string_view::npos)
        return std::string(word);
    std::string quoted = "'";
    for (char c : word) {
        if (c == '\'')
            quoted += "'\\''";
        else
            quoted += c;
    }
    return quoted + "'";
}

std::string errno_text(int error) {
    if (const char* text = ::strerrordesc_np(error)) return text;
    return "error " + std::to_string(error);
}

} // namespace tenure::inline v0::app
