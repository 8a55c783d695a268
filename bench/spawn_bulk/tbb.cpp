#include "tbb_arena.hpp"

#include <tbb/task_group.h>

namespace {
constexpr int tasks = 100'000;

void spawn_bulk(benchmark::State& state) {
    bench::tbb_arena arena(state);
    for (auto _ : state)
        arena->execute([] {
            tbb::task_group group;
            for (int i = 0; i < tasks; ++i)
                group.run([] {});
            group.wait();
        });
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(spawn_bulk)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
