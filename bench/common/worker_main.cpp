// main() of a benchmark whose workers are processes: it is its own worker.
#include <tenure/tenure.hpp>

#include <benchmark/benchmark.h>

int main(int argc, char** argv) {
    if (const auto status = tenure::enter_worker()) return *status;
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
