// A program whose main() is not its own (it is GoogleTest's) has worker processes: it links tenure::auto_worker.
#include <tenure/core/scope.hpp>
#include <tenure/io/epoll_driver.hpp>
#include <tenure/process/pool.hpp>

#include <gtest/gtest.h>

#include <string>
#include <unistd.h>
#include <vector>

namespace {
using namespace tenure;
using namespace std::chrono_literals;

const std::vector<std::string> made_before_main{"a static constructor", "has run"};
std::string words() { return made_before_main.at(0) + " " + made_before_main.at(1); }
pid_t who() { return ::getpid(); }

class AutoWorker : public testing::TestWithParam<process::start_method> {};

TEST_P(AutoWorker, AProgramWithoutALineInMainHasWorkers) {
    core::runtime rt({.threads = 0, .io = std::make_unique<io::epoll_driver>()});
    process::pool p(rt, {.workers = 2, .start = GetParam()});
    auto calls = [&]() -> core::task<> {
        EXPECT_NE(co_await p.call(wire::fn<&who>), ::getpid());
        EXPECT_EQ(co_await p.call(wire::fn<&words>), "a static constructor has run");
    };
    auto bounded = [&]() -> core::task<> { co_await core::with_timeout(20s, calls); };
    rt.block_on(bounded);
}

INSTANTIATE_TEST_SUITE_P(Starts, AutoWorker,
                         testing::Values(process::start_method::zygote, process::start_method::spawn));

} // namespace
