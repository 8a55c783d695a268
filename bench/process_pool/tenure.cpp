// Worker processes: the time of a call, alone and with others behind it; of what travels; of a start and of a death.
#include "latencies.hpp"

#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using tenure::fn;
using tenure::task;
using clock_type = std::chrono::steady_clock;

namespace {

int add(int a, int b) { return a + b; }
double first_of(const tenure::wire::view<double>& v) { return v.empty() ? 0 : v[0]; }
int dies() { return ::raise(SIGKILL); }

double seconds_since(clock_type::time_point t) {
    return std::chrono::duration<double>(clock_type::now() - t).count();
}

/// One call after the other: the worker and the caller look for each other without sleeping.
void round_trip(benchmark::State& state) {
    tenure::runtime rt({.threads = 0});
    tenure::processes p(rt, {.workers = 1});
    auto body = [&]() -> task<> {
        (void)co_await p.call(fn<&add>, 1, 2);
        bench::latencies took(state);
        for (auto _ : state) {
            const auto begin = clock_type::now();
            benchmark::DoNotOptimize(co_await p.call(fn<&add>, 1, 2));
            took.add(seconds_since(begin));
        }
    };
    rt.block_on(body);
}
BENCHMARK(round_trip)->UseManualTime();

/// The same with a pause before each call, so that both sides sleep.
void round_trip_parked(benchmark::State& state) {
    tenure::runtime rt({.threads = 0});
    tenure::processes p(rt, {.workers = 1});
    auto body = [&]() -> task<> {
        (void)co_await p.call(fn<&add>, 1, 2);
        bench::latencies took(state);
        for (auto _ : state) {
            co_await tenure::sleep_for(1ms);
            const auto begin = clock_type::now();
            benchmark::DoNotOptimize(co_await p.call(fn<&add>, 1, 2));
            took.add(seconds_since(begin));
        }
    };
    rt.block_on(body);
}
BENCHMARK(round_trip_parked)->UseManualTime()->Iterations(500);

/// So many tasks, each of which makes one call after the other.
void pipelined(benchmark::State& state) {
    tenure::runtime rt({.threads = 0});
    tenure::processes p(rt, {.workers = 1});
    constexpr int calls = 200;
    const auto depth = state.range(0);
    auto body = [&]() -> task<> {
        (void)co_await p.call(fn<&add>, 1, 2);
        for (auto _ : state) {
            auto scope = [&](tenure::group g) -> task<> {
                auto one = [&]() -> task<> {
                    for (int i = 0; i < calls; ++i)
                        benchmark::DoNotOptimize(co_await p.call(fn<&add>, i, 2));
                };
                for (std::int64_t i = 0; i < depth; ++i)
                    (void)g.spawn(one);
                co_return;
            };
            co_await tenure::with_group(scope);
        }
    };
    rt.block_on(body);
    state.SetItemsProcessed(state.iterations() * depth * calls);
}
BENCHMARK(pipelined)->Arg(8)->Arg(64)->UseRealTime();

/// Megabytes of arguments, copied into the arena; the worker reads the first element.
void payload(benchmark::State& state) {
    tenure::runtime rt({.threads = 0});
    tenure::processes p(rt, {.workers = 1});
    const std::vector<double> data(static_cast<std::size_t>(state.range(0)) * 131'072, 1.5);
    auto body = [&]() -> task<> {
        for (auto _ : state)
            benchmark::DoNotOptimize(co_await p.call(fn<&first_of>, data));
    };
    rt.block_on(body);
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * state.range(0) << 20);
}
BENCHMARK(payload)->Arg(1)->Arg(100)->UseRealTime();

double first_of_buffer(const tenure::shared_buffer<double>& b) { return b[0]; }
tenure::shared_buffer<double> same(tenure::shared_buffer<double> b) { return b; }

/// Megabytes that were born where the worker sees them: handed over, and handed back.
void born(benchmark::State& state) {
    tenure::runtime rt({.threads = 0});
    tenure::processes p(rt, {.workers = 1});
    auto body = [&]() -> task<> {
        auto b = p.buffer<double>(static_cast<std::size_t>(state.range(0)) * 131'072);
        std::fill(b.begin(), b.end(), 1.5);
        bench::latencies took(state);
        for (auto _ : state) {
            const auto begin = clock_type::now();
            b = co_await p.call(fn<&same>, std::move(b));
            took.add(seconds_since(begin));
        }
        benchmark::DoNotOptimize(co_await p.call(fn<&first_of_buffer>, std::move(b)));
    };
    rt.block_on(body);
}
BENCHMARK(born)->Arg(1)->Arg(100)->Arg(1000)->UseManualTime();

/// The same with a pause before each call, so that both sides sleep.
void born_parked(benchmark::State& state) {
    tenure::runtime rt({.threads = 0});
    tenure::processes p(rt, {.workers = 1});
    auto body = [&]() -> task<> {
        auto b = p.buffer<double>(static_cast<std::size_t>(state.range(0)) * 131'072);
        bench::latencies took(state);
        for (auto _ : state) {
            co_await tenure::sleep_for(1ms);
            const auto begin = clock_type::now();
            b = co_await p.call(fn<&same>, std::move(b));
            took.add(seconds_since(begin));
        }
    };
    rt.block_on(body);
}
BENCHMARK(born_parked)->Arg(100)->UseManualTime()->Iterations(500);

/// From nothing to the first result, and the end of all processes; with so many megabytes of memory in use.
void start(benchmark::State& state) {
    tenure::runtime rt({.threads = 0});
    std::vector<char> heap(static_cast<std::size_t>(state.range(0)) << 20, 'x');
    benchmark::DoNotOptimize(heap.data());
    auto body = [&]() -> task<> {
        bench::latencies took(state);
        for (auto _ : state) {
            const auto begin = clock_type::now();
            tenure::processes p({.workers = 1});
            benchmark::DoNotOptimize(co_await p.call(fn<&add>, 1, 2));
            took.add(seconds_since(begin));
        }
    };
    rt.block_on(body);
}
BENCHMARK(start)->Arg(1)->Arg(1000)->UseManualTime()->Iterations(50);

/// From the call that kills its worker to its failure.
void death(benchmark::State& state) {
    tenure::runtime rt({.threads = 0});
    tenure::processes p(rt, {.workers = 1});
    auto body = [&]() -> task<> {
        bench::latencies took(state);
        for (auto _ : state) {
            (void)co_await p.call(fn<&add>, 1, 2);
            const auto begin = clock_type::now();
            try {
                (void)co_await p.call(fn<&dies>);
            } catch (const tenure::worker_died&) {
                took.add(seconds_since(begin));
            }
        }
    };
    rt.block_on(body);
}
BENCHMARK(death)->UseManualTime()->Iterations(100);

} // namespace
