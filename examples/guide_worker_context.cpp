// What crosses with a call into a worker process, besides arguments and result: context values, and exceptions of your own.
#include <tenure/tenure.hpp>

#include <iostream>
#include <stdexcept>
#include <string>

using tenure::fn;
using tenure::task;

// A key at namespace scope, so that the worker, which is this program too, has it under the same name.
inline const tenure::travelling_key<std::string> request_id{"guide.request_id"};

void log(const std::string& text) {
    const std::string* const id = tenure::this_task::value(request_id);
    std::cout << (id ? *id : "?") << ": " << text << "\n" << std::flush;
}
/// Made again from its text. Fields come along if there is a tenure::wire::codec<too_large>.
struct too_large : std::runtime_error {
    using runtime_error::runtime_error;
};
inline const tenure::known_error<too_large> too_large_is_known;

int work(int n) {
    if (n > 100) throw too_large(std::to_string(n) + " is too large");
    log("working on " + std::to_string(n)); // nobody has passed it the ID
    return n * n;
}

task<> app() {
    tenure::processes workers({.workers = 2});
    auto handle = [&](int n) -> task<> {
        const int result = co_await workers.call(fn<&work>, n);
        log("got " + std::to_string(result));
    };
    co_await tenure::with_value(request_id, std::string("request 17"), handle, 3);
    co_await tenure::with_value(request_id, std::string("request 18"), handle, 4);
    co_await handle(5);
    try {
        co_await handle(500);
    } catch (const too_large& e) {
        log(e.what());
    }
}

int main() { return tenure::run(app, {.threads = 1}); }
