// Several at a time: all, any, results as they come, and a child that says when it is ready.
#include <tenure/tenure.hpp>

#include <iostream>
#include <stdexcept>

using namespace std::chrono_literals;
using tenure::group;
using tenure::task;

task<std::string> fetch(std::string from, tenure::duration takes) {
    co_await tenure::sleep_for(takes);
    if (from == "broken") throw std::runtime_error("no answer");
    co_return "page from " + from;
}
task<int> count(std::string text) { co_return static_cast<int>(text.size()); }

task<> serve(tenure::started<int> ready) {
    const int port = 8080; // a real one binds here, and may fail
    ready(port);
    co_await tenure::sleep_for(5ms); // and serves
}

task<> app() {
    // All: in the order of the arguments. The first failure cancels the others.
    auto [page, n] = co_await tenure::all(fetch("a", 1ms), count("four"));
    std::cout << page << ", " << n << "\n";

    // Any: the first that has a value. The others are cancelled and have ended before this goes on.
    const std::string first =
        co_await tenure::any(fetch("slow", 1h), fetch("broken", 0ms), fetch("quick", 2ms));
    std::cout << first << "\n";

    co_await tenure::with_group([](group g) -> task<> {
        // As they come. Nothing is lost if this task is cancelled while it waits: the child stays in the set.
        tenure::task_set<std::string> pages(g);
        pages.spawn(fetch, "second", 20ms);
        pages.spawn(fetch, "first", 1ms);
        while (auto ended = co_await pages.next())
            std::cout << co_await std::move(*ended) << "\n";

        // In the order of spawning.
        tenure::task_set<int> counts(g);
        counts.spawn(count, "one");
        counts.spawn(count, "three");
        for (const int length : co_await counts.results())
            std::cout << length << "\n";

        // Goes on when the server says that it is ready. What it throws before that is thrown here.
        const int port = co_await g.start(serve);
        std::cout << "serving on " << port << "\n";
    });
}

int main() { return tenure::run(app); }
