#include "proc/subtree.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

namespace tenure::inline v0::app {
namespace {

TEST(ProcessStat, NameMayHoldAnything) {
    process_stat stat;
    ASSERT_TRUE(parse_stat("12 (a) S 1 (b c) T 34 56 7 0 -1", stat));
    EXPECT_EQ(stat.state, 'T');
    EXPECT_EQ(stat.parent, 34);
    EXPECT_EQ(stat.group, 56);
    EXPECT_FALSE(stat.dead());
    ASSERT_TRUE(parse_stat("12 (x) Z 1 12 12 0", stat));
    EXPECT_TRUE(stat.dead());
}

TEST(ProcessStat, TruncatedTextIsRefused) {
    const std::string_view whole = "12 (x) S 34 56 7";
    process_stat stat;
    for (std::size_t size = 0; size < whole.find("56"); ++size)
        EXPECT_FALSE(parse_stat(whole.substr(0, size), stat)) << size;
}

TEST(ProcessStat, OfThisProcess) {
    process_stat stat;
    ASSERT_TRUE(read_stat(getpid(), stat));
    EXPECT_EQ(stat.parent, getppid());
    EXPECT_EQ(stat.group, getpgrp());
    EXPECT_FALSE(read_stat(0x7ffffff0, stat)); // beyond any pid
}

TEST(Subtree, AProcessWithoutChildrenHasNone) {
    EXPECT_TRUE(children_of(getpid()).empty());
    EXPECT_TRUE(descendants_of(getpid()).empty());
    const kill_round left = sweep({}, std::chrono::seconds(0));
    EXPECT_EQ(left.signalled + left.refused, 0U);
}

TEST(Subtree, ForeignProcessesAreNotSignalled) {
    // Our parent is no descendant of ours: whatever list it gets into, it is left alone.
    EXPECT_FALSE(signal_descendant(getppid(), {0}, {}, [](const process_stat&) { return true; }));
}

} // namespace
} // namespace tenure::inline v0::app
