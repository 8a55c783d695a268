// 10,000,000 items of next to no work each, and 10,000 of very different lengths.
#include "loop_work.hpp"

#include <tenure/tenure.hpp>

namespace {
void parallel_for(benchmark::State& state) {
    tenure::runtime rt({.threads = static_cast<unsigned>(state.range(0))});
    loop_work work(state);
    for (auto _ : state)
        tenure::parallel_for(rt, work.count(), [&](std::size_t i) { work(i); },
                             {.jobs = static_cast<int>(state.range(0))});
}
LOOP_WORK_BENCHMARK(parallel_for);
} // namespace
