// What an engine makes of forwarded signals; the guard as a process is in tests/process_tree.
#include "proc/guard.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr pid_t guard = 100;

signalfd_siginfo from(pid_t sender, int signal = SIGTERM) {
    signalfd_siginfo info{};
    info.ssi_signo = static_cast<std::uint32_t>(signal);
    info.ssi_code = SI_USER;
    info.ssi_pid = static_cast<std::uint32_t>(sender);
    return info;
}

signalfd_siginfo forwarded(pid_t sender, int signal = SIGTERM) {
    signalfd_siginfo info = from(guard, signal);
    info.ssi_code = SI_QUEUE;
    info.ssi_int = sender;
    return info;
}

signalfd_siginfo typed(int signal = SIGINT) {
    signalfd_siginfo info = from(0, signal);
    info.ssi_code = SI_KERNEL;
    return info;
}

TEST(SignalOrigin, IsTheSenderBehindTheGuard) {
    EXPECT_EQ(origin(from(7), guard), 7);
    EXPECT_EQ(origin(forwarded(7), guard), 7);
    EXPECT_EQ(origin(typed(), guard), 0);
}

TEST(InterruptFilter, CopiesOfOneRequestCountOnce) {
    interrupt_filter filter;
    const clock::time_point start{};
    EXPECT_TRUE(filter.fresh(from(7), guard, start)); // `timeout` signals its child, then the group
    EXPECT_FALSE(filter.fresh(forwarded(7), guard, start + 1ms));
    EXPECT_FALSE(filter.fresh(forwarded(7), guard, start + 99ms));
    EXPECT_TRUE(filter.fresh(from(7), guard, start + 100ms));
}

TEST(InterruptFilter, ACopyMayComeLate) {
    interrupt_filter filter;
    const clock::time_point start{};
    EXPECT_TRUE(filter.fresh(from(7), guard, start)); // to the whole group, with a guard that has no time
    EXPECT_FALSE(filter.fresh(forwarded(7), guard, start + 3s));
    EXPECT_TRUE(
        filter.fresh(forwarded(7), guard, start + 4s)); // the next time it is the engine that has none
    EXPECT_FALSE(filter.fresh(from(7), guard, start + 9s));
    EXPECT_TRUE(filter.fresh(from(7), guard, start + 10s));
}

TEST(InterruptFilter, EachRequestToOneOfThemCounts) {
    interrupt_filter engine_only, guard_only;
    for (clock::time_point now{}; now < clock::time_point(1s); now += 100ms) {
        EXPECT_TRUE(engine_only.fresh(from(7), guard, now));
        EXPECT_TRUE(guard_only.fresh(forwarded(7), guard, now));
    }
}

TEST(InterruptFilter, AnotherSenderOrSignalIsFresh) {
    interrupt_filter filter;
    const clock::time_point start{};
    EXPECT_TRUE(filter.fresh(from(7), guard, start));
    EXPECT_TRUE(filter.fresh(from(8), guard, start));
    EXPECT_TRUE(filter.fresh(from(8, SIGINT), guard, start));
}

TEST(InterruptFilter, EveryKeyStrokeCounts) {
    interrupt_filter filter;
    const clock::time_point start{};
    EXPECT_TRUE(filter.fresh(typed(), guard, start));
    EXPECT_TRUE(filter.fresh(typed(), guard, start + 1ms));
}

} // namespace
} // namespace tenure::inline v0::app
