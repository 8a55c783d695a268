#include "cli/option_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace tenure::inline v0::app {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::array<option_shape, 3> shapes{{{"jobs", 'j', true}, {"null", '0', false}, {"json", 0, false}}};

checked<option_words> split(std::vector<const char*> words) { return split_words(words, shapes); }

TEST(OptionWords, NothingIsNothing) {
    auto w = split({});
    ASSERT_TRUE(w);
    EXPECT_THAT(w->options, IsEmpty());
    EXPECT_THAT(w->command, IsEmpty());
    EXPECT_FALSE(w->items);
}

TEST(OptionWords, OptionsComeOutInOneSpelling) {
    auto w = split({"-0j2", "--jobs=3", "-j", "4", "--json", "cmd"});
    ASSERT_TRUE(w);
    EXPECT_THAT(w->options, ElementsAre("--null", "--jobs", "2", "--jobs", "3", "--jobs", "4", "--json"));
    EXPECT_THAT(w->command, ElementsAre("cmd"));
}

TEST(OptionWords, AValueMayLookLikeAnOptionOrBeEmpty) {
    auto w = split({"--jobs", "--json", "--jobs=", "cmd"});
    ASSERT_TRUE(w);
    EXPECT_THAT(w->options, ElementsAre("--jobs", "--json", "--jobs", ""));
}

TEST(OptionWords, ItemsMayLookLikeAnything) {
    auto w = split({"cmd", ":::", "--json", "-", ""});
    ASSERT_TRUE(w);
    EXPECT_THAT(*w->items, ElementsAre("--json", "-", ""));
}

TEST(OptionWords, AClusterWithAnUnknownLetterTakesNothing) {
    auto w = split({"-0z", "cmd"});
    ASSERT_FALSE(w);
    EXPECT_EQ(w.why(), "unknown option -z; see tenure map --help");
}

} // namespace
} // namespace tenure::inline v0::app
