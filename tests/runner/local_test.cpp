#include "conformance.hpp"

#include <tenure/core/testing.hpp>
#include <tenure/runner/local.hpp>

namespace runner_conformance {

struct here {
    static constexpr bool shares_memory = true;
    static constexpr bool ends_jobs = false;
    static constexpr bool keeps_types = true;
};
struct on_workers {
    static core::runtime_options options() { return {.threads = 2}; }
};
struct on_virtual_time {
    static core::runtime_options options() { return core::testing::virtual_time(); }
};

struct inline_setup : here {
    static constexpr bool may_wait = false;
    static std::unique_ptr<runner::runner> make(core::runtime&, unsigned) {
        return std::make_unique<runner::inline_runner>();
    }
};
struct inline_on_workers : inline_setup, on_workers {
    static constexpr bool runs_beside = true;
};
struct inline_on_virtual_time : inline_setup, on_virtual_time {
    static constexpr bool runs_beside = false;
};
INSTANTIATE_TYPED_TEST_SUITE_P(InlineOnWorkers, RunnerConformance, inline_on_workers);
INSTANTIATE_TYPED_TEST_SUITE_P(InlineOnVirtualTime, RunnerConformance, inline_on_virtual_time);

struct threads_setup : here {
    static constexpr bool runs_beside = true;
    static std::unique_ptr<runner::runner> make(core::runtime&, unsigned width) {
        return std::make_unique<runner::threads>(width);
    }
};
struct threads_beside_workers : threads_setup, on_workers {
    static constexpr bool may_wait = true;
};
struct threads_on_virtual_time : threads_setup, on_virtual_time {
    static constexpr bool may_wait =
        false; // the only worker does not see what threads wake, until their jobs end
};
INSTANTIATE_TYPED_TEST_SUITE_P(ThreadsBesideWorkers, RunnerConformance, threads_beside_workers);
INSTANTIATE_TYPED_TEST_SUITE_P(ThreadsOnVirtualTime, RunnerConformance, threads_on_virtual_time);

} // namespace runner_conformance
