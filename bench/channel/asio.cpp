#include <benchmark/benchmark.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace {
namespace asio = boost::asio;
using concurrent_channel = asio::experimental::concurrent_channel<void(boost::system::error_code, long)>;
constexpr long items = 200'000;

asio::awaitable<void> produce(concurrent_channel& to, long n) {
    for (long i = 0; i < n; ++i)
        co_await to.async_send({}, i, asio::use_awaitable);
}
asio::awaitable<void> consume(concurrent_channel& from, long n, std::atomic<long>& sum) {
    long mine = 0;
    for (long i = 0; i < n; ++i)
        mine += co_await from.async_receive(asio::use_awaitable);
    sum += mine;
}
void channel(benchmark::State& state) {
    const long each = state.range(1);
    for (auto _ : state) {
        asio::thread_pool pool(static_cast<std::size_t>(state.range(0)));
        concurrent_channel c(pool, 1024);
        std::atomic<long> sum{0};
        for (long i = 0; i < each; ++i) {
            asio::co_spawn(pool, consume(c, items / each, sum), asio::detached);
            asio::co_spawn(pool, produce(c, items / each), asio::detached);
        }
        pool.join();
        benchmark::DoNotOptimize(sum.load());
    }
    state.SetItemsProcessed(state.iterations() * items);
}
BENCHMARK(channel)->ArgsProduct({{1, 2}, {1, 4}})->ArgNames({"threads", "each"})->UseRealTime();
} // namespace
