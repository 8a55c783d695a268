// One of a hundred items is stuck: how long after its time it is told of. As a list, which says so when all have ended; in the
// order of the items; as they are done. On threads, and in worker processes.
#include "latencies.hpp"

#include <tenure/tenure.hpp>

#include <condition_variable>
#include <cstdlib>
#include <fcntl.h>
#include <mutex>
#include <ranges>
#include <string>
#include <unistd.h>

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

tenure::map_options options_of(mode how) {
    return {.jobs = 2,
            .timeout = timeout,
            .order = how == unordered ? tenure::order::completion : tenure::order::input};
}
clock::time_point time_of_the_news(tenure::runtime& rt, mode how,
                                   tenure::stream<tenure::item_outcome<void>> results) {
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
        const auto how = static_cast<mode>(state.range(0));
        auto f = [&stuck](int i) {
            if (i == items / 2) stuck();
        };
        const auto told = time_of_the_news(
            rt, how, tenure::map_outcomes(rt, std::views::iota(0, items), f, options_of(how)));
        late.add(std::chrono::duration<double>(told - stuck.began() - timeout).count());
        stuck.let_go();
        while (rt.audit().tasks != 0)
            std::this_thread::yield();
    }
}
BENCHMARK(item_timeout)->ArgName("mode")->DenseRange(list, unordered)->UseManualTime()->Iterations(300);

/// Writes down when it began, and does not come back.
struct stuck_in_process {
    std::string file;
    void operator()(int i) const {
        if (i != items / 2) return;
        const auto now = clock::now();
        const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
        if (::write(fd, &now, sizeof now) != sizeof now) ::_exit(1);
        for (;;)
            ::pause();
    }
};
clock::time_point time_in(int fd) {
    clock::time_point t;
    if (::pread(fd, &t, sizeof t, 0) != sizeof t) std::abort();
    return t;
}

void item_timeout_in_process(benchmark::State& state) {
    tenure::runtime rt({.threads = 2});
    tenure::processes workers(rt, {.workers = 2, .grace = 1ms});
    std::string file = "/tmp/tenure-bench-XXXXXX";
    const int fd = ::mkstemp(file.data());
    bench::latencies late(state);
    for (auto _ : state) {
        const auto how = static_cast<mode>(state.range(0));
        const auto told = time_of_the_news(rt, how,
                                           tenure::map_outcomes(rt, workers, std::views::iota(0, items),
                                                                stuck_in_process{file}, options_of(how)));
        late.add(std::chrono::duration<double>(told - time_in(fd) - timeout).count());
    }
    ::close(fd);
    ::unlink(file.c_str());
}
BENCHMARK(item_timeout_in_process)
    ->ArgName("mode")
    ->DenseRange(list, unordered)
    ->UseManualTime()
    ->Iterations(100);
} // namespace
