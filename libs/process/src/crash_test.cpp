// A worker that crashes says where. Not in builds with a sanitizer, which tells by itself: crash_under_sanitizer_test.cpp.
#include "pool_test.hpp"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>

namespace process_test {
class Crashes : public Pools {};
namespace {

using process::worker_died;

int add(int a, int b) { return a + b; }
volatile int sink = 0;

/// By the way that the number names.
[[gnu::noinline]] void innermost(int how) {
    switch (how) {
    case SIGSEGV: *static_cast<volatile int*>(nullptr) = 1; break;
    case SIGILL: __builtin_trap();
    case SIGABRT: std::abort();
    default: std::raise(how); break;
    }
    sink = 1;
}
[[gnu::noinline]] int calls_innermost(int how) {
    innermost(how);
    sink = 2;
    return sink;
}
int (*volatile no_function)(int) = nullptr;
[[gnu::noinline]] int calls_what_is_no_function(int n) { return no_function(n) + 1; }
[[gnu::noinline]] int recurses(int n) {
    volatile char room[4096];
    room[0] = static_cast<char>(n);
    return n == 0 ? room[0] : recurses(n + 1) + room[0];
}
[[gnu::noinline]] void throws() {
    if (sink == 0) throw std::runtime_error("nobody catches this");
}
[[gnu::noinline]] void allows_none() noexcept {
    throws();
    sink = 1;
}
int terminates() {
    allows_none();
    return sink;
}
int crashes_on_another_thread() {
    std::thread([] { (void)calls_innermost(SIGSEGV); }).join();
    return 0;
}
int has_its_own_handler() {
    ::signal(SIGSEGV, [](int) { ::_exit(7); });
    return calls_innermost(SIGSEGV);
}
struct sigaction handler_before{};
int has_a_handler_that_calls_the_one_before() {
    struct sigaction mine{};
    mine.sa_sigaction = [](int signo, siginfo_t* info, void* context) {
        handler_before.sa_sigaction(signo, info, context);
    };
    mine.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSEGV, &mine, &handler_before);
    return calls_innermost(SIGSEGV);
}
int has_a_child_that_crashes() {
    const pid_t child = ::fork();
    if (child == 0) (void)calls_innermost(SIGSEGV);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
int crashes_in_a_child_and_then_itself() {
    (void)has_a_child_that_crashes();
    ::raise(SIGKILL);
    return 0;
}

/// How the call ended its worker; the caller must not care for its result.
template <class A>
task<worker_died> death_of(A call) {
    try {
        (void)co_await std::move(call);
    } catch (const worker_died& e) {
        co_return e;
    }
    throw std::logic_error("it did not die");
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_P(Crashes, TheErrorNamesTheFunctionsAndTheSignal) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        for (const int signo : {SIGSEGV, SIGILL, SIGABRT, SIGFPE, SIGBUS}) {
            const auto died = co_await death_of(p.call(fn<&calls_innermost>, signo));
            EXPECT_EQ(died.signal(), signo);
            const std::string& trace = died.backtrace();
            const auto inner = trace.find("innermost(int)");
            const auto outer = trace.find("calls_innermost(int)");
            EXPECT_TRUE(inner != std::string::npos && outer != std::string::npos && inner < outer) << trace;
            EXPECT_TRUE(has(trace, "process_test+0x")) << trace;
            EXPECT_TRUE(has(died.what(), trace));
        }
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
}

TEST_P(Crashes, ThePlaceIsTheFirstLine) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const auto died = co_await death_of(p.call(fn<&calls_innermost>, SIGSEGV));
        const std::string first = died.backtrace().substr(0, died.backtrace().find('\n'));
        EXPECT_TRUE(has(first, "innermost(int)")) << died.backtrace();
    };
    run(body);
}

TEST_P(Crashes, AStackOverflowIsToldToo) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const auto died = co_await death_of(p.call(fn<&recurses>, 1));
        EXPECT_EQ(died.signal(), SIGSEGV);
        EXPECT_TRUE(has(died.backtrace(), "recurses(int)")) << died.what();
    };
    run(body);
}

