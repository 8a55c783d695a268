// The floor under tenure.cpp: the same bytes, copied by who knows where they go.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace {

using arguments = std::tuple<int, std::string>;
const arguments small{7, "ten letters"};
const std::vector<double> megabyte(131'072, 1.5);

/// Returns where it ends.
std::byte* copy_small(std::byte* to) {
    const auto& [n, text] = small;
    const std::size_t size = text.size();
    std::memcpy(to, &n, sizeof n);
    std::memcpy(to + sizeof n, &size, sizeof size);
    std::memcpy(to + sizeof n + sizeof size, text.data(), size);
    return to + sizeof n + sizeof size + size;
}

void encode_small(benchmark::State& state) {
    std::byte place[256];
    for (auto _ : state) {
        benchmark::DoNotOptimize(copy_small(place));
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations());
}
void decode_small(benchmark::State& state) {
    std::byte place[256];
    copy_small(place);
    for (auto _ : state) {
        int n = 0;
        std::size_t size = 0;
        std::memcpy(&n, place, sizeof n);
        std::memcpy(&size, place + sizeof n, sizeof size);
        arguments v(n, std::string(reinterpret_cast<const char*>(place) + sizeof n + sizeof size, size));
        benchmark::DoNotOptimize(v);
    }
    state.SetItemsProcessed(state.iterations());
}
void encode_megabyte(benchmark::State& state) {
    const std::size_t size = megabyte.size() * sizeof(double);
    const auto place = std::make_unique<std::byte[]>(size);
    for (auto _ : state) {
        std::memcpy(place.get(), megabyte.data(), size);
        benchmark::DoNotOptimize(place.get());
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations());
}
void decode_megabyte(benchmark::State& state) {
    for (auto _ : state) {
        auto v = megabyte;
        benchmark::DoNotOptimize(v);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(encode_small);
BENCHMARK(decode_small);
BENCHMARK(encode_megabyte);
BENCHMARK(decode_megabyte);

} // namespace
