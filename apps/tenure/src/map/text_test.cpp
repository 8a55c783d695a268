#include "map/text.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;

TEST(Utf8, KnowsValidSequences) {
    EXPECT_EQ(utf8_sequence("a"), 1);
    EXPECT_EQ(utf8_sequence(std::string_view("\0", 1)), 1);
    EXPECT_EQ(utf8_sequence("ä"), 2);
    EXPECT_EQ(utf8_sequence("€x"), 3);
    EXPECT_EQ(utf8_sequence("😀"), 4);
    EXPECT_TRUE(is_utf8(""));
    EXPECT_TRUE(is_utf8("häß€😀"));
}

TEST(Utf8, KnowsWhatIsNone) {
    for (const char* bytes :
         {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3(", "\xe2\x82(", "\xf0\x9f(x"})
        EXPECT_EQ(utf8_sequence(bytes), 0) << bytes;
    EXPECT_FALSE(is_utf8("a\xff"));
}

TEST(Utf8, KnowsWhatMayBecomeOne) {
    for (const char* bytes : {"", "\xc3", "\xe2", "\xe2\x82", "\xf0", "\xf0\x9f", "\xf0\x9f\x98"})
        EXPECT_EQ(utf8_sequence(bytes), -1) << bytes;
    EXPECT_FALSE(is_utf8("a\xc3"));
}

TEST(Text, CountsColumns) {
    EXPECT_EQ(columns_of(""), 0U);
    EXPECT_EQ(columns_of("abc"), 3U);
    EXPECT_EQ(columns_of("äöü"), 3U);
    EXPECT_EQ(columns_of("漢字"), 4U);
    EXPECT_EQ(columns_of("e\u0301"), 1U);
}

TEST(Text, ControlCharactersAreShownNotSent) {
    EXPECT_EQ(printable("a\nb\tc\rd", 80), "a\\nb\\tc\\rd");
    EXPECT_EQ(printable("\x1b[31mred", 80), "\\x1B[31mred");
    EXPECT_EQ(printable("\x7f", 80), "\\x7F");
    EXPECT_EQ(printable("\xc2\x9b", 80), "\\xC2\\x9B") << "U+009B begins an escape sequence too";
    EXPECT_EQ(printable("\u202e"
                        "gpj.exe",
                        80),
              "\\xE2\\x80\\xAEgpj.exe");
    EXPECT_EQ(printable(std::string_view("a\0b", 3), 80), "a\\x00b");
    EXPECT_EQ(printable("caf\xe9", 80), "caf\\xE9");
    EXPECT_EQ(printable("café", 80), "café");
}

TEST(Text, LongTextIsCut) {
    EXPECT_EQ(printable("abcdef", 6), "abcdef");
    EXPECT_EQ(printable("abcdefg", 6), "abcde…");
    EXPECT_EQ(printable("abc", 1), "…");
    EXPECT_EQ(printable("abc", 0), "");
    EXPECT_EQ(printable("", 0), "");
    EXPECT_EQ(printable("漢字漢字", 5), "漢字…");
    EXPECT_EQ(printable("ab\ncd", 4), "ab…") << "an escape is not cut in two";
    EXPECT_EQ(printable(std::string(1'000'000, 'a'), 10), "aaaaaaaaa…");
}

TEST(Text, GroupsDigits) {
    EXPECT_EQ(thousands(0), "0");
    EXPECT_EQ(thousands(999), "999");
    EXPECT_EQ(thousands(1000), "1,000");
    EXPECT_EQ(thousands(1234567), "1,234,567");
    EXPECT_EQ(thousands(UINT64_MAX), "18,446,744,073,709,551,615");
}

TEST(Text, DurationsForPeople) {
    EXPECT_EQ(human_duration(0ns), "0 us");
    EXPECT_EQ(human_duration(-5s), "0 us");
    EXPECT_EQ(human_duration(850us), "850 us");
    EXPECT_EQ(human_duration(999'999ns), "1 ms");
    EXPECT_EQ(human_duration(12ms), "12 ms");
    EXPECT_EQ(human_duration(999'999us), "1.00 s");
    EXPECT_EQ(human_duration(3400ms), "3.40 s");
    EXPECT_EQ(human_duration(9'999ms), "10.0 s");
    EXPECT_EQ(human_duration(59'940ms), "59.9 s");
    EXPECT_EQ(human_duration(59'960ms), "1m 00s");
    EXPECT_EQ(human_duration(125s), "2m 05s");
    EXPECT_EQ(human_duration(62min), "1h 02m");
    EXPECT_EQ(human_duration(76h), "3d 04h");
}

TEST(Text, TimesInRfc3339) {
    using std::chrono::system_clock;
    EXPECT_EQ(rfc3339(system_clock::time_point{}), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(rfc3339(system_clock::time_point{1738367999123ms}), "2025-01-31T23:59:59.123Z");
    EXPECT_EQ(rfc3339(system_clock::time_point{1709164800000ms}), "2024-02-29T00:00:00.000Z");
    EXPECT_EQ(rfc3339(system_clock::time_point{-1ms}), "1969-12-31T23:59:59.999Z");
}

TEST(Text, QuotesForTheShell) {
    EXPECT_EQ(shell_quoted("a/b-c_d.e"), "a/b-c_d.e");
    EXPECT_EQ(shell_quoted(""), "''");
    EXPECT_EQ(shell_quoted("a b"), "'a b'");
    EXPECT_EQ(shell_quoted("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_quoted("a\nb"), "'a\nb'");
    EXPECT_EQ(shell_quoted("$(x)"), "'$(x)'");
    EXPECT_EQ(shell_quoted("A=b"), "'A=b'");
    EXPECT_EQ(shell_quoted("~"), "'~'");
    EXPECT_EQ(shell_quoted("\xff"), "'\xff'");
}

TEST(Text, NamesErrors) {
    EXPECT_EQ(errno_text(ENOSPC), "No space left on device");
    EXPECT_EQ(errno_text(99999), "error 99999");
}

} // namespace
} // namespace tenure::inline v0::app
