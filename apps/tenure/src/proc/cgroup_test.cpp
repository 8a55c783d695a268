#include "proc/cgroup.hpp"

#include <gtest/gtest.h>

namespace tenure::inline v0::app {
namespace {

const std::string unified =
    "25 1 0:22 / / rw - ext4 /dev/sda rw\n"
    "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const std::string hybrid = "31 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                           "30 25 0:26 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n";

TEST(OwnCgroup, IsThePathBelowTheMount) {
    EXPECT_EQ(own_cgroup(unified, "0::/user.slice/a b\n"), "/sys/fs/cgroup/user.slice/a b");
    EXPECT_EQ(own_cgroup(unified, "0::/\n"), "/sys/fs/cgroup");
}

TEST(OwnCgroup, IsFoundInAHybridHierarchy) {
    EXPECT_EQ(own_cgroup(hybrid, "9:cpu:/elsewhere\n0::/here\n"), "/sys/fs/cgroup/unified/here");
}

TEST(OwnCgroup, MountOfAPartShowsThatPartOnly) {
    const std::string part = "30 25 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
    EXPECT_EQ(own_cgroup(part, "0::/docker/abc/x\n"), "/sys/fs/cgroup/x");
    EXPECT_EQ(own_cgroup(part, "0::/docker/abc\n"), "/sys/fs/cgroup");
    EXPECT_EQ(own_cgroup(part, "0::/docker/abcd\n"), "");
    EXPECT_EQ(own_cgroup(part, "0::/other\n"), "");
}

TEST(OwnCgroup, BlanksInTheMountPointAreUnescaped) {
    EXPECT_EQ(own_cgroup("30 25 0:26 / /mnt/a\\040b rw - cgroup2 none rw\n", "0::/x\n"), "/mnt/a b/x");
}

TEST(OwnCgroup, IsEmptyWithoutCgroupTwo) {
    EXPECT_EQ(own_cgroup(unified, "9:cpu:/x\n"), "");
    EXPECT_EQ(own_cgroup("31 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", "0::/x\n"), "");
    EXPECT_EQ(own_cgroup("", ""), "");
    EXPECT_EQ(own_cgroup("garbage", "0::"), "");
}

} // namespace
} // namespace tenure::inline v0::app
