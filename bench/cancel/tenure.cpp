// 100,000 tasks that wait are cancelled and joined. Timed: from the request until all have ended.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

namespace {
constexpr int tasks = 100'000;
using clock = std::chrono::steady_clock;

tenure::task<> wait_for_ever(std::atomic<int>* waiting) {
    waiting->fetch_add(1, std::memory_order_relaxed);
    co_await tenure::sleep_for(std::chrono::hours(1));
}
tenure::task<> spawn_and_cancel(std::atomic<int>* waiting, clock::time_point* asked) {
    auto body = [waiting, asked](tenure::group g) -> tenure::task<> {
        for (int i = 0; i < tasks; ++i)
            (void)g.spawn(wait_for_ever, waiting);
        while (waiting->load(std::memory_order_relaxed) < tasks)
            co_await tenure::yield();
        *asked = clock::now();
        g.cancel();
    };
    co_await tenure::with_group(body);
}
void cancel(benchmark::State& state) {
    tenure::runtime rt({.threads = static_cast<unsigned>(state.range(0))});
    for (auto _ : state) {
        std::atomic<int> waiting{0};
        clock::time_point asked;
        rt.block_on(spawn_and_cancel, &waiting, &asked);
        state.SetIterationTime(std::chrono::duration<double>(clock::now() - asked).count());
    }
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(cancel)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime();
} // namespace
