#include "map/retry_delay.hpp"

#include <gtest/gtest.h>

#include <set>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;

TEST(RetryDelay, DoublesUpToTenSeconds) {
    std::chrono::nanoseconds full = 100ms;
    for (unsigned failed = 1; failed <= 12;
         ++failed, full = std::min<std::chrono::nanoseconds>(2 * full, 10s)) {
        for (std::uint64_t seq = 1; seq <= 200; ++seq) {
            EXPECT_LE(retry_delay(seq, failed), full);
            EXPECT_GE(retry_delay(seq, failed), full * 3 / 4);
        }
    }
    EXPECT_LE(retry_delay(1, 1'000'000), 10s);
    EXPECT_GT(retry_delay(1, 0), 0s);
}

TEST(RetryDelay, SpreadsItemsThatFailedTogether) {
    std::set<std::chrono::nanoseconds> delays;
    for (std::uint64_t seq = 1; seq <= 100; ++seq)
        delays.insert(retry_delay(seq, 1));
    EXPECT_GT(delays.size(), 80U);
}

TEST(RetryDelay, IsTheSameEveryTime) { EXPECT_EQ(retry_delay(7, 3), retry_delay(7, 3)); }

} // namespace
} // namespace tenure::inline v0::app
