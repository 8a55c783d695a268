// Somebody is killed at a random moment under load: no process may survive. A few rounds of each.
#include "survivors.hpp"

#include <gtest/gtest.h>

namespace tenure::inline v0::app::testing {
namespace {

constexpr unsigned rounds = 12;

TEST(Survivors, NoneWhenTheGuardIsKilled) { EXPECT_EQ(kill_in_rounds(victim::guard, rounds, false), ""); }
TEST(Survivors, NoneWhenTheEngineIsKilled) { EXPECT_EQ(kill_in_rounds(victim::engine, rounds, false), ""); }
TEST(Survivors, NoneWhenAWardenIsKilled) { EXPECT_EQ(kill_in_rounds(victim::warden, rounds, false), ""); }
TEST(Survivors, NoneWhenTheGuardThenTheEngineAreKilled) {
    EXPECT_EQ(kill_in_rounds(victim::guard_engine, rounds, false), "");
}
TEST(Survivors, NoneWhenTheEngineThenTheGuardAreKilled) {
    EXPECT_EQ(kill_in_rounds(victim::engine_guard, rounds, false), "");
}
TEST(Survivors, NoneWhenTheWholeProcessGroupIsKilled) {
    EXPECT_EQ(kill_in_rounds(victim::group, rounds, false), "");
}
TEST(Survivors, NoneWithCgroups) {
    EXPECT_EQ(kill_in_rounds(victim::engine, rounds, true), "");
    EXPECT_EQ(kill_in_rounds(victim::guard, rounds, true), "");
    EXPECT_EQ(kill_in_rounds(victim::warden, rounds, true), "");
}

} // namespace
} // namespace tenure::inline v0::app::testing
