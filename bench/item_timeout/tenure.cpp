// One of a hundred items is stuck: how long after its time it is told of. As a list, which says so when all have ended; in the
// order of the items; as they are done.
#include "latencies.hpp"

#include <tenure/tenure.hpp>

#include <condition_variable>
#include <mutex>
#include <ranges>

namespace {
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto timeout = 10ms;
constexpr int items = 100;

/// Waits until it is let go.
class stuck_function {
public:
    void operator()() {
        std::unique_lock lock(mutex_);
        began_ = clock::now();
        over_.wait(lock, [this] { return let_go_; });
    }
    void let_go() {
        const std::lock_guard lock(mutex_);
        let_go_ = true;
        over_.notify_all();
    }
    clock::time_point began() {
        const std::lock_guard lock(mutex_);
        return began_;
    }

private:
    std::mutex mutex_;
    std::condition_variable over_;
    clock::time_point began_;
    bool let_go_ = false;
};

enum mode : std::int64_t { list, ordered, unordered };

clock::time_point time_of_the_news(tenure::runtime& rt, mode how, stuck_function& stuck) {
    auto f = [&stuck](int i) {
        if (i == items / 2) stuck();
    };
    auto results =
        tenure::map_outcomes(rt, std::views::iota(0, items), f,
                             {.jobs = 2,
                              .timeout = timeout,
                              .order = how == unordered ? tenure::order::completion : tenure::order::input});
    clock::time_point told;
    if (how == list) {
        const auto all = rt.block_on([&results] { return std::move(results).collect(); });
        return clock::now();
    }
    for (const auto& one : results)
        if (one.status() == tenure::item_status::timed_out) told = clock::now();
    return told;
}

void item_timeout(benchmark::State& state) {
    tenure::runtime rt({.threads = 2});
    bench::latencies late(state);
    for (auto _ : state) {
        stuck_function stuck;
        const auto told = time_of_the_news(rt, static_cast<mode>(state.range(0)), stuck);
        late.add(std::chrono::duration<double>(told - stuck.began() - timeout).count());
        stuck.let_go();
        while (rt.audit().tasks != 0)
            std::this_thread::yield();
    }
}
BENCHMARK(item_timeout)->ArgName("mode")->DenseRange(list, unordered)->UseManualTime()->Iterations(300);
} // namespace
