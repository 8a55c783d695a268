// A task spawns children in one group, which joins them.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

namespace {
constexpr int tasks = 100'000;

tenure::task<> flood() {
    co_await tenure::with_group([](tenure::group g) -> tenure::task<> {
        for (int i = 0; i < tasks; ++i)
            (void)g.spawn([] {});
        co_return;
    });
}
void spawn_bulk(benchmark::State& state) {
    tenure::runtime rt({.threads = static_cast<unsigned>(state.range(0))});
    for (auto _ : state)
        rt.block_on(flood);
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(spawn_bulk)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