#if defined(__x86_64__)
TEST_P(Crashes, ACallOfANullPointerNamesTheCaller) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const auto died = co_await death_of(p.call(fn<&calls_what_is_no_function>, 1));
        EXPECT_EQ(died.signal(), SIGSEGV);
        EXPECT_TRUE(has(died.backtrace(), "calls_what_is_no_function(int)")) << died.what();
    };
    run(body);
}
#endif

TEST_P(Crashes, TerminateIsToldWithTheFunctionThatAllowsNoException) {
    pool p(rt(), {.workers = 1, .on_output = [](const process::worker_line&) {}});
    auto body = [&]() -> task<> {
        const auto died = co_await death_of(p.call(fn<&terminates>));
        EXPECT_EQ(died.signal(), SIGABRT);
        EXPECT_TRUE(has(died.backtrace(), "allows_none()")) << died.what();
        EXPECT_TRUE(has(died.stderr_tail(), "nobody catches this")) << died.what();
    };
    run(body);
}

TEST_P(Crashes, AnyThreadOfTheWorkerTells) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const auto died = co_await death_of(p.call(fn<&crashes_on_another_thread>));
        EXPECT_EQ(died.signal(), SIGSEGV);
        EXPECT_TRUE(has(died.backtrace(), "calls_innermost(int)")) << died.what();
    };
    run(body);
}

TEST_P(Crashes, AProgramStartedAnewTellsTheSame) {
    pool p(rt(), {.workers = 1, .start = process::start_method::spawn});
    auto body = [&]() -> task<> {
        const auto died = co_await death_of(p.call(fn<&calls_innermost>, SIGSEGV));
        EXPECT_TRUE(has(died.backtrace(), "calls_innermost(int)")) << died.what();
    };
    run(body);
}

TEST_P(Crashes, AnInitializerThatCrashesSaysWhere) {
    pool p(rt(), {.workers = 1,
                  .initializer = process::initializer(fn<&calls_innermost>, SIGSEGV),
                  .start_patience = 0s});
    auto body = [&]() -> task<> {
        try {
            (void)co_await p.call(fn<&add>, 1, 2);
            ADD_FAILURE();
        } catch (const process::start_error& e) {
            EXPECT_TRUE(has(e.what(), "calls_innermost(int)")) << e.what();
        }
    };
    run(body);
}

TEST_P(Crashes, WhatIsKilledOrExitsHasNoBacktrace) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        EXPECT_EQ((co_await death_of(p.call(fn<&calls_innermost>, SIGKILL))).backtrace(), "");
        EXPECT_EQ((co_await death_of(p.call(fn<&calls_innermost>, SIGTERM))).backtrace(), "");
    };
    run(body);
}

TEST_P(Crashes, AHandlerOfTheProgramWins) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const auto died = co_await death_of(p.call(fn<&has_its_own_handler>));
        EXPECT_EQ(died.signal(), 0);
        EXPECT_EQ(died.exit_status(), 7);
        EXPECT_EQ(died.backtrace(), "");
    };
    run(body);
}

TEST_P(Crashes, AHandlerOfTheProgramMayCallTheOneBefore) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const auto died = co_await death_of(p.call(fn<&has_a_handler_that_calls_the_one_before>));
        EXPECT_EQ(died.signal(), SIGSEGV);
        EXPECT_TRUE(has(died.backtrace(), "calls_innermost(int)")) << died.what();
    };
    run(body);
}

TEST_P(Crashes, AChildThatCrashesIsNotItsWorker) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        EXPECT_EQ(co_await p.call(fn<&has_a_child_that_crashes>), SIGSEGV);
        EXPECT_EQ((co_await death_of(p.call(fn<&crashes_in_a_child_and_then_itself>))).backtrace(), "");
    };
    run(body);
}

INSTANTIATE_TEST_SUITE_P(Workers, Crashes, testing::Values(1u, 4u));

} // namespace
} // namespace process_test
