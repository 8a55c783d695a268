#include "proc/cgroup.hpp"

#include <tenure/io/unique_fd.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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

std::string text_of(const char* file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// A cgroup of our own to make runs in, so that other runs on this machine are not met. Where none can be made, or entered, each
/// test checks that a run does without, and leaves nothing.
class RunCgroup : public ::testing::Test {
protected:
    void SetUp() override {
        const std::string own = own_cgroup(text_of("/proc/self/mountinfo"), text_of("/proc/self/cgroup"));
        parent_ = own + "/cgroup-test-" + std::to_string(getpid());
        if (!own.empty()) mkdir(parent_.c_str(), 0755);
        if (const auto run = run_cgroup::create_in(parent_)) {
            run->remove();
            usable_ = true;
        }
    }
    void TearDown() override {
        rmdir(parent_.c_str());
        EXPECT_FALSE(std::filesystem::exists(parent_)) << "something is left in it";
    }
    bool usable() const {
        if (!usable_) {
            EXPECT_FALSE(std::filesystem::exists(name_of(getpid())));
        }
        return usable_;
    }

    std::string name_of(pid_t pid) const { return parent_ + "/tenure-" + std::to_string(pid); }

    std::string parent_;

private:
    bool usable_ = false;
};

TEST_F(RunCgroup, IsMadeAndRemovedWithItsSlots) {
    if (!usable()) return;
    const auto run = run_cgroup::create_in(parent_);
    ASSERT_TRUE(run);
    EXPECT_EQ(run->path(), name_of(getpid()));
    ASSERT_TRUE(slot_cgroup::create(*run, 0));
    run->remove();
    EXPECT_FALSE(std::filesystem::exists(run->path()));
}

TEST_F(RunCgroup, WhatDeadRunsHaveLeftIsRemovedByTheNextRun) {
    if (!usable()) return;
    // One of another pid, and one of ours.
    for (const pid_t pid : {getpid() + 1, getpid()}) {
        ASSERT_EQ(mkdir(name_of(pid).c_str(), 0755), 0);
        ASSERT_EQ(mkdir((name_of(pid) + "/s0").c_str(), 0755), 0);
        ASSERT_EQ(mkdir((name_of(pid) + "/s0/below").c_str(), 0755), 0);
    }
    const auto run = run_cgroup::create_in(parent_);
    ASSERT_TRUE(run);
    EXPECT_FALSE(std::filesystem::exists(name_of(getpid() + 1)));
    EXPECT_FALSE(std::filesystem::exists(run->path() + "/s0"));
    run->remove();
}

TEST_F(RunCgroup, OfARunThatLivesIsLeftAlone) {
    if (!usable()) return;
    const std::string other = name_of(getpid() + 1);
    ASSERT_EQ(mkdir(other.c_str(), 0755), 0);
    const io::unique_fd lock(open(other.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(flock(lock.get(), LOCK_EX), 0);
    const auto run = run_cgroup::create_in(parent_);
    ASSERT_TRUE(run);
    EXPECT_TRUE(std::filesystem::exists(other));
    // It is locked itself, too, so that no other run takes it for a dead one.
    const io::unique_fd again(open(run->path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    EXPECT_EQ(flock(again.get(), LOCK_EX | LOCK_NB), -1);
    run->remove();
    rmdir(other.c_str());
}

TEST_F(RunCgroup, OfAnotherRunWithTheSamePidIsNotTouched) {
    if (!usable()) return;
    // Two PID namespaces may share a cgroup.
    ASSERT_EQ(mkdir(name_of(getpid()).c_str(), 0755), 0);
    const io::unique_fd lock(open(name_of(getpid()).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(flock(lock.get(), LOCK_EX), 0);
    EXPECT_FALSE(run_cgroup::create_in(parent_));
    EXPECT_EQ(rmdir(name_of(getpid()).c_str()), 0);
}

} // namespace
} // namespace tenure::inline v0::app
