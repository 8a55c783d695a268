// A pool of worker processes, in which a task makes a pool of its own, in which three tasks throw. Their futures and
// exceptions are kept on purpose, for ever; one more task never returns. The program exits all the same, with the status that
// it wants, in well under a second, and nothing is left: no process, no descriptor, no shared memory.
//
// concurrent.futures: with a pool inside a worker of a pool the program never exits (CPython 3.11: the worker waits for its
// children before it tells them to stop; the kept exception holds the executor alive).
#include <tenure/tenure.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;
using tenure::fn;
using tenure::task;

int fails(int n) { throw std::runtime_error("no " + std::to_string(n)); }
void never_returns() {
    for (;;)
        ::pause();
}

/// Runs in a worker: has a runtime and a pool of its own.
int nested(int calls) {
    static std::vector<std::exception_ptr> kept; // until the worker is gone
    tenure::runtime rt({.threads = 1});
    static tenure::processes inner(rt,
                                   {.workers = 2}); // nobody ends it but the runtime of this process's owner
    auto body = [&](tenure::group g) -> task<int> {
        std::vector<tenure::future<int>> all;
        auto one = [](int n) -> task<int> { co_return co_await inner.call(fn<&fails>, n); };
        auto supervised = tenure::group_options().on_child_failure([](const tenure::task_failure&) {});
        auto scope = [&](tenure::group of) -> task<> {
            for (int n = 0; n < calls; ++n)
                all.push_back(of.spawn(one, n));
            co_return;
        };
        co_await tenure::with_group(supervised, scope);
        for (const auto& f : all)
            kept.push_back(f.error());
        (void)g;
        co_return static_cast<int>(kept.size());
    };
    auto in_group = [&]() -> task<int> { co_return co_await tenure::with_group(body); };
    return rt.block_on(in_group);
}

task<int> app() {
    const auto began = std::chrono::steady_clock::now();
    int thrown = 0;
    {
        tenure::processes outer({.workers = 2, .grace = 20ms});
        thrown = co_await outer.call(fn<&nested>, 3);
        std::cout << thrown << " tasks of the inner pool have thrown, and what they threw is kept\n";

        const tenure::call_options soon{.timeout = 50ms};
        try {
            co_await outer.call(soon, fn<&never_returns>);
        } catch (const tenure::timeout_error& e) {
            std::cout << "the one that never returns: " << e.what() << "\n";
        }
    } // the pool, its workers, and all that they have started
    const auto took = std::chrono::steady_clock::now() - began;
    std::cout << "all processes are gone after "
              << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms\n";
    co_return thrown == 3 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main() { return tenure::run(app, {.threads = 1}); }
