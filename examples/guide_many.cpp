// Many items: a function over all of them, several at a time.
#include <tenure/tenure.hpp>

#include <cmath>
#include <iostream>
#include <ranges>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using tenure::item_status;
using tenure::order;
using tenure::task;

double root_of(int i) {
    if (i < 0) throw std::domain_error(std::to_string(i) + " has no root");
    return std::sqrt(i);
}
task<std::string> fetch(std::string url) {
    co_await tenure::sleep_for(url == "slow" ? 24h : 1ms);
    co_return "page of " + url;
}

task<> pages(tenure::runtime& rt) {
    // Coroutines: three at a time, a second for each. One outcome an item.
    const std::vector<std::string> urls{"a", "slow", "b"};
    auto outcomes = tenure::map_outcomes(rt, urls, fetch, {.jobs = 3, .timeout = 50ms});
    while (auto page = co_await outcomes.next()) {
        if (page->status() == item_status::done)
            std::cout << page->index() << ": " << page->value() << "\n";
        else
            std::cout << page->index() << ": " << to_string(page->status()) << "\n";
    }
    // The values alone; the first failure would be thrown, and would cancel the rest.
    const auto all = co_await tenure::map(rt, std::vector<std::string>{"x", "y"}, fetch).collect();
    std::cout << all.size() << " pages\n";
}

int main() {
    tenure::runtime rt;

    // Plain functions on the workers of the runtime; here plain code reads the results, in the order of the items.
    for (const double root : tenure::map(rt, std::views::iota(1, 4), root_of))
        std::cout << root << "\n";

    // As they are done, although one fails: the others go on, and the failure comes in the end.
    std::vector<int> numbers{4, -1, 9};
    try {
        double sum = 0;
        for (const double root :
             tenure::map(rt, numbers, root_of, {.order = order::completion, .keep_going = true}))
            std::cout << "sum " << (sum += root) << "\n";
    } catch (const std::domain_error& e) {
        std::cout << e.what() << "\n";
    }

    rt.block_on(pages, std::ref(rt));

    // A lazy range without an end: it is read as far ahead as pre_dispatch says. Leaving the loop ends the map.
    for (const double root : tenure::map(rt, std::views::iota(0), root_of, {.pre_dispatch = 64}))
        if (root > 10) break;

    // Loops. The calling thread works, too. A reduction gives the same bits with any number of workers.
    std::vector<double> halves(1000);
    tenure::parallel_for(rt, halves.size(), [&](std::size_t i) { halves[i] = static_cast<double>(i) / 2; });
    const double total =
        tenure::reduce(rt, halves.size(), 0.0, [&](std::size_t i) { return halves[i]; }, std::plus<>());
    std::cout << "total " << total << "\n";
}
