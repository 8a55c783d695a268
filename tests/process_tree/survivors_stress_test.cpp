// survivors_test.cpp with a hundred rounds of each.
#include "survivors.hpp"

#include <gtest/gtest.h>

#include <ostream>

namespace tenure::inline v0::app::testing {
namespace {

struct storm {
    const char* name;
    victim who;
    bool cgroup;
};

std::ostream& operator<<(std::ostream& out, const storm& kind) { return out << kind.name; }

class SurvivorsStorm : public ::testing::TestWithParam<storm> {};

TEST_P(SurvivorsStorm, NoneInAHundredRounds) {
    EXPECT_EQ(kill_in_rounds(GetParam().who, 100, GetParam().cgroup), "");
}

INSTANTIATE_TEST_SUITE_P(Killed, SurvivorsStorm,
                         ::testing::Values(storm{"guard", victim::guard, false},
                                           storm{"engine", victim::engine, false},
                                           storm{"warden", victim::warden, false},
                                           storm{"guard_engine", victim::guard_engine, false},
                                           storm{"engine_guard", victim::engine_guard, false},
                                           storm{"group", victim::group, false},
                                           storm{"engine_with_cgroup", victim::engine, true},
                                           storm{"warden_with_cgroup", victim::warden, true},
                                           storm{"both_with_cgroup", victim::guard_engine, true}),
                         [](const auto& kind) { return std::string(kind.param.name); });

} // namespace
} // namespace tenure::inline v0::app::testing
