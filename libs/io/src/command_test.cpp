#include "io_test.hpp"

#include <tenure/io/command.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>

namespace {
using namespace io_test;

class Command : public EveryRuntimeNoChild {};
INSTANTIATE_TEST_SUITE_P(Workers, Command, every_runtime);

command shell(std::string script) {
    command c;
    c.argv = {"sh", "-c", std::move(script)};
    return c;
}

TEST_P(Command, GivesOutputAndStatus) {
    const command_result r = rt().block_on(run_command, shell("echo out; echo err >&2; exit 3"));
    EXPECT_EQ(r.output, "out\n");
    EXPECT_EQ(r.errors, "err\n");
    EXPECT_EQ(r.status, 3);
    EXPECT_EQ(r.signal, 0);
    EXPECT_FALSE(r.success());
    EXPECT_GT(r.wall, 0ns);
    EXPECT_LT(r.wall, long_enough);
    const command_result quiet = rt().block_on(run_command, command{.argv = {"true"}});
    EXPECT_TRUE(quiet.success());
    EXPECT_EQ(quiet.output + quiet.errors, "");
}

TEST_P(Command, R109_SignalIsAResult) {
    const command_result r = rt().block_on(run_command, shell("kill -KILL $$"));
    EXPECT_EQ(r.signal, SIGKILL);
    EXPECT_FALSE(r.success());
}

TEST_P(Command, ArgumentsArriveAsTheyAre) {
    command c{.argv = {"printf", "%s|", "a b", "", "*", "-n", "$HOME", "x\ny", "\xff\xfe"}};
    EXPECT_EQ(rt().block_on(run_command, c).output, "a b||*|-n|$HOME|x\ny|\xff\xfe|");
}

TEST_P(Command, TextBecomesItsInput) {
    command c{.argv = {"cat"}};
    c.input = "one\ntwo";
    EXPECT_EQ(rt().block_on(run_command, c).output, "one\ntwo");
    c.input = std::string();
    EXPECT_EQ(rt().block_on(run_command, c).output, "");
    c.input = null_device{};
    EXPECT_EQ(rt().block_on(run_command, c).output, "");
}

TEST_P(Command, TenMegabytesThroughItWithoutDeadlock) {
    std::string text(10 << 20, ' ');
    for (std::size_t i = 0; i < text.size(); ++i)
        text[i] = static_cast<char>('a' + i % 23);
    command c = shell("tee /dev/stderr");
    c.input = text;
    const command_result r = rt().block_on(run_command, c);
    EXPECT_TRUE(r.success());
    EXPECT_TRUE(r.output == text);
    EXPECT_TRUE(r.errors == text);
}

TEST_P(Command, InputThatIsNotReadIsDropped) {
    command c{.argv = {"true"}};
    c.input = std::string(1 << 20, 'x');
    EXPECT_TRUE(rt().block_on(run_command, c).success());
}

TEST_P(Command, OutputBeyondTheLimitIsCountedAndDropped) {
    command c = shell("head -c 300000 /dev/zero; head -c 10 /dev/zero >&2");
    c.output = capture{.limit = 1000};
    c.errors = capture{.limit = 0};
    const command_result r = rt().block_on(run_command, c);
    EXPECT_TRUE(r.success());
    EXPECT_EQ(r.output.size(), 1000u);
    EXPECT_EQ(r.output_dropped, 299'000u);
    EXPECT_EQ(r.errors, "");
    EXPECT_EQ(r.errors_dropped, 10u);
}

TEST_P(Command, StreamsCanBeInheritedOrDiscarded) {
    // In a process of its own, whose standard streams are files.
    const auto dir =
        std::filesystem::temp_directory_path() / ("tenure_command_" + std::to_string(::getpid()));
    std::filesystem::create_directories(dir);
    std::ofstream(dir / "in") << "from stdin";
    const unsigned workers = GetParam();
    EXPECT_EQ(rt().block_on(run_command, shell("exit 0")).status, 0);
    rt().close(); // fork() copies no thread
    const auto child = [&] {
        for (const auto& [fd, name, flags] :
             {std::tuple(0, "in", O_RDONLY), std::tuple(1, "out", O_WRONLY | O_CREAT),
              std::tuple(2, "err", O_WRONLY | O_CREAT)}) {
            const int opened = ::open((dir / name).c_str(), flags, 0600);
            if (opened < 0 || ::dup2(opened, fd) < 0) return 1;
            ::close(opened);
        }
        runtime own(on_epoll(workers));
        command c = shell("cat; echo err >&2");
        c.input = inherited{};
        c.output = inherited{};
        c.errors = inherited{};
        const command_result r = own.block_on(run_command, c);
        if (!r.success() || !r.output.empty() || !r.errors.empty()) return 2;
        command silent = shell("echo out; echo err >&2");
        silent.output = null_device{};
        silent.errors = null_device{};
        const command_result nothing = own.block_on(run_command, silent);
        return nothing.success() && nothing.output.empty() && nothing.output_dropped == 0 ? 0 : 3;
    };
    EXPECT_EQ(status_in_child(child), 0);
    const auto text_of = [&](const char* name) {
        std::ifstream f(dir / name);
        return std::string(std::istreambuf_iterator<char>(f), {});
    };
    EXPECT_EQ(text_of("out"), "from stdin");
    EXPECT_EQ(text_of("err"), "err\n");
    std::filesystem::remove_all(dir);
}

TEST_P(Command, EnvironmentOnTopOfOursOrAlone) {
    ::setenv("TENURE_TEST_KEPT", "kept", 1);
    ::setenv("TENURE_TEST_GONE", "gone", 1);
    command c = shell("echo $TENURE_TEST_KEPT,$TENURE_TEST_GONE,$TENURE_TEST_NEW,$HOME");
    c.environment = {{"TENURE_TEST_GONE", std::nullopt}, {"TENURE_TEST_NEW", "a=b"}, {"HOME", "/elsewhere"}};
    EXPECT_EQ(rt().block_on(run_command, c).output, "kept,,a=b,/elsewhere\n");
    command alone{.argv = {"env"}};
    alone.inherit_environment = false;
    alone.environment = {{"ONLY", "this"}};
    EXPECT_EQ(rt().block_on(run_command, alone).output, "ONLY=this\n");
    ::unsetenv("TENURE_TEST_KEPT");
    ::unsetenv("TENURE_TEST_GONE");
}

TEST_P(Command, RunsInItsDirectory) {
    command c{.argv = {"pwd"}};
    c.directory = "/usr";
    EXPECT_EQ(rt().block_on(run_command, c).output, "/usr\n");
}

// Caught in the task: an exception that crosses threads is counted inside libstdc++, where ThreadSanitizer sees nothing.
task<command_error> failed_start(command c) {
    try {
        (void)co_await run_command(std::move(c));
    } catch (const command_error& e) {
        co_return e;
    }
    co_return command_error("none", {});
}

TEST_P(Command, WhatCannotBeStartedSaysWhy) {
    const auto start = [&](command c) { return rt().block_on(failed_start, std::move(c)); };
    const command_error missing = start({.argv = {"tenure-no-such-program"}});
    EXPECT_EQ(missing.code(), ENOENT);
    EXPECT_EQ(missing.stage(), spawn_stage::exec);
    EXPECT_EQ(missing.program(), "tenure-no-such-program");
    EXPECT_STREQ(missing.what(), "cannot start 'tenure-no-such-program': No such file or directory (exec)");
    EXPECT_EQ(start({.argv = {"/etc/passwd"}}).code(), EACCES);
    const command_error directory = start({.argv = {"true"}, .directory = "/no/such/place"});
    EXPECT_EQ(directory.code(), ENOENT);
    EXPECT_EQ(directory.stage(), spawn_stage::directory);
    EXPECT_EQ(start({.argv = {"true", std::string(4 << 20, 'x')}}).code(), E2BIG);
}

TEST_P(Command, BadInputIsRefusedBeforeAnythingStarts) {
    const auto refused = [&](command c) {
        EXPECT_THROW((void)rt().block_on(run_command, std::move(c)), usage_error);
    };
    refused({});
    refused({.argv = {""}});
    refused({.argv = {"true", std::string("a\0b", 3)}});
    refused({.argv = {"true"}, .directory = std::string("/\0", 2)});
    refused({.argv = {"true"}, .environment = {{"A=B", "c"}}});
    refused({.argv = {"true"}, .environment = {{"", "c"}}});
    refused({.argv = {"true"}, .environment = {{"A", std::string("\0", 1)}}});
    runtime without_io({.threads = 0});
    const auto try_there = [&] { (void)without_io.block_on(run_command, command{.argv = {"true"}}); };
    EXPECT_THROW(try_there(), usage_error);
}

TEST_P(Command, R108_CancelTerminatesTheGroupAndReaps) {
    run([]() -> task<> {
        witness w;
        auto body = [&](group g) -> task<> {
            auto f =
                g.spawn(run_command, shell("exec 3>" + w.path() + "; sleep 1000 & echo >&3; sleep 1000"));
            co_await w.spoken();
            EXPECT_EQ(co_await f.cancel_and_join(), task_status::cancelled);
            EXPECT_EQ(epoll_driver::current().usage().processes, 0u);
            co_await w.all_gone();
        };
        co_await with_group(body);
    });
}

TEST_P(Command, R108_WhoeverIgnoresSigtermIsKilledAfterTheGrace) {
    run([]() -> task<> {
        witness w;
        command c = shell("trap '' TERM; exec 3>" + w.path() + "; sleep 1000 & echo >&3; wait; sleep 1000");
        c.grace = 20ms;
        auto body = [&](group g) -> task<> {
            auto f = g.spawn(run_command, c);
            co_await w.spoken();
            const auto begin = std::chrono::steady_clock::now();
            EXPECT_EQ(co_await f.cancel_and_join(), task_status::cancelled);
            EXPECT_GE(std::chrono::steady_clock::now() - begin, 20ms);
            co_await w.all_gone();
        };
        co_await with_group(body);
    });
}

TEST_P(Command, R108_DescendantThatIgnoresSigtermGoesWithItsLeader) {
    run([]() -> task<> {
        witness w;
        command c = shell("exec 3>" + w.path() + "; (trap '' TERM; echo >&3; sleep 1000) & wait");
        c.grace = long_enough;
        auto body = [&](group g) -> task<> {
            auto f = g.spawn(run_command, c);
            co_await w.spoken();
            EXPECT_EQ(co_await f.cancel_and_join(), task_status::cancelled);
            co_await w.all_gone();
        };
        co_await with_group(body);
    });
}

TEST_P(Command, R108_CleanupOfTheProgramRunsWithinTheGrace) {
    run([]() -> task<> {
        witness w;
        // More than a pipe holds: whoever ends it goes on reading.
        command c = shell("trap 'head -c 200000 /dev/zero; echo >&3; exit 0' TERM; exec 3>" + w.path() +
                          "; echo >&3; while :; do sleep 0.01; done");
        c.grace = long_enough;
        auto body = [&](group g) -> task<> {
            auto f = g.spawn(run_command, c);
            co_await w.spoken();
            f.cancel();
            co_await w.spoken();
            EXPECT_EQ(co_await f.join(), task_status::cancelled);
        };
        co_await with_group(body);
    });
}

TEST_P(Command, R108_StoppedProgramIsEndedToo) {
    run([]() -> task<> {
        witness w;
        command c = shell("exec 3>" + w.path() + "; echo >&3; kill -STOP $$; sleep 1000");
        c.grace = long_enough;
        auto body = [&](group g) -> task<> {
            auto f = g.spawn(run_command, c);
            co_await w.spoken();
            co_await sleep_for(5ms);
            EXPECT_EQ(co_await f.cancel_and_join(), task_status::cancelled);
        };
        co_await with_group(body);
    });
}

TEST_P(Command, CancelledBeforeItBeginsStartsNothing) {
    run([]() -> task<> {
        auto body = [](group g) -> task<> {
            auto f = g.spawn(run_command, shell("sleep 1000"));
            f.cancel();
            const task_status how = co_await f.join();
            EXPECT_EQ(how, task_status::cancelled);
        };
        co_await with_group(body);
        EXPECT_EQ(epoll_driver::current().usage().processes, 0u);
    });
}

TEST_P(Command, TimeoutEndsIt) {
    run([]() -> task<> {
        try {
            co_await with_timeout(5ms, run_command, shell("sleep 1000"));
            ADD_FAILURE() << "it sleeps longer";
        } catch (const timeout_error&) {
            EXPECT_EQ(epoll_driver::current().usage().processes, 0u);
        }
    });
}

// The descendant writes into the pipe for ever; nobody waits for it, and it ends by SIGPIPE.
TEST_P(Command, DescendantThatKeepsThePipesDoesNotHoldItUp) {
    run([]() -> task<> {
        witness w;
        const command_result r = co_await run_command(
            shell("exec 3>" + w.path() + "; (while echo tick; do sleep 0.01; done) & echo done"));
        EXPECT_TRUE(r.success());
        EXPECT_NE(r.output.find("done\n"), std::string::npos);
        co_await w.all_gone();
    });
}

TEST_P(Command, ClosedStreamsAreNotItsEnd) {
    const command_result r = rt().block_on(run_command, shell("exec >&- 2>&-; sleep 0.02; exit 5"));
    EXPECT_EQ(r.status, 5);
}

TEST_P(Command, ManyAtOnce) {
    const auto total = run([]() -> task<std::size_t> {
        std::vector<future<command_result>> all;
        auto body = [&](group g) -> task<> {
            for (int i = 0; i < 40; ++i)
                all.push_back(g.spawn(run_command, shell("echo " + std::to_string(i))));
            co_return;
        };
        co_await with_group(body);
        std::size_t sum = 0;
        for (auto& f : all)
            sum += static_cast<std::size_t>(std::stoi((co_await f).output));
        co_return sum;
    });
    EXPECT_EQ(total, 780u);
}

TEST_P(Command, CancelledAtAnyMomentNothingIsLeft) {
    run([]() -> task<> {
        for (int i = 0; i < 40; ++i) {
            auto go = []() -> task<> { (void)co_await run_command(shell("echo x; exec sleep 0.02")); };
            (void)co_await move_on_after(i * 200us, go);
            EXPECT_EQ(epoll_driver::current().usage().processes, 0u);
            EXPECT_EQ(epoll_driver::current().usage().descriptors, 0u);
        }
    });
}

// In a process of its own, because the limit holds for all of it. Two are left, which is one pipe: the sanitizers need
// that to look at memory.
void with_few_descriptors(const std::function<task<int>(std::vector<unique_fd>&)>& body) {
    EXPECT_EQ(status_in_child([&] {
                  runtime own(on_epoll(0));
                  const rlimit few{64, 64};
                  if (::setrlimit(RLIMIT_NOFILE, &few) != 0) return 10;
                  std::vector<unique_fd> taken;
                  for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;)
                      taken.emplace_back(fd);
                  taken.resize(taken.size() - 2);
                  return own.block_on([&] { return body(taken); });
              }),
              0);
}

TEST(CommandStart, ShortOfDescriptorsItTriesAgain) {
    with_few_descriptors([](std::vector<unique_fd>& taken) -> task<int> {
        int status = 1;
        auto body = [&](group g) -> task<> {
            auto f = g.spawn(run_command, shell("exit 0"));
            co_await sleep_for(5ms);
            if (f.status() != task_status::pending) co_return;
            taken.clear();
            status = (co_await f).status;
        };
        co_await with_group(body);
        co_return status;
    });
}

TEST(CommandStart, ShortOfDescriptorsForTooLongIsAnError) {
    with_few_descriptors([](std::vector<unique_fd>& taken) -> task<int> {
        command c = shell("exit 0");
        c.start_patience = 5ms;
        const auto o = co_await as_outcome(run_command(c));
        taken.clear();
        try {
            std::rethrow_exception(o.error());
        } catch (const command_error& e) {
            co_return e.code() == EMFILE ? 0 : 2;
        }
    });
}

TEST_P(Command, IsNoneOfOurDescriptorsAndSignals) {
    auto p = make_pipe(0); // not close-on-exec
    const command_result r =
        rt().block_on(run_command, shell("ls /proc/self/fd | wc -l; ps -o pgid= -p $$; echo $$"));
    std::istringstream words(r.output);
    int descriptors = 0;
    long group_id = 0;
    long pid = 0;
    words >> descriptors >> group_id >> pid;
    EXPECT_EQ(descriptors, 4) << "0, 1, 2 and the one that ls reads the folder with";
    EXPECT_EQ(group_id, pid) << "leads a group of its own";
}

} // namespace
