#include "io_test.hpp"

#include <tenure/io/child.hpp>

#include <csignal>

namespace {
using namespace io_test;

class Child : public EveryRuntimeNoChild {};
INSTANTIATE_TEST_SUITE_P(Workers, Child, every_runtime);

spawned start_shell(std::string script) {
    std::string words[] = {"sh", "-c", std::move(script)};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    tenure::io::spawn_options o;
    o.argv = argv;
    o.want_pidfd = true;
    auto s = spawn(o);
    EXPECT_TRUE(s) << s.error.code;
    return s;
}

TEST_P(Child, SaysHowItEnded) {
    run([]() -> task<> {
        child c(start_shell("exit 3"));
        EXPECT_GT(c.pid(), 0);
        EXPECT_EQ(epoll_driver::current().usage().processes, 1u);
        EXPECT_FALSE(c.reaped());
        const exit_status s = co_await c.exited();
        EXPECT_EQ(s.code, 3);
        EXPECT_EQ(s.signal, 0);
        EXPECT_FALSE(s.success());
        EXPECT_TRUE(c.reaped());
        EXPECT_EQ(epoll_driver::current().usage().processes, 0u);
        EXPECT_EQ((co_await c.exited()).code, 3) << "asked again";
        c.signal_group(SIGKILL); // nobody there: nothing happens
    });
}

TEST_P(Child, R109_SaysWhichSignalEndedIt) {
    run([]() -> task<> {
        child c(start_shell("kill -USR1 $$"));
        const exit_status s = co_await c.exited();
        EXPECT_EQ(s.signal, SIGUSR1);
        EXPECT_EQ(s.code, 0);
        EXPECT_FALSE(s.success());
    });
}

TEST_P(Child, EndedLeavesItToBeReaped) {
    run([]() -> task<> {
        child c(start_shell("exit 4"));
        co_await c.ended();
        EXPECT_FALSE(c.reaped());
        EXPECT_EQ(::kill(c.pid(), 0), 0) << "a zombie still has its number";
        co_await c.ended();
        EXPECT_EQ((co_await c.exited()).code, 4);
    });
}

TEST_P(Child, CancelledWaitNeitherEndsNorReapsIt) {
    run([]() -> task<> {
        child c(start_shell("sleep 1000"));
        auto wait = [&]() -> task<> { (void)co_await c.exited(); };
        EXPECT_FALSE(co_await move_on_after(2ms, wait));
        EXPECT_FALSE(c.reaped());
        c.signal_group(SIGTERM);
        EXPECT_EQ((co_await c.exited()).signal, SIGTERM);
    });
}

TEST_P(Child, DestructorEndsAndReapsIt) {
    run([]() -> task<> {
        witness w;
        {
            const child c(start_shell("exec 3>" + w.path() + "; sleep 1000 & echo >&3; sleep 1000"));
            co_await w.spoken();
        }
        EXPECT_EQ(epoll_driver::current().usage().processes, 0u);
        co_await w.all_gone(); // its group too
    });
}

TEST_P(Child, CountsItsCpuTime) {
    run([]() -> task<> {
        child c(start_shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"));
        const exit_status s = co_await c.exited();
        EXPECT_GT(s.user + s.system, 0ns);
        EXPECT_LT(s.user + s.system, long_enough);
    });
}

TEST_P(Child, ReapedBySomebodyElseIsAnErrorAndNoHang) {
    run([]() -> task<> {
        child c(start_shell("exit 0"));
        co_await c.ended();
        EXPECT_EQ(::waitpid(c.pid(), nullptr, 0), c.pid());
        try {
            (void)co_await c.exited();
            ADD_FAILURE() << "its status is lost";
        } catch (const std::system_error& e) {
            EXPECT_EQ(e.code().value(), ECHILD);
        }
        EXPECT_TRUE(c.reaped());
    });
}

TEST_P(Child, WantsAProcessThatWasStartedWithItsPidfd) {
    run([]() -> task<> {
        EXPECT_THROW(child(spawned{}), usage_error);
        co_return;
    });
}

} // namespace
