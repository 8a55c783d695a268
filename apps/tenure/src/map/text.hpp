#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenure::inline v0::app {

/// Length of the UTF-8 sequence that `bytes` begins with: 1 to 4, 0 when it is not valid UTF-8,
/// -1 when it is cut off but may still become valid.
int utf8_sequence(std::string_view bytes);

bool is_utf8(std::string_view bytes);

/// Columns of a terminal that valid UTF-8 takes (0, 1 or 2 a character).
std::size_t columns_of(std::string_view text);

/// `text` made safe to show on one line: control characters and invalid bytes become \n, \t or \xNN,
/// and what goes beyond `max_columns` is cut and ends in "…".
std::string printable(std::string_view text, std::size_t max_columns);

/// 1234567 as "1,234,567".
std::string thousands(std::uint64_t number);

/// "850 us", "12 ms", "3.4 s", "2m 05s", "1h 02m", "3d 04h".
std::string human_duration(std::chrono::nanoseconds d);

/// RFC 3339 in UTC with milliseconds: "2025-01-31T23:59:59.123Z".
std::string rfc3339(std::chrono::system_clock::time_point t);

/// `word` so that /bin/sh reads it back as exactly these bytes; bare when nothing in it is special.
std::string shell_quoted(std::string_view word);

/// What strerror says, without its shared buffer.
std::string errno_text(int error);

} // namespace tenure::inline v0::app
