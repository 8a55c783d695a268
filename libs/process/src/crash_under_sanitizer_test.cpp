// A worker that crashes where a sanitizer watches: it tells where by itself, so that the worker installs no handler. Elsewhere:
// crash_test.cpp.
#include "pool_test.hpp"

#include <csignal>

namespace process_test {
namespace {

int add(int a, int b) { return a + b; }
void crashes() { std::raise(SIGSEGV); }

TEST_P(Pools, ASanitizerTellsOfCrashesItself) {
    std::string told;
    pool p(rt(), {.workers = 1, .on_output = [&told](const process::worker_line& l) { told += l.text; }});
    auto body = [&]() -> task<> {
        try {
            co_await p.call(fn<&crashes>);
            ADD_FAILURE();
        } catch (const process::worker_died& e) {
            EXPECT_EQ(e.backtrace(), "");
            EXPECT_NE(e.stderr_tail().find("Sanitizer"), std::string::npos) << e.what();
        }
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
    p.close();
    EXPECT_NE(told.find("Sanitizer"), std::string::npos);
}

} // namespace
} // namespace process_test
