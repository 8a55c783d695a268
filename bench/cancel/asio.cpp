// Each coroutine has a cancellation signal of its own, in one thread: signals are not thread-safe.
#include <benchmark/benchmark.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <deque>
#include <exception>

namespace {
namespace asio = boost::asio;
constexpr int tasks = 100'000;
using clock = std::chrono::steady_clock;

asio::awaitable<void> wait_for_ever() {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
    co_await timer.async_wait(asio::use_awaitable);
}
void cancel(benchmark::State& state) {
    for (auto _ : state) {
        asio::io_context context(1);
        std::deque<asio::cancellation_signal> signals(tasks);
        int left = tasks;
        for (auto& signal : signals)
            asio::co_spawn(
                context, wait_for_ever(),
                asio::bind_cancellation_slot(signal.slot(), [&left](const std::exception_ptr&) { --left; }));
        context.poll(); // all wait
        const auto asked = clock::now();
        for (auto& signal : signals)
            signal.emit(asio::cancellation_type::all);
        while (left > 0)
            context.run_one();
        state.SetIterationTime(std::chrono::duration<double>(clock::now() - asked).count());
    }
    state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(cancel)->UseManualTime();
} // namespace
