// A timeout that does not fire: its timer is made and removed.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

namespace {
constexpr int timers = 100'000;

tenure::task<> nothing() { co_return; }
tenure::task<> many() {
    for (int i = 0; i < timers; ++i)
        co_await tenure::with_timeout(std::chrono::hours(1), nothing);
}
void timer(benchmark::State& state) {
    tenure::runtime rt({.threads = static_cast<unsigned>(state.range(0))});
    for (auto _ : state)
        rt.block_on(many);
    state.SetItemsProcessed(state.iterations() * timers);
}
BENCHMARK(timer)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
