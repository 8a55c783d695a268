// Looking again and again before sleeping: an answer within microseconds instead of a wake-up's 50, where a CPU is free for it.
//
// It must not take the CPU from the one who is to answer. Two signs that nothing is gained: this thread was preempted while it
// looked (somebody else wanted the CPU), and answers keep coming later than the limit. After either it is left out for a
// while, twice as long each time, until it has paid again.
#pragma once
#include <chrono>
#include <cstdint>

namespace tenure::inline v0::process::detail {

/// Threads: one at a time.
class adaptive_spin {
public:
    /// With one CPU nobody can answer meanwhile.
    adaptive_spin() noexcept;

    bool possible() const noexcept { return possible_; }
    bool worth_trying() noexcept {
        if (left_out_ == 0) return possible_;
        --left_out_;
        return false;
    }
    /// Asks done() until it says true, but no longer than the limit. Returns what it said last.
    template <class Done>
    bool spin(Done&& done) noexcept {
        constexpr int looks = 32;
        const auto begin = clock::now();
        for (auto last = begin;;) {
            for (int i = 0; i < looks; ++i) {
                if (done()) {
                    misses_ = 0;
                    penalty_ = least_penalty;
                    return true;
                }
                pause();
            }
            const auto now = clock::now();
            if (now - last > preempted) {
                leave_out();
                return done();
            }
            if (now - begin > limit) {
                if (++misses_ >= tolerated_misses) leave_out();
                return done();
            }
            last = now;
        }
    }

private:
    using clock = std::chrono::steady_clock;
    static constexpr auto limit = std::chrono::microseconds(20);
    static constexpr auto preempted =
        std::chrono::microseconds(15);                 // between two looks at the clock, 2 us apart
    static constexpr std::uint32_t least_penalty = 16; // calls
    static constexpr std::uint32_t most_penalty = 1024;
    static constexpr std::uint32_t tolerated_misses = 4;

    static void pause() noexcept {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }
    void leave_out() noexcept {
        left_out_ = penalty_;
        penalty_ = penalty_ < most_penalty ? penalty_ * 2 : most_penalty;
        misses_ = 0;
    }

    bool possible_;
    std::uint32_t left_out_ = 0;
    std::uint32_t penalty_ = least_penalty;
    std::uint32_t misses_ = 0;
};

} // namespace tenure::inline v0::process::detail
