// Shutting down: in which order a runtime closes, and what close() tells.
#include <tenure/tenure.hpp>

#include <iostream>
#include <latch>
#include <stdexcept>

using namespace std::chrono_literals;
using tenure::task;

task<> say(const char* what) {
    std::cout << what << "\n";
    co_return;
}
task<> short_job() {
    co_await tenure::sleep_for(5ms);
    std::cout << "drain: a short job has ended by itself\n";
}
task<> serve() {
    co_await tenure::defer(1s, say, "grace: the server has cleaned up");
    co_await tenure::sleep_for(24h);
}

void everything_ends() {
    tenure::runtime rt({.threads = 2});
    // When no task is left: last registered first, so that what was made later goes earlier.
    rt.on_close([] { std::cout << "hook: the database is closed\n"; });
    rt.on_close([] { throw std::runtime_error("the log could not be written"); });
    rt.on_close([]() -> task<> {
        co_await tenure::sleep_for(1ms); // a hook may wait
        std::cout << "hook: the connections are closed\n";
    });
    (void)rt.submit(short_job);
    (void)rt.submit({.name = "serve"}, serve);

    const auto report = rt.close({.drain = 50ms, .grace = 1s, .hook = 1s});
    for (const auto& e : report.errors) {
        try {
            std::rethrow_exception(e);
        } catch (const std::exception& x) {
            std::cout << "a hook failed: " << x.what() << "\n";
        }
    }
    try {
        (void)rt.submit(short_job);
    } catch (const tenure::closed_error& e) {
        std::cout << e.what() << "\n";
    }
    std::cout << (rt.audit().clean() ? "nothing is left\n" : "something is left\n");
}

// A task may ask for the end: new work is refused from then on, and whoever owns the runtime does the rest.
void asked_from_inside() {
    tenure::runtime rt({.threads = 1});
    (void)rt.submit([&rt] { rt.request_close({.drain = 1s}); });
    rt.close();
    std::cout << "closed because a task asked for it\n";
}

// A function cannot be stopped, only asked. One that does not listen is named, and close() ends all the same.
std::latch entered(1), let_go(1);
void does_not_listen() {
    entered.count_down();
    let_go.wait();
}
void something_does_not_end() {
    tenure::runtime rt({.threads = 1});
    (void)rt.submit({.name = "deaf"}, does_not_listen);
    entered.wait();
    for (const auto& task : rt.close({.drain = 0s, .grace = 10ms}).abandoned)
        std::cout << "abandoned: " << task.name << "\n";
    let_go.count_down();
}

int main() {
    everything_ends();
    asked_from_inside();
    something_does_not_end();
}
