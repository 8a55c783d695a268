#include "conformance.hpp"

#include <tenure/core/testing.hpp>
#include <tenure/runner/local.hpp>

namespace runner_conformance {
namespace {
core::runtime_options on_workers() { return {.threads = 2}; }
core::runtime_options on_virtual_time() { return core::testing::virtual_time(); }

std::unique_ptr<runner::runner> inline_runner(core::runtime&, unsigned) {
    return std::make_unique<runner::inline_runner>();
}
std::unique_ptr<runner::runner> threads(core::runtime&, unsigned width) {
    return std::make_unique<runner::threads>(width);
}
} // namespace

std::vector<setup> setups() {
    return {
        {.name = "InlineOnWorkers",
         .options = on_workers,
         .make = inline_runner,
         .shares_memory = true,
         .keeps_types = true,
         .runs_beside = true},
        {.name = "InlineOnVirtualTime",
         .options = on_virtual_time,
         .make = inline_runner,
         .virtual_time = true,
         .shares_memory = true,
         .keeps_types = true},
        {.name = "ThreadsBesideWorkers",
         .options = on_workers,
         .make = threads,
         .shares_memory = true,
         .keeps_types = true,
         .runs_beside = true,
         .has_width = true,
         .may_wait = true},
        {.name =
             "ThreadsOnVirtualTime", // whose only worker does not see what threads wake, until their jobs end
         .options = on_virtual_time,
         .make = threads,
         .virtual_time = true,
         .shares_memory = true,
         .keeps_types = true,
         .runs_beside = true,
         .has_width = true}};
}

} // namespace runner_conformance
