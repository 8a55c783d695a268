// A small task's arguments and a megabyte of doubles, as bytes and back.
#include <tenure/wire/function.hpp>

#include <benchmark/benchmark.h>

#include <string>
#include <tuple>
#include <vector>

namespace wire = tenure::wire;

namespace {

using arguments = std::tuple<int, std::string>;
const arguments small{7, "ten letters"};
const std::vector<double> megabyte(131'072, 1.5);

int answer(int n, const std::string& text) { return n + static_cast<int>(text.size()); }

void encode_small(benchmark::State& state) {
    wire::writer w;
    for (auto _ : state) {
        w.clear();
        wire::write(w, small);
        benchmark::DoNotOptimize(w.message().data());
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations());
}
void decode_small(benchmark::State& state) {
    const auto message = wire::encode(small);
    for (auto _ : state) {
        auto v = wire::decode<arguments>(message);
        benchmark::DoNotOptimize(v);
    }
    state.SetItemsProcessed(state.iterations());
}
void call_small(benchmark::State& state) { // written, found, run, answered and read
    wire::writer w;
    wire::writer result;
    wire::function_table functions;
    const std::string& text = std::get<1>(small);
    for (auto _ : state) {
        w.clear();
        result.clear();
        wire::write_call(w, wire::fn<&answer>, 7, text);
        wire::reader call(w.message());
        wire::run_call(functions, call, result);
        benchmark::DoNotOptimize(wire::decode<int>(result.message()));
    }
    state.SetItemsProcessed(state.iterations());
}
void encode_megabyte(benchmark::State& state) {
    wire::writer w;
    for (auto _ : state) {
        w.clear();
        wire::write(w, megabyte);
        benchmark::DoNotOptimize(w.message().data());
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations());
}
void decode_megabyte(benchmark::State& state) {
    const auto message = wire::encode(megabyte);
    for (auto _ : state) {
        auto v = wire::decode<std::vector<double>>(message);
        benchmark::DoNotOptimize(v);
    }
    state.SetItemsProcessed(state.iterations());
}
void hand_over_megabyte(benchmark::State& state) { // out of band: written and read where it lies
    wire::writer w;
    w.out_of_band_from(65'536);
    for (auto _ : state) {
        w.clear();
        wire::write(w, megabyte);
        wire::reader r(w.message(), w.segments());
        benchmark::DoNotOptimize(wire::read<wire::view<double>>(r));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(encode_small);
BENCHMARK(decode_small);
BENCHMARK(call_small);
BENCHMARK(encode_megabyte);
BENCHMARK(decode_megabyte);
BENCHMARK(hand_over_megabyte);

} // namespace
