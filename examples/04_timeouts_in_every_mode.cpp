// A thousand items of which one never returns, with a timeout of one second for each: as a list, in the order of the items, and
// as they are done; on threads, and in worker processes. Each time the stuck item is told of on time, and the other 999 results
// are there.
//
// joblib (threading and loky): 1.4.2 raises after 1.0 to 1.2 s for a list and an ordered generator, and hangs for ever
// with generator_unordered; 1.6.0 raises in all three modes. In each of them the whole call dies and all results are lost;
// with threads the stuck ones stay for the life of the process.
#include <tenure/tenure.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <ranges>
#include <thread>

using namespace std::chrono_literals;
using tenure::item_status;
using tenure::order;

void expect(bool holds) {
    if (!holds) std::abort();
}

/// What the stuck item waits for: nothing ever comes, until this program lets it go in the end.
class nothing {
public:
    void wait_for() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return over_; });
    }
    void let_go() {
        const std::lock_guard lock(mutex_);
        over_ = true;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
};

class stopwatch {
public:
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    }

private:
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

nothing comes; // in a worker process, its own one, in which nobody ever lets go

int square(int i) {
    if (i == 500) comes.wait_for();
    return i * i;
}

int main() {
    if (const auto status = tenure::enter_worker()) return *status; // this program is its own worker, too
    tenure::runtime rt({.threads = 2});
    const auto items = std::views::iota(0, 1000);

    const auto run = [&](tenure::runner::runner& on, const char* mode, order by, bool as_list) {
        const stopwatch clock;
        auto results = tenure::map_outcomes(rt, on, items, tenure::fn<&square>, {.timeout = 1s, .order = by});
        std::vector<tenure::item_outcome<int>> list;
        if (as_list) list = rt.block_on([&] { return std::move(results).collect(); });
        int values = 0, timed_out = 0;
        double told_after = 0;
        const auto count = [&](const tenure::item_outcome<int>& one) {
            if (one.status() == item_status::timed_out) {
                ++timed_out;
                told_after = clock.seconds();
            } else {
                values += one.value() == static_cast<int>(one.index() * one.index());
            }
        };
        if (as_list) {
            for (const auto& one : list)
                count(one);
        } else {
            for (const auto& one : results)
                count(one);
        }
        std::cout << on.kind() << ", " << mode << ": " << values << " values, " << timed_out
                  << " timed out, told after " << told_after << " s\n";
        expect(values == 999 && timed_out == 1);
    };
    const auto in_every_mode = [&](tenure::runner::runner& on) {
        run(on, "list", order::input, true);
        run(on, "in input order", order::input, false);
        run(on, "as they are done", order::completion, false);
    };
    {
        // A worker that is stuck is ended, and another one takes its place.
        tenure::processes workers(rt, {.workers = 2});
        in_every_mode(workers);
    }
    tenure::threads two(2);
    in_every_mode(two);

    // No thread can be ended: the stuck functions are still tasks of the runtime. It says so, and waits for them.
    while (rt.audit().tasks != 3) // what belonged to the maps themselves ends at its own pace
        std::this_thread::yield();
    comes.let_go();
    rt.close();
    expect(rt.audit().clean());
    std::cout << "let go: nothing is left\n";
}
