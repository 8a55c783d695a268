// A coroutine awaits a child that is ready at once.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

namespace {
constexpr int awaits = 1'000'000;

tenure::task<int> child(int i) { co_return i; }
tenure::task<long> parent() {
    long sum = 0;
    for (int i = 0; i < awaits; ++i)
        sum += co_await child(i);
    co_return sum;
}
void await_ready(benchmark::State& state) {
    tenure::runtime rt({.threads = 0});
    for (auto _ : state)
        benchmark::DoNotOptimize(rt.block_on(parent));
    state.SetItemsProcessed(state.iterations() * awaits);
}
BENCHMARK(await_ready)->UseRealTime();
} // namespace
