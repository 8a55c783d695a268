// The floor under a call to another process: two of them that look at shared words, and never sleep.
#include "latencies.hpp"

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr std::size_t places = 64;
struct alignas(64) word {
    std::atomic<std::uint64_t> task{0};
};
struct shared {
    word call[places];
    word result[places];
};

/// A process that answers each call by its number, and reads the first byte of what came with it.
class echo {
public:
    explicit echo(std::size_t payload = 0) : size_(sizeof(shared) + payload) {
        at_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (at_ == MAP_FAILED) throw std::runtime_error("mmap");
        words_ = new (at_) shared;
        pid_ = ::fork();
        if (pid_ == 0)
            for (std::uint64_t task = 1;; ++task) {
                while (words_->call[task % places].task.load(std::memory_order_acquire) != task) {}
                benchmark::DoNotOptimize(*payload_begin());
                words_->result[task % places].task.store(task, std::memory_order_release);
            }
    }
    echo(const echo&) = delete;
    echo& operator=(const echo&) = delete;
    ~echo() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        ::munmap(at_, size_);
    }
    void call() {
        ++called_;
        words_->call[called_ % places].task.store(called_, std::memory_order_release);
    }
    void take() {
        ++taken_;
        while (words_->result[taken_ % places].task.load(std::memory_order_acquire) != taken_) {}
    }
    char* payload_begin() { return static_cast<char*>(at_) + (size_ > sizeof(shared) ? sizeof(shared) : 0); }

private:
    std::size_t size_;
    void* at_;
    shared* words_;
    pid_t pid_;
    std::uint64_t called_ = 0;
    std::uint64_t taken_ = 0;
};

void round_trip(benchmark::State& state) {
    echo other;
    bench::latencies took(state);
    for (auto _ : state) {
        const auto begin = std::chrono::steady_clock::now();
        other.call();
        other.take();
        took.add(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
}
BENCHMARK(round_trip)->UseManualTime();

void pipelined(benchmark::State& state) {
    echo other;
    constexpr int calls = 200;
    const auto depth = state.range(0);
    for (auto _ : state) {
        for (std::int64_t i = 0; i < depth; ++i)
            other.call();
        for (std::int64_t i = depth; i < depth * calls; ++i) {
            other.take();
            other.call();
        }
        for (std::int64_t i = 0; i < depth; ++i)
            other.take();
    }
    state.SetItemsProcessed(state.iterations() * depth * calls);
}
BENCHMARK(pipelined)->Arg(8)->Arg(64)->UseRealTime();

/// Copied into memory that both have.
void payload(benchmark::State& state) {
    const std::vector<char> data(static_cast<std::size_t>(state.range(0)) << 20, 'x');
    echo other(data.size());
    for (auto _ : state) {
        std::memcpy(other.payload_begin(), data.data(), data.size());
        other.call();
        other.take();
    }
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * state.range(0) << 20);
}
BENCHMARK(payload)->Arg(1)->Arg(100)->UseRealTime();

} // namespace
