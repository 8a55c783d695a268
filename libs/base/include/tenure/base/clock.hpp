// Time as the runtime sees it: monotonic, in nanoseconds, and never overflowing.
#pragma once
#include <chrono>
#include <limits>
#include <type_traits>

namespace tenure::inline v0::base {

using duration = std::chrono::nanoseconds;
using time_point = std::chrono::time_point<std::chrono::steady_clock, duration>;

/// The point in time that never comes.
inline constexpr time_point never = time_point::max();

/// Converts any chrono duration to nanoseconds; what does not fit becomes the largest or smallest one.
template <class Rep, class Period>
constexpr duration to_duration(std::chrono::duration<Rep, Period> d) noexcept {
    using seconds = std::chrono::duration<long double>;
    const auto wide = std::chrono::duration_cast<seconds>(d);
    // NaN is neither: a floating-point duration that is no number.
    if (!(wide < seconds::zero()) && !(wide >= seconds::zero())) return duration::zero();
    // One second inside the limits, so that rounding in long double cannot step over them.
    if (wide >= std::chrono::duration_cast<seconds>(duration::max()) - seconds(1)) return duration::max();
    if (wide <= std::chrono::duration_cast<seconds>(duration::min()) + seconds(1)) return duration::min();
    return std::chrono::duration_cast<duration>(d);
}
constexpr duration to_duration(duration d) noexcept { return d; }

/// `at + d`, saturating: a huge duration gives `never`, it does not wrap into the past.
constexpr time_point saturating_add(time_point at, duration d) noexcept {
    if (d > duration::zero() && at > never - d) return never;
    if (d < duration::zero() && at < time_point::min() - d) return time_point::min();
    return at + d;
}

} // namespace tenure::inline v0::base
