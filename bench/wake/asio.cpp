#include "wakes.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

namespace {
void wake(benchmark::State& state) {
    boost::asio::thread_pool pool(static_cast<std::size_t>(state.range(0)));
    bench::measure_wakes(state,
                         [&pool](auto ran) { boost::asio::post(pool, boost::asio::use_future(ran)).get(); });
}
BENCHMARK(wake)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Iterations(2000);
} // namespace
