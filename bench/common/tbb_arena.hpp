// Where the TBB contenders run their tasks, on the number of threads that the benchmark asks for.
#pragma once
#include <benchmark/benchmark.h>

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

namespace bench {

/// One of the threads is the caller's; if that only submits, there is a worker more.
class tbb_arena {
public:
    enum class caller { works, submits_only };
    explicit tbb_arena(const benchmark::State& state, caller c = caller::works)
        : threads_(static_cast<int>(state.range(0)) + (c == caller::submits_only ? 1 : 0)) {}
    tbb::task_arena* operator->() noexcept { return &arena_; }

private:
    int threads_;
    tbb::global_control limit_{tbb::global_control::max_allowed_parallelism,
                               static_cast<std::size_t>(threads_)};
    tbb::task_arena arena_{threads_};
};

} // namespace bench
