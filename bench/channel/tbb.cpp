// TBB's queue blocks threads, so each producer and each consumer is one.
#include <benchmark/benchmark.h>

#include <atomic>
#include <tbb/concurrent_queue.h>
#include <thread>
#include <vector>

namespace {
constexpr long items = 1'000'000;

void channel(benchmark::State& state) {
    const long each = state.range(1);
    for (auto _ : state) {
        tbb::concurrent_bounded_queue<long> q;
        q.set_capacity(1024);
        std::atomic<long> sum{0};
        std::vector<std::thread> threads;
        for (long i = 0; i < each; ++i) {
            threads.emplace_back([&] {
                for (long n = 0; n < items / each; ++n)
                    q.push(n);
            });
            threads.emplace_back([&] {
                long mine = 0, v = 0;
                for (long n = 0; n < items / each; ++n) {
                    q.pop(v);
                    mine += v;
                }
                sum += mine;
            });
        }
        for (auto& t : threads)
            t.join();
        benchmark::DoNotOptimize(sum.load());
    }
    state.SetItemsProcessed(state.iterations() * items);
}
BENCHMARK(channel)->ArgsProduct({{2}, {1, 4}})->ArgNames({"threads", "each"})->UseRealTime();
} // namespace
