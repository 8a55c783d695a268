// Cancellation and time: what a cancelled task can do, and what it cannot swallow.
#include <tenure/tenure.hpp>

#include <iostream>

using namespace std::chrono_literals;
using tenure::task;

struct file {
    const char* name;
    ~file() { std::cout << name << " closed\n"; }
};

task<> write_down(const char* what) {
    co_await tenure::sleep_for(1ms); // cleanup may wait: it is shielded, and bounded by its grace
    std::cout << what << "\n";
}

task<int> work() {
    const file log{"log"};
    co_await tenure::defer(1s, write_down, "written down after the locals are gone");
    try {
        co_await tenure::sleep_for(1h);
    } catch (...) {
        std::cout << "never: a cancellation is no exception\n";
    }
    co_return 1;
}

// A plain function cannot be unwound from outside: it polls. The poll looks at the clock, too.
int next_prime(int from) {
    for (int n = from;; ++n) {
        tenure::this_task::checkpoint(); // throws `cancelled`, which is no std::exception
        bool prime = n > 1;
        for (int d = 2; d * d <= n; ++d)
            prime = prime && n % d != 0;
        if (prime) return n;
    }
}
task<int> largest_prime() {
    for (int n = 2;; ++n)
        n = next_prime(n);
}

task<> app() {
    // The body is cancelled, ends with all its cleanup, and only then the error is thrown.
    try {
        co_await tenure::with_timeout(10ms, work);
    } catch (const tenure::timeout_error& e) {
        std::cout << e.what() << "\n";
    }

    // The same without an error: empty when the time was over.
    std::cout << (co_await tenure::move_on_after(10ms, work) ? "in time\n" : "moved on\n");

    // Inside a shield a cancellation from outside is not seen, for two seconds at most.
    co_await tenure::with_group([](tenure::group g) -> task<> {
        g.cancel();
        co_await tenure::shield(2s, write_down, "finished although the group was cancelled");
    });

    // To look at how something ended instead of being unwound with it, or thrown at:
    const auto how = co_await tenure::as_outcome(tenure::with_timeout(5ms, largest_prime));
    std::cout << (how.has_value() ? "there is a largest prime" : "stopped looking") << "\n";
}

int main() { return tenure::run(app); }
