// Items through a channel of 1,024 places, from some senders to as many receivers.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

namespace {
constexpr long items = 1'000'000;

tenure::task<> produce(tenure::channel<long> to, long n) {
    for (long i = 0; i < n; ++i)
        co_await to.send(i);
}
tenure::task<long> consume(tenure::channel<long> from) {
    long sum = 0;
    while (auto v = co_await from.receive())
        sum += *v;
    co_return sum;
}
tenure::task<long> pass_all(int each) {
    const tenure::channel<long> c(1024);
    long sum = 0;
    auto body = [&](tenure::group g) -> tenure::task<> {
        tenure::task_set<long> consumers(g);
        for (int i = 0; i < each; ++i)
            consumers.spawn(consume, c);
        auto produce_all = [&](tenure::group producers) -> tenure::task<> {
            for (int i = 0; i < each; ++i)
                (void)producers.spawn(produce, c, items / each);
            co_return;
        };
        co_await tenure::with_group(std::ref(produce_all));
        c.close();
        for (const long part : co_await consumers.results())
            sum += part;
    };
    co_await tenure::with_group(std::ref(body));
    co_return sum;
}
void channel(benchmark::State& state) {
    tenure::runtime rt({.threads = static_cast<unsigned>(state.range(0))});
    for (auto _ : state)
        benchmark::DoNotOptimize(rt.block_on(pass_all, static_cast<int>(state.range(1))));
    state.SetItemsProcessed(state.iterations() * items);
}
BENCHMARK(channel)->ArgsProduct({{1, 2}, {1, 4}})->ArgNames({"threads", "each"})->UseRealTime();
} // namespace
