#include "loop_work.hpp"

namespace {
void parallel_for(benchmark::State& state) {
    const auto threads = static_cast<int>(state.range(0));
    loop_work work(state);
    for (auto _ : state) {
        const std::size_t n = work.count();
#pragma omp parallel for num_threads(threads) schedule(guided)
        for (std::size_t i = 0; i < n; ++i)
            work(i);
    }
}
LOOP_WORK_BENCHMARK(parallel_for);
} // namespace
