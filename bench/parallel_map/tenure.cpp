// A task reads the results of a map, in the order of the items or as they are done, without a timeout and with one for each.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

#include <ranges>

namespace {
constexpr int items = 1'000'000;

tenure::task<> read_all(tenure::runtime& rt, tenure::map_options options) {
    long sum = 0;
    auto results =
        tenure::map(rt, std::views::iota(0, items), [](int i) { return i + 1; }, std::move(options));
    while (auto one = co_await results.next())
        sum += *one;
    benchmark::DoNotOptimize(sum);
}
void parallel_map(benchmark::State& state) {
    tenure::runtime rt({.threads = static_cast<unsigned>(state.range(0))});
    tenure::map_options options{.jobs = static_cast<int>(state.range(0))};
    if (state.range(1) != 0) options.order = tenure::order::completion;
    if (state.range(2) != 0) options.timeout = std::chrono::seconds(1);
    for (auto _ : state)
        rt.block_on(read_all, std::ref(rt), options);
    state.SetItemsProcessed(state.iterations() * items);
}
BENCHMARK(parallel_map)
    ->ArgNames({"threads", "unordered", "timeout"})
    ->ArgsProduct({{1, 2}, {0, 1}, {0, 1}})
    ->UseRealTime();
} // namespace
