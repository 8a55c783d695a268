#include "map/shell_script.hpp"

#include <gtest/gtest.h>

namespace tenure::inline v0::app {
namespace {

using where = quoting_tracker::where;

where after(std::string_view text) {
    quoting_tracker quoting;
    for (char c : text)
        quoting.feed(c);
    return quoting.at();
}

TEST(QuotingTracker, FollowsQuotes) {
    EXPECT_EQ(after(""), where::bare);
    EXPECT_EQ(after("echo 'a"), where::single_quotes);
    EXPECT_EQ(after("echo 'a'"), where::bare);
    EXPECT_EQ(after("echo \"a"), where::double_quotes);
    EXPECT_EQ(after("echo \"a'b"), where::double_quotes);
    EXPECT_EQ(after("echo 'a\"b'"), where::bare);
    EXPECT_EQ(after("echo 'a\\'"), where::bare) << "a backslash is nothing between single quotes";
}

TEST(QuotingTracker, BackslashTakesTheNextByte) {
    EXPECT_EQ(after("echo \\'"), where::bare);
    EXPECT_EQ(after("echo \\\""), where::bare);
    EXPECT_EQ(after("echo \"\\\""), where::double_quotes);
    EXPECT_EQ(after("echo \"\\\\\""), where::bare);
}

TEST(QuotingTracker, SubstitutionsBetweenQuotesNest) {
    EXPECT_EQ(after("\"$(echo "), where::bare);
    EXPECT_EQ(after("\"$(echo '"), where::single_quotes);
    EXPECT_EQ(after("\"$(echo \""), where::double_quotes);
    EXPECT_EQ(after("\"$(echo (a)) "), where::double_quotes);
    EXPECT_EQ(after("\"$((1 + 2)) "), where::double_quotes);
    EXPECT_EQ(after("\"\\$(echo "), where::double_quotes);
    EXPECT_EQ(after("case x in a) "), where::bare);
}

TEST(QuotingTracker, CommentsEndWithTheLine) {
    EXPECT_EQ(after("true # don't"), where::comment);
    EXPECT_EQ(after("true # don't\n"), where::bare);
    EXPECT_EQ(after("#"), where::comment);
    EXPECT_EQ(after("a#b 'c"), where::single_quotes) << "inside a word it is a letter";
    EXPECT_EQ(after("echo $# 'c"), where::single_quotes);
}

TEST(ShellVariable, IsOneWordEverywhere) {
    EXPECT_EQ(variable_in(where::bare, "v"), "\"${v}\"");
    EXPECT_EQ(variable_in(where::double_quotes, "v"), "${v}");
    EXPECT_EQ(variable_in(where::single_quotes, "v"), "'\"${v}\"'");
}

} // namespace
} // namespace tenure::inline v0::app
