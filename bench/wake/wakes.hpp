// The measurement that the contenders of `wake` share.
#pragma once
#include "latencies.hpp"

#include <chrono>
#include <thread>

namespace bench {

/// Calls submit(f) on an idle pool, again and again; f notes when it runs.
template <class Submit>
void measure_wakes(benchmark::State& state, Submit submit) {
    using clock = std::chrono::steady_clock;
    latencies of_all(state);
    for (auto _ : state) {
        std::this_thread::sleep_for(std::chrono::microseconds(300)); // the workers go to sleep
        clock::time_point ran;
        const auto asked = clock::now();
        submit([&ran] { ran = clock::now(); });
        of_all.add(std::chrono::duration<double>(ran - asked).count());
    }
}

} // namespace bench
