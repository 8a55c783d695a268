// Six pairs of tasks, the second of each given the future of the first. The handles are dropped, and nothing is lost.
//
// The same program on Prefect 3.8.8 with a Dask, Ray or process task runner: when only the second futures are kept, all
// runs (3.2.13 warned five times that a future had been garbage collected). When those are dropped, too, none of the six
// second tasks runs, nothing is said, and the flow is "Completed"; its thread runner ran three of the six.
#include <tenure/tenure.hpp>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <vector>

using namespace std::chrono_literals;

std::atomic<int> second_ran{0};

tenure::task<int> first(int i) {
    co_await tenure::sleep_for(20ms);
    co_return i;
}
int second(const int& from_first) {
    ++second_ran;
    return 10 * from_first;
}

void expect(bool holds) {
    if (!holds) std::abort();
}

tenure::task<> app() {
    // Only the second futures are kept: each child holds its parent, and is called with what the parent gave.
    co_await tenure::with_group([](tenure::group g) -> tenure::task<> {
        std::vector<tenure::future<int>> kept;
        for (int i = 0; i < 6; ++i) {
            auto parent = g.spawn(first, i);
            kept.push_back(g.spawn(second, parent));
        } // each parent's handle is dropped here
        int sum = 0;
        for (auto& f : kept)
            sum += co_await f;
        std::cout << "the second handles kept: sum " << sum << "\n";
        expect(sum == 150);
    });
    std::cout << "  second tasks that ran: " << second_ran << " of 6\n";
    expect(second_ran == 6);

    // No handle is kept at all: the group owns the tasks, so leaving it waits for them.
    second_ran = 0;
    co_await tenure::with_group([](tenure::group g) -> tenure::task<> {
        for (int i = 0; i < 6; ++i)
            (void)g.spawn(second, g.spawn(first, i));
        co_return;
    });
    std::cout << "no handle kept:\n  second tasks that ran: " << second_ran << " of 6 (Prefect: 0)\n";
    expect(second_ran == 6);

    // A parent that fails: the child is not run, and says so, with the parent's error inside.
    second_ran = 0;
    std::vector<tenure::task_failure> failures;
    auto note = [&failures](const tenure::task_failure& f) { failures.push_back(f); };
    auto body = [](tenure::group g) -> tenure::task<> {
        auto parent = g.spawn({.name = "parent"}, []() -> int { throw std::runtime_error("no such file"); });
        auto child = g.spawn({.name = "child"}, second, parent);
        co_await child.join();
    };
    co_await tenure::with_group(tenure::supervise(note), body);
    for (const auto& f : failures)
        std::cout << f.task.name << ": " << tenure::base::describe(f.error) << "\n";
    expect(failures.size() == 2 && second_ran == 0);
}

int main() { return tenure::run(app); }
