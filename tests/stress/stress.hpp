// What the stress tests share: seeded randomness, a time box, and objects that must all be gone at the end.
#pragma once
#include <tenure/core/cleanup.hpp>
#include <tenure/core/event.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/observe.hpp>
#include <tenure/core/runtime.hpp>
#include <tenure/core/scope.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/core/this_task.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

namespace stress {
using namespace tenure::core;
using namespace std::chrono_literals;

/// Repeatable by TENURE_STRESS_SEED; printed with every test.
inline unsigned seed() {
    static const unsigned s = [] {
        const char* text = std::getenv("TENURE_STRESS_SEED");
        return text ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : std::random_device{}();
    }();
    return s;
}

class dice {
public:
    explicit dice(unsigned salt) : engine_(seed() * 7919u + salt) {}
    /// 0 … n-1.
    unsigned operator()(unsigned n) { return static_cast<unsigned>(engine_() % n); }
    tenure::base::duration upto(tenure::base::duration d) {
        return tenure::base::duration(
            static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(d.count() + 1)));
    }

private:
    std::mt19937 engine_;
};

/// Runs round(n) for about a second, and says how many rounds there were and with which seed.
template <class F>
void for_a_while(F&& round) {
    const auto end = std::chrono::steady_clock::now() + 800ms;
    int n = 0;
    do {
        round(n++);
    } while (std::chrono::steady_clock::now() < end && !::testing::Test::HasFailure());
    ::testing::Test::RecordProperty("rounds", n);
    if (::testing::Test::HasFailure()) ADD_FAILURE() << "seed " << seed() << ", round " << n - 1;
}

class counted {
public:
    explicit counted(std::atomic<int>& n) noexcept : n_(&n) { ++*n_; }
    counted(const counted& o) noexcept : n_(o.n_) { ++*n_; }
    counted& operator=(const counted&) = delete;
    ~counted() { --*n_; }

private:
    std::atomic<int>* n_;
};

inline void spin(tenure::base::duration d) {
    const auto end = std::chrono::steady_clock::now() + d;
    while (std::chrono::steady_clock::now() < end) {}
}

} // namespace stress
