#include <benchmark/benchmark.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

namespace {
namespace asio = boost::asio;
constexpr int tasks = 100'000;

asio::awaitable<void> nothing() { co_return; }
asio::awaitable<void> one_after_the_other() {
    const auto executor = co_await asio::this_coro::executor;
    for (int i = 0; i < tasks; ++i)
        co_await asio::co_spawn(executor, nothing(), asio::use_awaitable);
}
void spawn_await(benchmark::State& state) {
    asio::thread_pool pool(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state)
        asio::co_spawn(pool, one_after_the_other(), asio::use_future).get();
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(spawn_await)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
