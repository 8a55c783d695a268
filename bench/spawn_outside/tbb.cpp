// enqueue() has no handle: the tasks are joined by a count.
#include <benchmark/benchmark.h>

#include <latch>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

namespace {
constexpr int tasks = 100'000;

void spawn_outside(benchmark::State& state) {
    const auto threads = static_cast<int>(state.range(0));
    // One more than the workers: the slot of the thread that submits.
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                    static_cast<std::size_t>(threads) + 1);
    tbb::task_arena arena(threads + 1, 1);
    for (auto _ : state) {
        std::latch all(tasks);
        for (int i = 0; i < tasks; ++i)
            arena.enqueue([&all] { all.count_down(); });
        all.wait();
    }
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(spawn_outside)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
