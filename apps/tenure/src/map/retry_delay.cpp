#include "map/retry_delay.hpp"

#include <algorithm>

namespace tenure::inline v0::app {

std::chrono::nanoseconds retry_delay(std::uint64_t seq, unsigned failed) {
    constexpr std::chrono::nanoseconds first = std::chrono::milliseconds(100);
    constexpr std::chrono::nanoseconds most = std::chrono::seconds(10);
    const unsigned doublings = std::min(failed > 0 ? failed - 1 : 0U, 20U);
    const auto full = std::min(first * (std::int64_t{1} << doublings), most);

    // splitmix64 (Steele, Lea, Flood 2014) of item and attempt: spread, and the same in every run.
    std::uint64_t x = seq * 0x9E3779B97F4A7C15ULL + failed;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    x ^= x >> 31;
    return full - full / 4 * static_cast<std::int64_t>(x % 1024) / 1024;
}

} // namespace tenure::inline v0::app
