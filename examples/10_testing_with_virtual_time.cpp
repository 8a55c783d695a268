// Three tests of code that waits, as a program: it takes milliseconds, although the code waits for hours.
#include <tenure/tenure.hpp>
#include <tenure/testing.hpp>

#include <iostream>

using namespace std::chrono_literals;
using tenure::testing::require;

// What is tested: asks again after a pause that doubles.
tenure::task<int> ask_until_answered(tenure::task<bool> (*ask)(int), int attempts) {
    auto pause = 10min;
    for (int i = 1; i < attempts; ++i) {
        const bool answered = co_await ask(i);
        if (answered) co_return i;
        co_await tenure::sleep_for(pause);
        pause *= 2;
    }
    throw std::runtime_error("no answer");
}

// 1. Virtual time: the clock jumps to the next timer whenever nothing can run.
void waits_longer_each_time() {
    tenure::runtime rt(tenure::testing::virtual_time());
    const auto begin = rt.now();
    auto third = [](int i) -> tenure::task<bool> { co_return i == 3; };
    const int attempt = rt.block_on(ask_until_answered, +third, 5);
    require(attempt == 3, "the third attempt was answered");
    require(rt.now() - begin == 30min, "pauses of 10 and 20 minutes");
}

// 2. Seeds: two withdrawals look at the balance, wait, and write. Some orders lose one of them.
tenure::task<> two_withdrawals() {
    int balance = 100;
    auto withdraw = [&balance](int amount) -> tenure::task<> {
        const int seen = balance;
        co_await tenure::checkpoint();
        balance = seen - amount;
    };
    auto both = [&withdraw](tenure::group g) -> tenure::task<> {
        (void)g.spawn(std::ref(withdraw), 10);
        (void)g.spawn(std::ref(withdraw), 20);
        co_return;
    };
    co_await tenure::with_group(both);
    require(balance == 70, "a withdrawal was lost");
}

// 3. Cancellation at every point: the connection is given back only if nothing interrupts the query.
int connections_out = 0;
tenure::task<> query() {
    ++connections_out;
    co_await tenure::sleep_for(1s);
    --connections_out;
}
void all_given_back() { require(connections_out == 0, "a connection was not given back"); }

template <class F>
bool finds_the_mistake(F test) {
    try {
        test();
    } catch (const tenure::testing::test_failure& e) {
        std::cout << e.what() << "\n\n";
        return true;
    }
    return false;
}

int main() {
    waits_longer_each_time();
    const bool race = finds_the_mistake([] { tenure::testing::explore(100, two_withdrawals); });
    const bool leak =
        finds_the_mistake([] { tenure::testing::cancel_at_every_point(query, all_given_back); });
    return race && leak ? 0 : 1;
}
