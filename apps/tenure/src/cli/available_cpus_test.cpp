#include "cli/available_cpus.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sched.h>

namespace tenure::inline v0::app {
namespace {

constexpr const char* v1_mount =
    "25 30 0:22 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n";
constexpr const char* v2_mount =
    "31 23 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

class AvailableCpus : public testing::Test {
protected:
    AvailableCpus() {
        std::string name = testing::TempDir() + "tenure_cpus_XXXXXX";
        root_ = mkdtemp(name.data());
    }
    ~AvailableCpus() override { std::filesystem::remove_all(root_); }

    void file(const std::string& path, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text;
    }
    void proc(const std::string& mountinfo, const std::string& cgroup) const {
        file("/proc/self/mountinfo", "22 30 0:5 / /proc rw - proc proc rw\n" + mountinfo);
        file("/proc/self/cgroup", cgroup);
    }

    std::string root_;
};

TEST_F(AvailableCpus, NoControlGroupsMeansNoQuota) {
    EXPECT_EQ(cgroup_cpu_quota(root_), 0U);
    proc("", "");
    EXPECT_EQ(cgroup_cpu_quota(root_), 0U);
}

TEST_F(AvailableCpus, Version2QuotaIsRoundedUp) {
    proc(v2_mount, "0::/a\n");
    file("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 2U);
    file("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 1U);
    file("/sys/fs/cgroup/a/cpu.max", "1000 100000\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 1U);
}

TEST_F(AvailableCpus, Version2WithoutLimit) {
    proc(v2_mount, "0::/a\n");
    file("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 0U);
}

TEST_F(AvailableCpus, GroupsAboveLimitToo) {
    proc(v2_mount, "0::/slice/unit\n");
    file("/sys/fs/cgroup/slice/unit/cpu.max", "800000 100000\n");
    file("/sys/fs/cgroup/slice/cpu.max", "300000 100000\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 3U);
}

TEST_F(AvailableCpus, RootOfAContainerLimits) {
    proc(v2_mount, "0::/\n");
    file("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 2U);
}

TEST_F(AvailableCpus, Version1Quota) {
    proc(v1_mount, "4:cpu,cpuacct:/a/b\n3:cpuset:/\n0::/\n");
    file("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "250000\n");
    file("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 3U);
    file("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 0U);
}

TEST_F(AvailableCpus, Version1ContainerThatShowsItsOwnGroupAsRoot) {
    proc("25 30 0:22 /docker/1234 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n", "4:cpu:/docker/1234\n");
    file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
    file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 1U);
}

TEST_F(AvailableCpus, TheCpuacctControllerIsNotTheCpuController) {
    proc("25 30 0:22 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n", "4:cpuacct:/a\n");
    file("/sys/fs/cgroup/cpuacct/a/cpu.cfs_quota_us", "100000\n");
    file("/sys/fs/cgroup/cpuacct/a/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 0U);
}

TEST_F(AvailableCpus, GarbageIsNoQuota) {
    proc("x\n- - - -\n" + std::string(v2_mount), "junk\n0::/a\n:\n");
    file("/sys/fs/cgroup/a/cpu.max", "lots of it\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 0U);
    file("/sys/fs/cgroup/a/cpu.max", "100000 0\n");
    EXPECT_EQ(cgroup_cpu_quota(root_), 0U);
}

TEST_F(AvailableCpus, TheLessOfAffinityAndQuota) {
    cpu_set_t mine;
    ASSERT_EQ(sched_getaffinity(0, sizeof mine, &mine), 0);
    const auto count = static_cast<unsigned>(CPU_COUNT(&mine));
    proc(v2_mount, "0::/a\n");
    file("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    EXPECT_EQ(available_cpus(root_), count);
    file("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
    EXPECT_EQ(available_cpus(root_), 1U);
    file("/sys/fs/cgroup/a/cpu.max", "900000000 100000\n");
    EXPECT_EQ(available_cpus(root_), count);
}

TEST_F(AvailableCpus, OneCpuOfTheMaskIsOneCpu) {
    cpu_set_t before;
    ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
    int first = 0;
    while (!CPU_ISSET(first, &before))
        ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(available_cpus(root_), 1U);
    ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

} // namespace
} // namespace tenure::inline v0::app
