// A thread that is no worker submits tasks and joins each through its future.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

namespace {
constexpr int tasks = 100'000;

void spawn_outside(benchmark::State& state) {
    tenure::runtime rt({.threads = static_cast<unsigned>(state.range(0))});
    std::vector<tenure::future<void>> all;
    all.reserve(tasks);
    for (auto _ : state) {
        for (int i = 0; i < tasks; ++i)
            all.push_back(rt.submit([] {}));
        for (const auto& one : all)
            one.get();
        all.clear();
    }
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(spawn_outside)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
