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
    EXPECT_EQ(after("\"$((1 + 2"), where::arithmetic);
    EXPECT_EQ(after("\"${a} "), where::double_quotes);
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

TEST(QuotingTracker, BackquotesAreBareInside) {
    EXPECT_EQ(after("`echo "), where::bare);
    EXPECT_EQ(after("\"`echo "), where::bare);
    EXPECT_EQ(after("\"`echo \""), where::double_quotes);
    EXPECT_EQ(after("\"`echo 'a'` "), where::double_quotes);
    EXPECT_EQ(after("\"\\`echo "), where::double_quotes);
    EXPECT_EQ(after("'`echo "), where::single_quotes);
    EXPECT_EQ(after("\"`echo \\\""), where::double_quotes) << "the quote that begins one inside";
    EXPECT_EQ(after("`echo \\\""), where::bare) << "a quote as such";
}

bool refused(std::string_view text, bool number = false) {
    quoting_tracker quoting;
    for (char c : text)
        quoting.feed(c);
    return !quoting.refusal(number).empty();
}

TEST(ItemsPlace, IsRefusedWhereTheShellWouldReadTheItem) {
    for (const char* text :
         {"echo $((",   "echo $(( 1 + ", "((",          "((i += ", "echo $(( (", "echo \"$((",
          "echo $((\"", "echo $[",       "echo \"$[",   "a[",      "a[ 1 + ",    "a[b[1]+",
          "a=([",       "[[ ",           "if [[ -n ",   "[[ ( ",   "[[ \"",      "echo ${x:-",
          "echo ${",    "echo \"${x#",   "echo ${x:-'", "echo \\", "echo \"\\",  "echo $",
          "echo \"$",   "`echo \\",      "`echo \\\\",  "echo $'", "$'\\'"})
        EXPECT_TRUE(refused(text)) << text;
}

TEST(ItemsPlace, IsRefusedWhereTheQuotingCannotBeKnown) {
    for (const char* text :
         {"cat <<E\n", "cat <<E >", "cat <<", "cat << 'E'\nit's\nE\n", "\"$(case x in a) ", "$(case x in a) ",
          "(case x in a) ", "$(if :; then case x in (b) ;; a) ", "`echo \\`", "`echo $(echo `", "`echo '`",
          "\"${x:-\"a\"} ", "\"${x%'a'} ", "$'\\'' ", "echo $((a'b')) ", "((# a\n)) ", "$((a <<E\n)) "})
        EXPECT_TRUE(refused(text)) << text;
}

TEST(ItemsPlace, IsFreeElsewhere) {
    for (const char* text : {"",
                             "echo ",
                             "echo \"",
                             "echo '\\",
                             "x=",
                             "x=\"`basename ",
                             "echo $x",
                             "echo $$",
                             "echo \"$$",
                             "echo \\$",
                             "echo \\\\",
                             "[ -f ",
                             "echo [",
                             "x=a[",
                             "echo [[ ",
                             "[[ -n x ]] && echo ",
                             "a[1]=",
                             "echo $((1 + 2)) ",
                             "echo $((1 << 2)) ",
                             "echo $(( $(wc -l <",
                             "echo $(( `wc -l <",
                             "echo ${#x} ",
                             "echo ${x:-a b} ",
                             "echo ${x:-'a b'} ",
                             "cat <<<",
                             "cat <",
                             "( (echo ",
                             "f() { ",
                             "f() ( ",
                             "case x in a) ",
                             "case x in a) echo;; esac; ",
                             "$(case x in (a) ",
                             "$(case x in (a) b;; esac) ",
                             "(case x in (a) b;; esac) && ",
                             "$(echo case) ",
                             "$(printf 'case') ",
                             "IFS=$'\\n'; ",
                             "echo $\"",
                             "# don't\necho ",
                             "# \\",
                             "`echo # it's` ",
                             "`sed 's/\\\\(a\\\\)//' ",
                             "\"$(echo \"$(echo \"",
                             "echo $(a)#b ",
                             "echo a\\\nb "})
        EXPECT_FALSE(refused(text)) << text;
}

TEST(ItemsPlace, ANumberMayStandInArithmetic) {
    for (const char* text : {"echo $((", "echo $(( 1 + ", "((", "a[", "[[ ", "echo \"$((", "echo $((\""})
        EXPECT_FALSE(refused(text, true)) << text;
    for (const char* text : {"echo ${", "echo $", "echo \\", "cat <<E\n", "$(case x in a) "})
        EXPECT_TRUE(refused(text, true)) << text;
}

TEST(Unfinished, IsWhatWasBegun) {
    const auto begun = [](std::string_view text) {
        quoting_tracker quoting;
        for (char c : text)
            quoting.feed(c);
        return quoting.unfinished();
    };
    EXPECT_EQ(begun("echo 'a"), "'");
    EXPECT_EQ(begun("echo \"$(a)"), "\"");
    EXPECT_EQ(begun("echo \"$(a"), "(");
    EXPECT_EQ(begun("echo `a"), "`");
    EXPECT_EQ(begun("echo ${a"), "${");
    EXPECT_EQ(begun("echo $((a)"), "((");
    EXPECT_EQ(begun("(a # b"), "(");
    for (const char* whole :
         {"", "echo 'a'", "# it's", "echo $((1 + (2)))", "case x in a) ;; esac", "((i++))"})
        EXPECT_EQ(begun(whole), "") << whole;
}

TEST(ShellVariable, IsOneWordEverywhere) {
    EXPECT_EQ(variable_in(where::bare, "v"), "\"${v}\"");
    EXPECT_EQ(variable_in(where::double_quotes, "v"), "${v}");
    EXPECT_EQ(variable_in(where::arithmetic, "v"), "${v}");
    EXPECT_EQ(variable_in(where::single_quotes, "v"), "'\"${v}\"'");
}

} // namespace
} // namespace tenure::inline v0::app
