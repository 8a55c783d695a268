#include <benchmark/benchmark.h>

#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

namespace {
constexpr int tasks = 100'000;

void spawn_await(benchmark::State& state) {
    const auto threads = static_cast<int>(state.range(0));
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                    static_cast<std::size_t>(threads));
    tbb::task_arena arena(threads);
    for (auto _ : state)
        arena.execute([] {
            tbb::task_group group;
            for (int i = 0; i < tasks; ++i) {
                group.run([] {});
                group.wait();
            }
        });
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(spawn_await)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
