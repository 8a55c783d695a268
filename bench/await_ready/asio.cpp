#include <benchmark/benchmark.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

namespace {
namespace asio = boost::asio;
constexpr int awaits = 1'000'000;

asio::awaitable<int> child(int i) { co_return i; }
asio::awaitable<long> parent() {
    long sum = 0;
    for (int i = 0; i < awaits; ++i)
        sum += co_await child(i);
    co_return sum;
}
void await_ready(benchmark::State& state) {
    for (auto _ : state) {
        asio::io_context context(1);
        auto sum = asio::co_spawn(context, parent(), asio::use_future);
        context.run();
        benchmark::DoNotOptimize(sum.get());
    }
    state.SetItemsProcessed(state.iterations() * awaits);
}
BENCHMARK(await_ready)->UseRealTime();
} // namespace
