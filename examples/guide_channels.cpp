// Channels and select_any: bounded queues between tasks, and a wait for several things of which one is taken.
#include <tenure/tenure.hpp>

#include <iostream>
#include <string>

using namespace std::chrono_literals;
using tenure::channel;
using tenure::group;
using tenure::task;

task<> read_pages(channel<std::string> to) {
    for (int i = 1; i <= 3; ++i)
        co_await to.send("page " + std::to_string(i)); // waits while the channel is full
    to.close();                                        // what is inside is still received
}
task<> count_letters(channel<std::string> from, int& letters) {
    while (auto page = co_await from.receive()) // empty: closed, and nothing is left inside
        letters += static_cast<int>(page->size());
}

/// Works until it is told to stop, and says every 10 ms that it lives: Go's select with ctx.Done().
task<> serve(channel<int> orders, tenure::context stop) {
    for (;;) {
        auto which =
            co_await tenure::select_any(tenure::biased, stop, orders.receive(), tenure::sleep_for(10ms));
        switch (which.index()) {
        case 0: std::cout << "stops: " << std::get<0>(which)->message << "\n"; co_return;
        case 1:
            if (const auto& order = std::get<1>(which)) std::cout << "order " << *order << "\n";
            break;
        default: std::cout << "nothing to do\n"; break;
        }
    }
}

task<> app() {
    // At most two pages are ahead of the reader, whatever the speed of the two.
    const channel<std::string> pages(2);
    int letters = 0;
    co_await tenure::with_group([&](group g) -> task<> {
        (void)g.spawn(read_pages, pages);
        (void)g.spawn(count_letters, pages, std::ref(letters));
        co_return;
    });
    std::cout << letters << " letters\n";

    // Exactly one arm is taken; the others are left as if nobody had asked.
    const channel<int> orders(0); // no buffer: send() returns when the item is in the receiver's hands
    const auto stop = tenure::context::current().with_cancel();
    co_await tenure::with_group([&](group g) -> task<> {
        (void)g.spawn(serve, orders, stop);
        co_await orders.send(1);
        co_await tenure::sleep_for(15ms);
        co_await orders.send(2);
        stop.cancel("the shop closes");
    });

    // A wait that is cancelled loses nothing: the item is still there for whoever comes next.
    const channel<int> numbers(1);
    const auto none = co_await tenure::as_outcome(
        tenure::with_timeout(1ms, [&]() -> task<> { (void)co_await numbers.receive(); }));
    co_await numbers.send(42);
    std::cout << (none.has_failed() ? "timed out, then " : "") << *co_await numbers.receive() << "\n";
}

int main() { return tenure::run(app); }
