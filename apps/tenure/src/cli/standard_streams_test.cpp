#include "cli/standard_streams.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <fcntl.h>
#include <initializer_list>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app {
namespace {

// Runs `check` in a child that has closed `closed` and called occupy_standard_streams().
template <class Check>
bool holds_in_child(std::initializer_list<int> closed, Check check) {
    const pid_t child = ::fork();
    if (child == 0) {
        for (int fd : closed)
            ::close(fd);
        occupy_standard_streams();
        ::_exit(check() ? 0 : 1);
    }
    int status = -1;
    return ::waitpid(child, &status, 0) == child && status == 0;
}

bool new_descriptor_is_above_two() { return ::open("/dev/null", O_RDWR) > 2; }
bool cannot_read(int fd) {
    char c = 0;
    return ::read(fd, &c, 1) == -1 && errno == EBADF;
}
bool cannot_write(int fd) { return ::write(fd, "x", 1) == -1 && errno == EBADF; }

TEST(StandardStreams, ClosedOnesAreOccupiedButUnusable) {
    EXPECT_TRUE(holds_in_child({0, 1, 2}, new_descriptor_is_above_two));
    EXPECT_TRUE(
        holds_in_child({0, 1, 2}, [] { return cannot_read(0) && cannot_write(1) && cannot_write(2); }));
    for (int fd : {0, 1, 2}) {
        EXPECT_TRUE(holds_in_child({fd}, new_descriptor_is_above_two)) << fd;
        EXPECT_TRUE(holds_in_child({fd}, [fd] { return fd == 0 ? cannot_read(0) : cannot_write(fd); })) << fd;
    }
}

TEST(StandardStreams, OpenOnesAreLeftAlone) {
    EXPECT_TRUE(holds_in_child({2}, [] {
        const int null = ::open("/dev/null", O_WRONLY);
        ::dup2(null, 1);
        occupy_standard_streams();
        return !cannot_write(1);
    }));
    EXPECT_TRUE(holds_in_child({}, new_descriptor_is_above_two));
}

} // namespace
} // namespace tenure::inline v0::app
