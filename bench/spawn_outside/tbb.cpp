// enqueue() has no handle: the tasks are joined by a count.
#include "tbb_arena.hpp"

#include <latch>

namespace {
constexpr int tasks = 100'000;

void spawn_outside(benchmark::State& state) {
    bench::tbb_arena arena(state, bench::tbb_arena::caller::submits_only);
    for (auto _ : state) {
        std::latch all(tasks);
        for (int i = 0; i < tasks; ++i)
            arena->enqueue([&all] { all.count_down(); });
        all.wait();
    }
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(spawn_outside)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
