// A task spawns one child and awaits its future, again and again.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

namespace {
constexpr int tasks = 100'000;

tenure::task<> one_after_the_other() {
    co_await tenure::with_group([](tenure::group g) -> tenure::task<> {
        for (int i = 0; i < tasks; ++i) {
            auto child = g.spawn([] {});
            co_await std::move(child);
        }
    });
}
void spawn_await(benchmark::State& state) {
    tenure::runtime rt({.threads = static_cast<unsigned>(state.range(0))});
    for (auto _ : state)
        rt.block_on(one_after_the_other);
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(spawn_await)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
