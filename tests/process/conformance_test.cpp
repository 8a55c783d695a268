#include "conformance.hpp"

#include <tenure/io/epoll_driver.hpp>
#include <tenure/process/enter_worker.hpp>
#include <tenure/process/pool.hpp>

namespace runner_conformance {

struct in_processes {
    static constexpr bool shares_memory = false;
    static constexpr bool ends_jobs = true;
    static constexpr bool keeps_types = false; // those that the test throws are its own
    static constexpr bool runs_beside = true;
    static constexpr bool may_wait = false;
    static core::runtime_options options() {
        return {.threads = 2, .io = std::make_unique<io::epoll_driver>()};
    }
};
struct copied : in_processes {
    static std::unique_ptr<runner::runner> make(core::runtime& rt, unsigned width) {
        return std::make_unique<process::pool>(rt, process::pool_options{.workers = width, .grace = 20ms});
    }
};
struct executed : in_processes {
    static std::unique_ptr<runner::runner> make(core::runtime& rt, unsigned width) {
        return std::make_unique<process::pool>(
            rt,
            process::pool_options{.workers = width, .start = process::start_method::spawn, .grace = 20ms});
    }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Processes, RunnerConformance, copied);
INSTANTIATE_TYPED_TEST_SUITE_P(ExecutedProcesses, RunnerConformance, executed);

} // namespace runner_conformance

int main(int argc, char** argv) {
    if (const auto status = tenure::process::enter_worker()) return *status;
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
