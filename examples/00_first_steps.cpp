// A group, two tasks, a timeout. Nothing here outlives `app`, and nothing that fails is lost.
#include <tenure/tenure.hpp>

#include <iostream>
#include <string>

using namespace std::chrono_literals;

// A task is a lazy coroutine: it runs when somebody who owns it awaits or spawns it.
tenure::task<std::string> fetch(std::string name, std::chrono::milliseconds takes) {
    co_await tenure::sleep_for(takes);
    co_return "answer of " + name;
}

tenure::task<> app() {
    // The group owns what is spawned in it: the scope is not left before both have ended.
    co_await tenure::with_group([](tenure::group g) -> tenure::task<> {
        auto a = g.spawn(fetch, "alpha", 20ms);
        auto b = g.spawn(fetch, "beta", 10ms);
        std::cout << co_await a << ", " << co_await b << "\n";
    });

    // The deadline cancels the work and waits for its cleanup before the error is thrown.
    try {
        std::cout << co_await tenure::with_timeout(50ms, fetch, "gamma", 1h) << "\n";
    } catch (const tenure::timeout_error& e) {
        std::cout << "gamma: " << e.what() << "\n";
    }
}

int main() { return tenure::run(app); } // first Ctrl-C: graceful close; second: no more grace
