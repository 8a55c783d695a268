// Tasks and owners: who waits for whom, and where a failure goes.
#include <tenure/tenure.hpp>

#include <iostream>
#include <stdexcept>

using namespace std::chrono_literals;
using tenure::group;
using tenure::task;

task<int> length(std::string text) {
    co_await tenure::sleep_for(1ms);
    co_return static_cast<int>(text.size());
}
task<> fails() {
    co_await tenure::sleep_for(1ms);
    throw std::runtime_error("the disk is full");
}
task<> waits_for_ever() { co_await tenure::sleep_for(24h); }

task<> app() {
    // Children borrow the locals around their scope: it is not left before they have ended.
    int sum = 0;
    co_await tenure::with_group([&sum](group g) -> task<> {
        auto a = g.spawn(length, "one");
        auto b = g.spawn({.name = "second"}, length, "three"); // a name for errors and dumps
        sum = co_await a + co_await b;
    });
    std::cout << "sum " << sum << "\n";

    // A dropped handle loses nothing: the group owns the task, the handle only looks at it.
    co_await tenure::with_group([](group g) -> task<> {
        (void)g.spawn([] { std::cout << "runs without a handle\n"; });
        co_return;
    });

    // The first failure cancels the others, and leaves the scope when all have ended.
    try {
        co_await tenure::with_group([](group g) -> task<> {
            (void)g.spawn(waits_for_ever);
            (void)g.spawn(fails);
            co_return;
        });
    } catch (const std::runtime_error& e) {
        std::cout << "the group failed: " << e.what() << "\n";
    }
}

int main() {
    // From plain code: a runtime owns what is submitted to it, and closes when it is destroyed.
    tenure::runtime rt({.threads = 2});
    tenure::future<int> answer = rt.submit(length, "forty-two");
    std::cout << "length " << answer.get() << "\n";
    rt.block_on(app);
    rt.close();
    std::cout << (rt.audit().clean() ? "nothing is left\n" : "something is left\n");
}
