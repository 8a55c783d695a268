// Two processes with a pipe each way: what a call costs by the means that every system has. Both sides sleep.
#include "latencies.hpp"

#include <benchmark/benchmark.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

void write_all(int fd, const void* from, std::size_t n) {
    for (const char* at = static_cast<const char*>(from); n > 0;) {
        const ssize_t written = ::write(fd, at, n);
        if (written <= 0) throw std::runtime_error("write");
        at += written;
        n -= static_cast<std::size_t>(written);
    }
}
void read_all(int fd, void* to, std::size_t n) {
    for (char* at = static_cast<char*>(to); n > 0;) {
        const ssize_t got = ::read(fd, at, n);
        if (got <= 0) throw std::runtime_error("read");
        at += got;
        n -= static_cast<std::size_t>(got);
    }
}

/// A process that answers each message, which is its size and so many bytes, by the size.
class echo {
public:
    echo() {
        if (::pipe(calls_) != 0 || ::pipe(results_) != 0) throw std::runtime_error("pipe");
        pid_ = ::fork();
        if (pid_ != 0) return;
        std::vector<char> message;
        for (std::uint64_t size = 0;;) {
            read_all(calls_[0], &size, sizeof size);
            message.resize(size);
            read_all(calls_[0], message.data(), size);
            write_all(results_[1], &size, sizeof size);
        }
    }
    echo(const echo&) = delete;
    echo& operator=(const echo&) = delete;
    ~echo() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        for (const int fd : {calls_[0], calls_[1], results_[0], results_[1]})
            ::close(fd);
    }
    void call(const std::vector<char>& message = {}) {
        const std::uint64_t size = message.size();
        write_all(calls_[1], &size, sizeof size);
        write_all(calls_[1], message.data(), message.size());
    }
    void take() {
        std::uint64_t size = 0;
        read_all(results_[0], &size, sizeof size);
    }

private:
    int calls_[2];
    int results_[2];
    pid_t pid_;
};

void time_one(echo& other, bench::latencies& took) {
    const auto begin = std::chrono::steady_clock::now();
    other.call();
    other.take();
    took.add(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
}

void round_trip(benchmark::State& state) {
    echo other;
    bench::latencies took(state);
    for (auto _ : state)
        time_one(other, took);
}
BENCHMARK(round_trip)->UseManualTime();

void round_trip_parked(benchmark::State& state) {
    echo other;
    bench::latencies took(state);
    for (auto _ : state) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        time_one(other, took);
    }
}
BENCHMARK(round_trip_parked)->UseManualTime()->Iterations(500);

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

void payload(benchmark::State& state) {
    const std::vector<char> data(static_cast<std::size_t>(state.range(0)) << 20, 'x');
    echo other;
    for (auto _ : state) {
        other.call(data);
        other.take();
    }
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * state.range(0) << 20);
}
BENCHMARK(payload)->Arg(1)->Arg(100)->UseRealTime();

} // namespace
