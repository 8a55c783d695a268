// The measurement that the contenders of `wake` share.
#pragma once
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

namespace bench {

/// Calls submit(f) on an idle pool, again and again; f notes when it runs. Reports p50 and p99, in microseconds.
template <class Submit>
void measure_wakes(benchmark::State& state, Submit submit) {
    using clock = std::chrono::steady_clock;
    std::vector<double> latencies;
    for (auto _ : state) {
        std::this_thread::sleep_for(std::chrono::microseconds(300)); // the workers go to sleep
        clock::time_point ran;
        const auto asked = clock::now();
        submit([&ran] { ran = clock::now(); });
        latencies.push_back(std::chrono::duration<double>(ran - asked).count());
        state.SetIterationTime(latencies.back());
    }
    std::sort(latencies.begin(), latencies.end());
    state.counters["p50_us"] = latencies[latencies.size() / 2] * 1e6;
    state.counters["p99_us"] = latencies[latencies.size() * 99 / 100] * 1e6;
    state.SetItemsProcessed(state.iterations());
}

} // namespace bench
