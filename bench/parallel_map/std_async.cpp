// What people write by hand: a std::async for each item, eight at a time.
#include <benchmark/benchmark.h>

#include <array>
#include <future>

namespace {
constexpr int items = 10'000; // each is a thread

void parallel_map(benchmark::State& state) {
    long sum = 0;
    for (auto _ : state)
        for (int i = 0; i < items; i += 8) {
            std::array<std::future<int>, 8> some;
            for (int k = 0; k < 8; ++k)
                some[static_cast<std::size_t>(k)] =
                    std::async(std::launch::async, [n = i + k] { return n + 1; });
            for (auto& one : some)
                sum += one.get();
        }
    benchmark::DoNotOptimize(sum);
    state.SetItemsProcessed(state.iterations() * items);
}
BENCHMARK(parallel_map)->ArgNames({"threads", "unordered", "timeout"})->Args({2, 0, 0})->UseRealTime();
} // namespace
