#include "tbb_arena.hpp"
#include "wakes.hpp"

#include <latch>

namespace {
void wake(benchmark::State& state) {
    bench::tbb_arena arena(state, bench::tbb_arena::caller::submits_only);
    bench::measure_wakes(state, [&arena](auto ran) {
        std::latch done(1);
        arena->enqueue([&] {
            ran();
            done.count_down();
        });
        done.wait();
    });
}
BENCHMARK(wake)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Iterations(2000);
} // namespace
