#include <tenure/base/detail/word_lock.hpp>

#include <cerrno>
#include <climits>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tenure::inline v0::base::detail {
namespace {

void call(const std::atomic<std::uint32_t>& word, int operation, std::uint32_t value,
          const timespec* until) noexcept {
    static_assert(sizeof word == sizeof(std::uint32_t), "the kernel looks at the 32 bits at its address");
    const int kept = errno; // locking is no call that reports by errno
    syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, until, nullptr, FUTEX_BITSET_MATCH_ANY);
    errno = kept;
}

} // namespace

void futex::wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                 const deadline* until) noexcept {
    timespec at{};
    if (until) {
        const auto ns = until->count() < 0 ? 0 : until->count();
        at = {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    }
    // The one with a bit set takes the deadline as a point on CLOCK_MONOTONIC, which is the steady clock.
    call(word, FUTEX_WAIT_BITSET, expected, until ? &at : nullptr);
}
void futex::wake_one(const std::atomic<std::uint32_t>& word) noexcept { call(word, FUTEX_WAKE, 1, nullptr); }
void futex::wake_all(const std::atomic<std::uint32_t>& word) noexcept {
    call(word, FUTEX_WAKE, INT_MAX, nullptr);
}

} // namespace tenure::inline v0::base::detail
