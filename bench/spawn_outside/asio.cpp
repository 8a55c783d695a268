// post() has no handle: the tasks are joined by a count.
#include <benchmark/benchmark.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <latch>

namespace {
constexpr int tasks = 100'000;

void spawn_outside(benchmark::State& state) {
    boost::asio::thread_pool pool(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        std::latch all(tasks);
        for (int i = 0; i < tasks; ++i)
            boost::asio::post(pool, [&all] { all.count_down(); });
        all.wait();
    }
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(spawn_outside)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
