// Streams: one task sends, another one reads, and neither is lost.
#include <tenure/tenure.hpp>

#include <iostream>
#include <string>

using namespace std::chrono_literals;
using tenure::group;
using tenure::sink;
using tenure::stream;
using tenure::task;

// The producer. The type of its first parameter says what it sends.
task<> tokens(sink<std::string> out, std::string prompt) {
    for (int i = 1;; ++i) {
        co_await tenure::sleep_for(1ms);
        co_await out.send(prompt + " " + std::to_string(i)); // waits for room
    }
}
task<> silent(sink<std::string> out) {
    co_await out.send("first");
    co_await tenure::sleep_for(24h);
}

task<> print_three(stream<std::string> s) {
    for (int i = 0; i < 3; ++i)
        if (auto token = co_await s.next()) std::cout << *token << "\n";
}
task<int> count(stream<std::string> s) {
    int n = 0;
    while (co_await s.next()) // empty at the end
        ++n;
    co_return n;
}

task<> app(tenure::runtime& rt) {
    // A scope. However the consumer ends, the producer has ended, too, before the next statement.
    co_await tenure::with_stream(print_three, tokens, "scope");

    // No item and no out.heartbeat() for 20 ms while the consumer waits.
    const tenure::stream_options limited{.capacity = 4, .stall = 20ms, .name = "silent"};
    try {
        std::cout << co_await tenure::with_stream(limited, count, silent) << "\n";
    } catch (const tenure::stalled_error& e) {
        std::cout << e.what() << "\n";
    }

    // An observer: the group owns the producer, and the handle may go anywhere in it. Dropped, it cancels the producer.
    co_await tenure::with_group([](group g) -> task<> {
        auto s = tenure::spawn_stream(g, tokens, "observer");
        if (auto token = co_await s.next()) std::cout << *token << "\n";
        co_await s.stop(); // waits for the producer's end, and throws what its cleanup threw
    });

    // The same in plain code: here a function on a thread of its own.
    co_await tenure::run_blocking([&rt] {
        int n = 0;
        for (const std::string& token : tenure::spawn_stream(rt, tokens, "plain code")) {
            std::cout << token << "\n";
            if (++n == 2) break;
        }
    });
}

int main() { return tenure::run(app); }
