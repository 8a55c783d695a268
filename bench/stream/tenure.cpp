// Items of a stream that may be 1,024 ahead, from the producer that it owns to its consumer.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

namespace {
constexpr long items = 1'000'000;

tenure::task<> produce(tenure::sink<long> out) {
    for (long i = 0; i < items; ++i)
        co_await out.send(i);
}
tenure::task<long> consume(tenure::stream<long> in) {
    long sum = 0;
    while (auto v = co_await in.next())
        sum += *v;
    co_return sum;
}
tenure::task<long> pass_all() {
    tenure::stream_options options;
    options.capacity = 1024;
    co_return co_await tenure::with_stream(options, consume, produce);
}
void stream(benchmark::State& state) {
    tenure::runtime rt({.threads = static_cast<unsigned>(state.range(0))});
    for (auto _ : state)
        benchmark::DoNotOptimize(rt.block_on(pass_all));
    state.SetItemsProcessed(state.iterations() * items);
}
BENCHMARK(stream)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();
} // namespace
