// A thread a task: in batches, or the machine runs out of threads.
#include <benchmark/benchmark.h>

#include <future>
#include <vector>

namespace {
constexpr int tasks = 50;

void spawn_outside(benchmark::State& state) {
    for (auto _ : state) {
        std::vector<std::future<void>> all;
        all.reserve(tasks);
        for (int i = 0; i < tasks; ++i)
            all.push_back(std::async(std::launch::async, [] {}));
        for (auto& one : all)
            one.get();
    }
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(spawn_outside)->UseRealTime();
} // namespace
