// Items of a stream that may be 1,024 ahead, from the producer that it owns to its consumer; and through one step between them,
// which is a task with a buffer of its own. Of zip an item is a row; what merge joins, and tee hands out, are the items.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>

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

tenure::stream<long> source(const tenure::group& g, long n) {
    tenure::stream_options options;
    options.capacity = 1024;
    return tenure::spawn_stream(g, std::move(options), [n](tenure::sink<long> out) -> tenure::task<> {
        for (long i = 0; i < n; ++i)
            co_await out.send(i);
    });
}
template <class T>
tenure::task<long> count(tenure::stream<T>& in) {
    long n = 0;
    while (co_await in.next())
        ++n;
    co_return n;
}
struct map {
    static auto step(const tenure::group& g) {
        return source(g, items).map([](long i) { return i + 1; });
    }
};
struct filter {
    static auto step(const tenure::group& g) {
        return source(g, items).filter([](long i) { return i >= 0; });
    }
};
struct take {
    static auto step(const tenure::group& g) { return source(g, items).take(items); }
};
struct buffer {
    static auto step(const tenure::group& g) { return source(g, items).buffer(1024); }
};
struct merge {
    static auto step(const tenure::group& g) {
        return tenure::merge(source(g, items / 2), source(g, items / 2));
    }
};
struct zip {
    static auto step(const tenure::group& g) { return tenure::zip(source(g, items), source(g, items)); }
};
template <class Step>
tenure::task<> read_step(tenure::group g) {
    auto last = Step::step(g);
    if (co_await count(last) != items) std::abort();
}
struct tee;
template <>
tenure::task<> read_step<tee>(tenure::group g) {
    auto [a, b] = tenure::tee(source(g, items));
    auto other = g.spawn(count<long>, std::move(b));
    if (co_await count(a) != co_await other) std::abort();
}
template <class Step>
void combined(benchmark::State& state) {
    tenure::runtime rt({.threads = static_cast<unsigned>(state.range(0))});
    for (auto _ : state)
        rt.block_on([]() -> tenure::task<> { co_await tenure::with_group(read_step<Step>); });
    state.SetItemsProcessed(state.iterations() * items);
}
#define COMBINED(Step)                                                                                       \
    BENCHMARK(combined<Step>)->Name("stream/" #Step)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()
COMBINED(map);
COMBINED(filter);
COMBINED(take);
COMBINED(buffer);
COMBINED(merge);
COMBINED(zip);
COMBINED(tee);
#undef COMBINED
} // namespace
