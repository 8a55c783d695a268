// What the contenders of parallel_for and map_uneven do with each item: next to nothing, or something between 1 us and
// 10 ms, most of it short.
#pragma once
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

class loop_work {
public:
    enum kind : std::int64_t { trivial, uneven, many_uneven };

    /// range(1) says which.
    explicit loop_work(benchmark::State& state) : kind_(static_cast<kind>(state.range(1))) {
        if (kind_ == trivial) {
            out_.resize(10'000'000);
        } else {
            out_.resize(kind_ == uneven ? 10'000 : 100'000);
            std::uint64_t bits = 88172645463325252; // xorshift64 (Marsaglia, 2003)
            for (auto& turns : out_) {
                bits ^= bits << 13;
                bits ^= bits >> 7;
                bits ^= bits << 17;
                // Pareto, alpha 1: 1 us and seldom much more; at most 10 ms.
                const auto us = std::min<std::uint64_t>(10'000, 1'000'000 / (bits % 1'000'000 + 1));
                turns = static_cast<std::uint32_t>(us * about_a_microsecond);
            }
        }
        state_ = &state;
    }
    ~loop_work() {
        state_->SetItemsProcessed(state_->iterations() * static_cast<std::int64_t>(out_.size()));
        benchmark::DoNotOptimize(out_.data());
    }
    loop_work(const loop_work&) = delete;
    loop_work& operator=(const loop_work&) = delete;

    std::size_t count() const noexcept { return out_.size(); }
    void operator()(std::size_t i) noexcept {
        if (kind_ == trivial)
            out_[i] = static_cast<std::uint32_t>(i * 3);
        else
            turn(out_[i]);
    }

private:
    static constexpr std::uint64_t about_a_microsecond = 1000;
    static void turn(std::uint64_t n) noexcept {
        for (; n > 0; --n)
            benchmark::DoNotOptimize(n);
    }
    kind kind_;
    std::vector<std::uint32_t> out_;
    benchmark::State* state_ = nullptr;
};

#define LOOP_WORK_BENCHMARK(f)                                                                               \
    BENCHMARK(f)                                                                                             \
        ->ArgNames({"threads", "uneven"})                                                                    \
        ->Args({1, loop_work::trivial})                                                                      \
        ->Args({2, loop_work::trivial})                                                                      \
        ->Args({1, loop_work::uneven})                                                                       \
        ->Args({2, loop_work::uneven})                                                                       \
        ->UseRealTime()
