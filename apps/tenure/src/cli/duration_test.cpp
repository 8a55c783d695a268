#include "cli/duration.hpp"

#include <gtest/gtest.h>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;

std::chrono::nanoseconds value(std::string_view text) {
    auto d = parse_duration(text);
    EXPECT_TRUE(d) << text;
    return d ? *d : -1ns;
}

std::string why(std::string_view text) {
    auto d = parse_duration(text);
    EXPECT_FALSE(d) << text;
    return d ? "" : d.why();
}

TEST(Duration, ReadsEveryUnit) {
    EXPECT_EQ(value("7ns"), 7ns);
    EXPECT_EQ(value("7us"), 7us);
    EXPECT_EQ(value("500ms"), 500ms);
    EXPECT_EQ(value("5s"), 5s);
    EXPECT_EQ(value("3m"), 3min);
    EXPECT_EQ(value("2h"), 2h);
    EXPECT_EQ(value("1d"), 24h);
    EXPECT_EQ(value("0s"), 0ns);
}

TEST(Duration, ReadsFractions) {
    EXPECT_EQ(value("1.5h"), 90min);
    EXPECT_EQ(value(".5s"), 500ms);
    EXPECT_EQ(value("1.s"), 1s);
    EXPECT_EQ(value("1.123456789s"), 1123456789ns);
    EXPECT_EQ(value("0.1s"), 100ms);
    EXPECT_EQ(value("0.1d"), 8640s);
    EXPECT_EQ(value("0.3333333333333333333333333333333s"), 333333333ns);
}

TEST(Duration, AddsPartsFromLargeToSmall) {
    EXPECT_EQ(value("2m30s"), 150s);
    EXPECT_EQ(value("1d2h3m4s5ms"), 26h + 3min + 4s + 5ms);
    why("30s2m");
    why("5s5s");
}

TEST(Duration, RefusesWhatIsNone) {
    EXPECT_EQ(why("5x"), "5x: not a duration; write 5s, 500ms, 2m30s");
    EXPECT_EQ(why("5"), "5: not a duration; write 5s, 500ms, 2m30s");
    for (const char* text :
         {"", "s", ".", ".s", "-5s", "+5s", " 5s", "5s ", "5 s", "5S", "1e3s", "5s3", "0x5s", "inf", "5sec"})
        why(text);
}

TEST(Duration, RefusesWhatIsTooLong) {
    EXPECT_EQ(value("36500d"), 36500 * 24h);
    EXPECT_EQ(why("36501d"), "36501d: longer than 100 years");
    EXPECT_EQ(why("36500d1ns"), "36500d1ns: longer than 100 years");
    why("99999999999999999999999999s");
    why("9223372036854775807d");
    why("9223372036854775807ns");
    EXPECT_EQ(value("3153600000000000000ns"), 36500 * 24h);
}

} // namespace
} // namespace tenure::inline v0::app
