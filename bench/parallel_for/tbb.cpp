#include "loop_work.hpp"
#include "tbb_arena.hpp"

#include <tbb/parallel_for.h>

namespace {
void parallel_for(benchmark::State& state) {
    bench::tbb_arena arena(state);
    loop_work work(state);
    for (auto _ : state)
        arena->execute(
            [&] { tbb::parallel_for(std::size_t{0}, work.count(), [&](std::size_t i) { work(i); }); });
}
LOOP_WORK_BENCHMARK(parallel_for);
} // namespace
