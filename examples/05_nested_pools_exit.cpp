// A pool of worker processes, in which a task makes a pool of its own, in which three tasks throw. Their futures, what they
// threw, and the pool itself are kept on purpose, for ever. The program exits all the same, with the status that it wants, in
// well under a second, and nothing is left: no process, no descriptor, no shared memory.
//
//   05_nested_pools_exit          three tasks throw
//   05_nested_pools_exit stuck    and a task of the inner pool never returns: its call has 50 ms
//   05_nested_pools_exit wait     and nobody ends it: kill -9 the program, and all of its processes are gone
//
// concurrent.futures: with a pool inside a worker of a pool the program never exits (CPython 3.11: the worker waits for its
// children before it tells them to stop; the kept exception holds the executor alive).
#include <tenure/tenure.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;
using tenure::fn;
using tenure::task;

// ---- in the workers of the inner pool

int fails(int n) { throw std::runtime_error("no " + std::to_string(n)); }
int never_returns() {
    std::cout << "this one never returns\n" << std::flush;
    for (;;)
        ::pause();
}

// ---- in the worker of the outer pool

/// What it keeps. Nobody ends any of it but the owner of this process.
struct kept_for_ever {
    tenure::runtime rt{{.threads = 1}};
    tenure::processes inner{rt, 2};
    std::vector<tenure::future<int>> futures;
    std::vector<std::exception_ptr> exceptions;
};
kept_for_ever& kept() {
    static kept_for_ever all;
    return all;
}

int three_throw() {
    auto fail = [](int n) -> task<int> { co_return co_await kept().inner.call(fn<&fails>, n); };
    auto spawn_three = [&](tenure::group g) -> task<> {
        for (int n = 0; n < 3; ++n)
            kept().futures.push_back(g.spawn(fail, n));
        co_return;
    };
    // A group in which a failure of one is no reason to cancel the others.
    auto supervised = [&]() -> task<> {
        const auto options = tenure::group_options().on_child_failure([](const tenure::task_failure&) {});
        co_await tenure::with_group(options, spawn_three);
    };
    kept().rt.block_on(supervised);
    for (const auto& f : kept().futures)
        kept().exceptions.push_back(f.error());
    return static_cast<int>(kept().exceptions.size());
}
int one_is_stuck() {
    auto wait = []() -> task<int> { co_return co_await kept().inner.call(fn<&never_returns>); };
    return kept().rt.block_on(wait);
}

// ---- in the program

task<int> app(std::string_view mode) {
    tenure::processes outer(1, {.grace = 20ms});
    const int thrown = co_await outer.call(fn<&three_throw>);
    std::cout << thrown << " tasks of the inner pool have thrown, and what they threw is kept\n"
              << std::flush;

    const tenure::call_options soon{.timeout = 50ms};
    try {
        if (mode == "stuck") (void)co_await outer.call(soon, fn<&one_is_stuck>);
        if (mode == "wait") (void)co_await outer.call(fn<&one_is_stuck>);
    } catch (const tenure::timeout_error& e) {
        std::cout << "the one that never returns: " << e.what() << "\n";
    }
    co_return thrown == 3 ? EXIT_SUCCESS : EXIT_FAILURE;
} // the pool closes here: its worker ends, and all that it has started

int main(int argc, char** argv) {
    if (const auto status = tenure::enter_worker()) return *status;
    const auto began = std::chrono::steady_clock::now();

    tenure::runtime rt({.threads = 1});
    const int status = rt.block_on(app, std::string_view(argc > 1 ? argv[1] : ""));
    rt.close();

    const auto took = std::chrono::steady_clock::now() - began;
    std::cout << "over after " << std::chrono::duration_cast<std::chrono::milliseconds>(took).count()
              << " ms\n";
    const tenure::audit_report left = rt.audit();
    std::cout << "left: " << left.tasks << " tasks, " << left.timers << " timers, " << left.descriptors
              << " descriptors, " << left.processes << " processes\n";
    return left.clean() ? status : EXIT_FAILURE;
}
