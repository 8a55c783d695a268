#include "latencies.hpp"

#include <latch>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

namespace {
void wake(benchmark::State& state) {
    const auto threads = static_cast<int>(state.range(0));
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                    static_cast<std::size_t>(threads) + 1);
    tbb::task_arena arena(threads + 1, 1);
    bench::measure_wakes(state, [&arena](auto ran) {
        std::latch done(1);
        arena.enqueue([&] {
            ran();
            done.count_down();
        });
        done.wait();
    });
}
BENCHMARK(wake)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Iterations(2000);
} // namespace
