#include <benchmark/benchmark.h>

namespace {
constexpr int tasks = 100'000;

void spawn_bulk(benchmark::State& state) {
    const auto threads = static_cast<int>(state.range(0));
    for (auto _ : state) {
#pragma omp parallel num_threads(threads)
#pragma omp single
        for (int i = 0; i < tasks; ++i) {
#pragma omp task
            benchmark::DoNotOptimize(i);
        }
    }
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(spawn_bulk)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
