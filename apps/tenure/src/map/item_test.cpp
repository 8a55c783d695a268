#include "map/item.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace tenure::inline v0::app {
namespace {

item_result result(item_state state, int exit_code = -1, int signal = 0, std::string reason = {}) {
    item_result r;
    r.state = state;
    r.exit_code = exit_code;
    r.signal = signal;
    r.reason = std::move(reason);
    return r;
}

TEST(ItemResult, SaysWhyInWords) {
    EXPECT_EQ(why_failed(result(item_state::succeeded, 0)), "");
    EXPECT_EQ(why_failed(result(item_state::failed, 3)), "exit status 3");
    EXPECT_EQ(why_failed(result(item_state::failed, -1, SIGSEGV)), "killed by SIGSEGV");
    EXPECT_EQ(why_failed(result(item_state::timed_out, -1, SIGTERM)), "timed out");
    EXPECT_EQ(why_failed(result(item_state::stopped, -1, SIGKILL)), "stopped");
    EXPECT_EQ(why_failed(result(item_state::failed, 127, 0, "command not found: foo")),
              "command not found: foo");
}

TEST(ItemResult, NamesSignals) {
    EXPECT_EQ(signal_name(SIGKILL), "SIGKILL");
    EXPECT_EQ(signal_name(SIGTERM), "SIGTERM");
    EXPECT_EQ(signal_name(63), "signal 63");
    EXPECT_EQ(signal_name(12345), "signal 12345");
}

TEST(ItemResult, NamesStates) {
    EXPECT_EQ(name_of(item_state::succeeded), "succeeded");
    EXPECT_EQ(name_of(item_state::failed), "failed");
    EXPECT_EQ(name_of(item_state::timed_out), "timed_out");
    EXPECT_EQ(name_of(item_state::stopped), "stopped");
}

} // namespace
} // namespace tenure::inline v0::app
