#include "cli/spelling.hpp"

#include <gtest/gtest.h>

#include <array>

namespace tenure::inline v0::app {
namespace {

constexpr std::array<std::string_view, 6> names{"jobs", "timeout", "deadline", "retries", "results", "json"};

TEST(Spelling, CountsSlipsOfTheFingers) {
    EXPECT_EQ(edit_distance("", ""), 0U);
    EXPECT_EQ(edit_distance("", "abc"), 3U);
    EXPECT_EQ(edit_distance("abc", ""), 3U);
    EXPECT_EQ(edit_distance("jobs", "jobs"), 0U);
    EXPECT_EQ(edit_distance("jbos", "jobs"), 1U) << "swapped letters count once";
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(Spelling, NamesTheNearest) {
    EXPECT_EQ(nearest_spelling("timout", names), "timeout");
    EXPECT_EQ(nearest_spelling("tiemout", names), "timeout");
    EXPECT_EQ(nearest_spelling("job", names), "jobs");
    EXPECT_EQ(nearest_spelling("jsno", names), "json");
    EXPECT_EQ(nearest_spelling("resuls", names), "results");
    EXPECT_EQ(nearest_spelling("dead", names), "deadline") << "an abbreviation";
    EXPECT_EQ(nearest_spelling("retry", names), "retries") << "a different ending";
    EXPECT_EQ(nearest_spelling("JSON", names), "json");
    EXPECT_EQ(nearest_spelling("Timeout", names), "timeout");
}

TEST(Spelling, NamesNothingFarAway) {
    EXPECT_EQ(nearest_spelling("verbose", names), "");
    EXPECT_EQ(nearest_spelling("x", names), "");
    EXPECT_EQ(nearest_spelling("", names), "");
    EXPECT_EQ(nearest_spelling(std::string(100'000, 'j'), names), "");
    EXPECT_EQ(nearest_spelling("jobs", {}), "");
}

} // namespace
} // namespace tenure::inline v0::app
