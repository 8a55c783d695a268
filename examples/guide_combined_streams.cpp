// Streams of what is there already, and of other streams. Whoever stops reading the last one ends them all.
#include <tenure/tenure.hpp>

#include <iostream>
#include <string>
#include <tuple>
#include <vector>

using namespace std::chrono_literals;
using tenure::channel;
using tenure::group;
using tenure::sink;
using tenure::stream;
using tenure::task;

task<> read_sensor(sink<int> out, int first) {
    for (int i = 0; i < 3; ++i) {
        co_await tenure::sleep_for(1ms);
        co_await out.send(first + i);
    }
}
task<> silent(sink<int>) { co_await tenure::sleep_for(24h); }

task<int> sum(stream<int>& s) {
    int all = 0;
    while (auto v = co_await s.next())
        all += *v;
    co_return all;
}

task<> app(group g) {
    // Sources: any range, a channel, time. A container is moved in; a range without an end is read as far as it is wanted.
    std::vector<std::string> names{"ada", "grace", "edsger"};
    auto numbered =
        tenure::zip(tenure::stream_of(g, std::views::iota(1)), tenure::stream_of(g, std::move(names)));
    while (auto item = co_await numbered.next()) // ends with the shortest
        std::cout << std::get<0>(*item) << " " << std::get<1>(*item) << "\n";
    const channel<int> orders(2);
    auto received = tenure::stream_of(g, orders);
    co_await orders.send(7);
    orders.close(); // and so the stream ends
    std::cout << "order " << (co_await std::move(received).collect()).front() << "\n";
    auto beat = tenure::ticks(g, 1ms);
    std::cout << "tick " << *co_await beat.next() << "\n";

    // Items as they come; the first failure ends the others. At most one is read ahead here.
    auto both =
        tenure::merge(tenure::spawn_stream(g, read_sensor, 10), tenure::spawn_stream(g, read_sensor, 20))
            .buffer(1);
    std::cout << "sum " << co_await sum(both) << "\n";

    // Two readers of one stream, each at its own pace. What b does not read is what a has to wait for, until b is dropped.
    auto [a, b] = tenure::tee(tenure::spawn_stream(g, read_sensor, 1));
    auto other = g.spawn(sum, std::move(b));
    const int mine = co_await sum(a);
    std::cout << "both have " << (mine == co_await other ? mine : -1) << "\n";

    // On time, whatever the source is doing.
    auto hangs = tenure::spawn_stream(g, silent).map([](int i) { return 2 * i; }).timeout_each(5ms);
    try {
        (void)co_await hangs.next();
    } catch (const tenure::stalled_error&) {
        std::cout << "stalled\n";
    }

    // One of several, without losing what the other one has.
    auto quick = tenure::spawn_stream(g, read_sensor, 100);
    auto slow = tenure::spawn_stream(g, silent);
    auto which = co_await tenure::select_any(quick.next(), slow.next(), tenure::sleep_for(1s));
    std::cout << "from the quick one: " << *std::get<0>(which) << "\n";
}

int main() {
    return tenure::run([]() -> task<> { co_await tenure::with_group(app); });
}
