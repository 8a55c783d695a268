// One short path of the runtime, N times, on one thread and with virtual time: its count of instructions is the same in
// every run. bench/instructions/count runs it under callgrind.
#include <tenure/core/testing.hpp>
#include <tenure/tenure.hpp>
#include <tenure/wire/function.hpp>

#include <cstdlib>
#include <cstring>
#include <iostream>

using namespace std::chrono_literals;
using tenure::task;

namespace {

task<> nothing() { co_return; }

task<> await_ready(int n) {
    for (int i = 0; i < n; ++i)
        co_await nothing();
}
task<> spawn_join(int n) {
    co_await tenure::with_group([n](tenure::group g) -> task<> {
        for (int i = 0; i < n; ++i)
            (void)g.spawn([] {});
        co_return;
    });
}
task<> spawn_coroutine(int n) {
    co_await tenure::with_group([n](tenure::group g) -> task<> {
        for (int i = 0; i < n; ++i)
            (void)g.spawn(nothing);
        co_return;
    });
}
task<> spawn_await(int n) {
    co_await tenure::with_group([n](tenure::group g) -> task<> {
        for (int i = 0; i < n; ++i) {
            auto child = g.spawn([] {});
            co_await std::move(child);
        }
    });
}
task<> timer(int n) {
    for (int i = 0; i < n; ++i)
        co_await tenure::with_timeout(1h, nothing);
}
task<> sleep(int n) {
    for (int i = 0; i < n; ++i)
        co_await tenure::sleep_for(1ms);
}
task<> yield(int n) {
    for (int i = 0; i < n; ++i)
        co_await tenure::yield();
}
task<> channel_buffered(int n) {
    const tenure::channel<int> c(64);
    for (int i = 0; i < n; ++i) {
        co_await c.send(i);
        (void)co_await c.receive();
    }
}
// The receiver waits for each item.
task<> channel_handover(int n) {
    const tenure::channel<int> c(0);
    auto body = [&](tenure::group g) -> task<> {
        (void)g.spawn([&]() -> task<> {
            while (co_await c.receive()) {}
        });
        for (int i = 0; i < n; ++i)
            co_await c.send(i);
        c.close();
    };
    co_await tenure::with_group(std::ref(body));
}
task<> wait_for_ever() { co_await tenure::sleep_for(1h); }
task<> cancel(int n) {
    co_await tenure::with_group([n](tenure::group g) -> task<> {
        for (int i = 0; i < n; ++i)
            (void)g.spawn(wait_for_ever);
        co_await tenure::yield();
        co_await tenure::sleep_for(1s);
        g.cancel();
    });
}

// As a pool sends a task and its worker runs it: an int and a string of 10.
int wire_answer(int n, const std::string& text) { return n + static_cast<int>(text.size()); }
const std::string ten = "0123456789";
task<> wire_encode(int n) {
    tenure::wire::writer w;
    for (int i = 0; i < n; ++i) {
        w.clear();
        tenure::wire::write(w, i);
        tenure::wire::write(w, ten);
        if (w.size() != 22) std::abort();
    }
    co_return;
}
task<> wire_call(int n) {
    tenure::wire::writer w;
    tenure::wire::writer result;
    tenure::wire::function_table functions;
    for (int i = 0; i < n; ++i) {
        w.clear();
        result.clear();
        tenure::wire::write_call(w, tenure::wire::fn<&wire_answer>, i, ten);
        tenure::wire::reader call(w.message());
        tenure::wire::run_call(functions, call, result);
        if (tenure::wire::decode<int>(result.message()) != i + 10) std::abort();
    }
    co_return;
}

struct path {
    const char* name;
    task<> (*run)(int n);
};
constexpr path paths[] = {
    {"await_ready", await_ready},
    {"spawn_join", spawn_join},
    {"spawn_coroutine", spawn_coroutine},
    {"spawn_await", spawn_await},
    {"timer", timer},
    {"sleep", sleep},
    {"yield", yield},
    {"cancel", cancel},
    {"channel_buffered", channel_buffered},
    {"channel_handover", channel_handover},
    {"wire_encode", wire_encode},
    {"wire_call", wire_call},
};

} // namespace

int main(int argc, char** argv) {
    if (argc == 1) {
        for (const path& p : paths)
            std::cout << p.name << '\n';
        return 0;
    }
    for (const path& p : paths)
        if (argc == 3 && std::strcmp(argv[1], p.name) == 0) {
            tenure::core::runtime rt(tenure::core::testing::virtual_time());
            rt.block_on(p.run, std::atoi(argv[2]));
            return 0;
        }
    std::cerr << "usage: short_paths [PATH N]\n";
    return 2;
}
