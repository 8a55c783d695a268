// For tests: virtual time, an order of running that is drawn from a seed, and cancellation at every point.
#pragma once
#include <tenure/core/runtime.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>

namespace tenure::inline v0::core::testing {

/// A driver whose clock jumps to the next timer when nothing can run.
/// Throws deadlock_error out of block_on() when nothing can run and no timer is armed; it shows the tree of tasks.
/// Threads: for runtimes with `.threads = 0` only.
class virtual_driver : public driver {
public:
    base::time_point now() noexcept override { return now_.load(std::memory_order_relaxed); }
    void park(base::time_point until) override;
    void unpark() noexcept override {}
    bool is_simulated() const noexcept override { return true; }

private:
    // Relaxed: plain functions on threads of their own look at it, too; it tells them nothing else.
    std::atomic<base::time_point> now_{base::time_point(std::chrono::hours(24))};
};

/// A runtime on virtual time that works on the thread that calls block_on().
runtime_options virtual_time(unread_failure_hook hook = {});

/// The same, and what may happen in different orders on real threads happens in one that the seed decides: which of the
/// tasks that are ready goes on, after how many ready awaits it lets others run, and whether tasks run between two timers
/// that are due together (which fire in the order in which they were armed, as always). One seed, one order.
runtime_options seeded(std::uint64_t seed, unread_failure_hook hook = {});

/// A test that failed under run(), explore() or cancel_at_every_point(): says what, and how to see it again.
class test_failure : public base::error {
public:
    using base::error::error;
};

/// Throws test_failure with the caller's place unless it holds.
void require(bool holds, std::string_view what = "a requirement does not hold",
             base::spawn_site at = base::spawn_site::current());

namespace detail {

struct test_case {
    std::function<task<void>(runtime&)> body;
    base::spawn_site at;
};
template <class F>
test_case case_of(F& f, base::spawn_site at) {
    constexpr bool with_runtime = std::is_invocable_r_v<task<void>, F&, runtime&>;
    static_assert(with_runtime || std::is_invocable_r_v<task<void>, F&>,
                  "a test is a coroutine: []() -> task<> { … }, or [](runtime& rt) -> task<> { … }");
    if constexpr (with_runtime)
        return {[&f](runtime& rt) -> task<void> { return f(rt); }, at};
    else
        return {[&f](runtime&) -> task<void> { return f(); }, at};
}
void run(std::uint64_t seed, const test_case& test);
void explore(std::uint64_t first, std::uint64_t seeds, const test_case& test);
std::size_t cancel_at_every_point(const test_case& test, const std::function<void()>& after);

} // namespace detail

/// Runs test() or test(runtime&), a coroutine, in a runtime of its own, in the order that the seed decides.
/// Throws: test_failure, which names the seed, if the test throws, cannot go on (then with the tree of tasks), leaves a task,
///   a timer or a descriptor behind, or a failure that nobody read.
template <class F>
void run(std::uint64_t seed, F test, base::spawn_site at = base::spawn_site::current()) {
    detail::run(seed, detail::case_of(test, at));
}

/// run() with the seeds first, first + 1, …: as many as told. Throws: the first failure.
template <class F>
void explore(std::uint64_t seeds, F test, std::uint64_t first = 1,
             base::spawn_site at = base::spawn_site::current()) {
    detail::explore(first, seeds, detail::case_of(test, at));
}

/// Runs test() or test(runtime&) once to its end, and then once for each point at which a task suspends (and every await
/// does, also a ready one), with the test's task cancelled there; the first time before it starts. after(), if given, is
/// called after each run: it throws if something that the test counts was not given back.
/// The test must end after the cancellation, as cancelled, with a value, or with task_cancelled; cleanup may take its time.
/// Returns the number of points.
/// Throws: test_failure, which shows the tree at the point, for what run() throws it for, and for what after() throws.
template <class F>
std::size_t cancel_at_every_point(F test, const std::function<void()>& after = {},
                                  base::spawn_site at = base::spawn_site::current()) {
    return detail::cancel_at_every_point(detail::case_of(test, at), after);
}

} // namespace tenure::inline v0::core::testing
