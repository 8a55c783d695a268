#include "conformance.hpp"

#include <tenure/io/epoll_driver.hpp>
#include <tenure/process/enter_worker.hpp>
#include <tenure/process/pool.hpp>

#include <gtest/gtest.h>

namespace runner_conformance {
namespace {
using namespace std::chrono_literals;

core::runtime_options on_epoll() { return {.threads = 2, .io = std::make_unique<io::epoll_driver>()}; }

template <process::start_method How>
std::unique_ptr<runner::runner> pool(core::runtime& rt, unsigned width) {
    return std::make_unique<process::pool>(
        rt, process::pool_options{.workers = width, .start = How, .grace = 20ms});
}
} // namespace

std::vector<setup> setups() { // what jobs of this test throw is of types that are its own
    return {{.name = "Processes",
             .options = on_epoll,
             .make = pool<process::start_method::zygote>,
             .ends_jobs = true,
             .runs_beside = true,
             .has_width = true},
            {.name = "ExecutedProcesses",
             .options = on_epoll,
             .make = pool<process::start_method::spawn>,
             .ends_jobs = true,
             .runs_beside = true,
             .has_width = true}};
}

} // namespace runner_conformance

int main(int argc, char** argv) {
    if (const auto status = tenure::process::enter_worker()) return *status;
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
