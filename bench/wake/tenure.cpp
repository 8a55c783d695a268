// From a submit to an idle runtime until the task runs.
#include "wakes.hpp"

#include <tenure/tenure.hpp>

namespace {
void wake(benchmark::State& state) {
    tenure::runtime rt({.threads = static_cast<unsigned>(state.range(0))});
    bench::measure_wakes(state, [&rt](auto ran) { rt.submit(ran).get(); });
}
BENCHMARK(wake)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Iterations(2000);
} // namespace
