// Worker processes: functions of this program, run in processes that may die.
#include <tenure/tenure.hpp>

#include <csignal>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using tenure::fn;
using tenure::task;

double mean(std::vector<double> v) {
    if (v.empty()) throw std::invalid_argument("the mean of nothing");
    return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}
std::string parse(const std::string& text) { // a library that crashes on some inputs
    if (text == "bad") std::raise(SIGSEGV);
    return "<" + text + ">";
}
void spin() {
    for (;;)
        tenure::this_task::checkpoint(); // hears of cancellation and deadlines, in a worker too
}
/// A function object travels with its members.
struct scaled {
    double by;
    double operator()(double x) const { return by * x; }
};

task<> app() {
    tenure::processes workers({.workers = 2});

    std::cout << co_await workers.call(fn<&mean>, std::vector<double>{1, 2, 6}) << "\n";
    const scaled twice{.by = 2};
    std::cout << co_await workers.call(twice, 21.0) << "\n";

    // An exception of the standard library or of tenure arrives as itself.
    try {
        (void)co_await workers.call(fn<&mean>, std::vector<double>{});
    } catch (const std::invalid_argument& e) {
        std::cout << e.what() << "\n";
    }

    // A worker that dies costs the call that it ran. The others go on; another worker takes its place.
    auto several = [&](tenure::group g) -> task<> {
        auto one = [&](std::string text) -> task<> {
            try {
                const std::string parsed = co_await workers.call(fn<&parse>, text);
                std::cout << parsed << "\n";
            } catch (const tenure::worker_died& e) {
                std::cout << text << " ended its worker by signal " << e.signal() << "\n";
            }
        };
        (void)g.spawn(one, "bad");
        co_return;
    };
    co_await tenure::with_group(several);
    std::cout << co_await workers.call(fn<&parse>, "good") << "\n";

    // A time for the call itself, from the moment at which a worker begins with it.
    try {
        const tenure::call_options soon{.timeout = 20ms};
        co_await workers.call(soon, fn<&spin>);
    } catch (const tenure::timeout_error&) {
        std::cout << "too late\n";
    }
} // the pool closes here: no process is left

int main() { return tenure::run(app, {.threads = 1}); }
