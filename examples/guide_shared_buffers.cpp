// Large data that is never copied: made where all workers see it, handed to one, and handed back.
#include <tenure/tenure.hpp>

#include <algorithm>
#include <iostream>
#include <numeric>

using tenure::fn;
using tenure::shared_buffer;
using tenure::task;

shared_buffer<double> sorted(shared_buffer<double> values) {
    std::ranges::sort(values);
    return values; // the same memory
}
double sum(const shared_buffer<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

task<> app() {
    tenure::processes workers({.workers = 2});

    shared_buffer<double> values = workers.buffer<double>(1'000'000); // not set yet
    std::iota(values.begin(), values.end(), -500'000.0);
    std::ranges::reverse(values);

    values = co_await workers.call(fn<&sorted>, std::move(values));
    std::cout << values[0] << " to " << values[values.size() - 1] << "\n";

    std::cout << co_await workers.call(fn<&sum>, std::move(values)) << "\n"; // its memory is free again
}

int main() { return tenure::run(app, {.threads = 1}); }
