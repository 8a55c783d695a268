// Trivial items over worker processes: in batches that are chosen, and one by one; with a timeout for each.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

#include <ranges>

namespace {

int next(int i) { return i + 1; }

tenure::task<> read_all(tenure::processes& workers, int items, tenure::map_options options) {
    long sum = 0;
    auto all = [&](tenure::group g) -> tenure::task<> {
        auto results = tenure::map(g, workers, std::views::iota(0, items), tenure::fn<&next>, options);
        while (auto one = co_await results.next())
            sum += *one;
    };
    co_await tenure::with_group(all);
    benchmark::DoNotOptimize(sum);
}
void map_processes(benchmark::State& state) {
    const auto workers = static_cast<unsigned>(state.range(0));
    const int items = state.range(1) == 0 ? 1'000'000 : 100'000;
    tenure::runtime rt({.threads = 0});
    tenure::processes pool(rt, {.workers = workers});
    tenure::map_options options;
    if (state.range(1) != 0) options.batch_size = static_cast<std::size_t>(state.range(1));
    if (state.range(2) != 0) options.timeout = std::chrono::seconds(1);
    if (state.range(3) != 0) options.order = tenure::order::completion;
    rt.block_on(read_all, std::ref(pool), 1000, options);
    for (auto _ : state)
        rt.block_on(read_all, std::ref(pool), items, options);
    state.SetItemsProcessed(state.iterations() * items);
    state.counters["ns_an_item"] =
        benchmark::Counter(static_cast<double>(items),
                           benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert,
                           benchmark::Counter::kIs1000);
}
BENCHMARK(map_processes)
    ->ArgNames({"workers", "batch", "timeout", "unordered"})
    ->ArgsProduct({{1, 2}, {0, 1}, {0, 1}, {0, 1}})
    ->UseRealTime();

} // namespace
