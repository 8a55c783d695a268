#include <benchmark/benchmark.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

namespace {
namespace asio = boost::asio;
constexpr int timers = 100'000;

void timer(benchmark::State& state) {
    asio::thread_pool pool(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state)
        asio::post(pool, asio::use_future([&pool] {
                       for (int i = 0; i < timers; ++i) {
                           asio::steady_timer timer(pool, std::chrono::hours(1));
                           timer.async_wait([](const boost::system::error_code&) {});
                           timer.cancel();
                       }
                   }))
            .get();
    state.SetItemsProcessed(state.iterations() * timers);
}
BENCHMARK(timer)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
