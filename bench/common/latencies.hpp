// Latencies of a benchmark whose iterations measure one each.
#pragma once
#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

namespace bench {

/// Reports p50 and p99, in microseconds.
class latencies {
public:
    explicit latencies(benchmark::State& state) : state_(state) {}
    latencies(const latencies&) = delete;
    latencies& operator=(const latencies&) = delete;
    ~latencies() {
        state_.SetItemsProcessed(state_.iterations());
        if (seconds_.empty()) return;
        std::sort(seconds_.begin(), seconds_.end());
        state_.counters["p50_us"] = seconds_[seconds_.size() / 2] * 1e6;
        state_.counters["p99_us"] = seconds_[seconds_.size() * 99 / 100] * 1e6;
    }
    /// Of this iteration.
    void add(double seconds) {
        seconds_.push_back(seconds);
        state_.SetIterationTime(seconds);
    }

private:
    benchmark::State& state_;
    std::vector<double> seconds_;
};

} // namespace bench
