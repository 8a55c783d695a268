// What goes along with a call into a worker process, besides its arguments: context values.
#include <tenure/tenure.hpp>

#include <iostream>
#include <string>

using tenure::fn;
using tenure::task;

// A key at namespace scope, so that the worker, which is this program too, has it under the same name.
inline const tenure::travelling_key<std::string> request_id{"guide.request_id"};

void log(const std::string& text) {
    const std::string* const id = tenure::this_task::value(request_id);
    std::cout << (id ? *id : "?") << ": " << text << "\n" << std::flush;
}
int work(int n) {
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
}

int main() { return tenure::run(app, {.threads = 1}); }
