// 100,000 items of 1 us to 10 ms through a map, as they are done. over_ideal: the time it took by what it takes at least, which is
// what one thread needs for them in a loop, shared out among the threads; the best of each.
#include "loop_work.hpp"

#include <tenure/tenure.hpp>

#include <limits>
#include <ranges>

namespace {
using clock = std::chrono::steady_clock;

tenure::task<> read_all(tenure::runtime& rt, loop_work& work, int jobs) {
    auto results = tenure::map_outcomes(rt, std::views::iota(std::size_t{0}, work.count()),
                                        [&work](std::size_t i) { work(i); },
                                        {.jobs = jobs, .order = tenure::order::completion});
    while (co_await results.next()) {}
}
template <class F>
double seconds(F f) {
    const auto began = clock::now();
    f();
    return std::chrono::duration<double>(clock::now() - began).count();
}

void map_uneven(benchmark::State& state) {
    const auto jobs = static_cast<int>(state.range(0));
    loop_work work(state);
    tenure::runtime rt({.threads = static_cast<unsigned>(jobs)});
    double best = std::numeric_limits<double>::max();
    double alone = best;
    for (auto _ : state) {
        const double took = seconds([&] { rt.block_on(read_all, std::ref(rt), std::ref(work), jobs); });
        state.SetIterationTime(took);
        best = std::min(best, took);
        alone = std::min(alone, seconds([&work] {
                             for (std::size_t i = 0; i < work.count(); ++i)
                                 work(i);
                         }));
    }
    state.counters["over_ideal"] = best * jobs / alone;
}
BENCHMARK(map_uneven)
    ->ArgNames({"threads", "uneven"})
    ->Args({1, loop_work::many_uneven})
    ->Args({2, loop_work::many_uneven})
    ->UseManualTime()
    ->Iterations(3);
} // namespace
