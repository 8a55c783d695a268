#include "map/summary.hpp"
#include "map/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sstream>
#include <unistd.h>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

item_result result(std::uint64_t seq, item_state state, std::chrono::nanoseconds wall = 1ms,
                   int exit_code = 0, std::string reason = {}) {
    item_result r;
    r.seq = seq;
    r.state = state;
    r.wall = wall;
    r.cpu = wall / 2;
    r.exit_code = exit_code;
    r.reason = std::move(reason);
    return r;
}

std::string plain(const run_summary& summary, run_ending ending = run_ending::finished,
                  std::size_t columns = 80) {
    return summary.text(2s, ending, {columns, false});
}

TEST(Summary, OfNothing) {
    EXPECT_EQ(plain(run_summary()), "time      wall 2.00 s  CPU 0 us\n"
                                    "summary   done 0  failed 0  timed out 0  retried 0\n");
}

TEST(Summary, CountsEveryOutcome) {
    run_summary summary;
    for (std::uint64_t seq = 1; seq <= 1200; ++seq)
        summary.add(result(seq, item_state::succeeded, 2ms), "a");
    summary.add(result(1201, item_state::failed, 1ms, 3), "b");
    summary.add(result(1202, item_state::timed_out, 1ms, -1), "c");
    auto repeated = result(1203, item_state::succeeded);
    repeated.attempts = 4;
    summary.add(repeated, "d");
    EXPECT_EQ(summary.counts().done, 1201U);
    EXPECT_EQ(summary.counts().retried, 3U);
    EXPECT_THAT(plain(summary), HasSubstr("summary   done 1,201  failed 1  timed out 1  retried 3\n"));
    EXPECT_THAT(plain(summary), HasSubstr("time      wall 2.00 s  CPU 1.20 s  602 items/s\n"));
}

TEST(Summary, WholeText) {
    run_summary summary;
    summary.add(result(1, item_state::succeeded, 300ms), "quick");
    summary.add(result(2, item_state::failed, 1200ms, 3), "a file");
    summary.add(result(3, item_state::timed_out, 5s, -1), "b\nfile");
    auto segv = result(4, item_state::failed, 10ms, -1);
    segv.signal = SIGSEGV;
    segv.attempts = 3;
    summary.add(segv, "");
    EXPECT_EQ(plain(summary), "failures  exit status 3 (1 item)\n"
                              "            item 2  a file\n"
                              "          timed out (1 item)\n"
                              "            item 3  b\\nfile\n"
                              "          killed by SIGSEGV (1 item)\n"
                              "            item 4  (empty)  (3 attempts)\n"
                              "slowest     5.00 s  item 3  timed out  b\\nfile\n"
                              "            1.20 s  item 2  failed  a file\n"
                              "            300 ms  item 1  quick\n"
                              "             10 ms  item 4  failed  (empty)\n"
                              "time      wall 2.00 s  CPU 3.25 s  2.00 items/s\n"
                              "summary   done 1  failed 2  timed out 1  retried 2\n");
}

TEST(Summary, TellsAReasonOnce) {
    run_summary summary;
    for (std::uint64_t seq = 1; seq <= 10'000; ++seq)
        summary.add(result(seq, item_state::failed, 0ns, 127, "command not found: foo"),
                    "item" + std::to_string(seq));
    const std::string text = plain(summary);
    EXPECT_THAT(text, HasSubstr("failures  command not found: foo (10,000 items)\n"
                                "            item 1  item1\n"
                                "            item 2  item2\n"
                                "            item 3  item3\n"
                                "time "));
    EXPECT_THAT(text, Not(HasSubstr("item4"))) << "three are enough";
}

TEST(Summary, TellsOfLostStandardErrorOnce) {
    run_summary summary;
    EXPECT_EQ(summary.lost_stderr(), 0U);
    summary.add_lost_stderr("No space left on device");
    EXPECT_THAT(plain(summary),
                HasSubstr("lost      standard error of 1 item: No space left on device\ntime "));
    summary.add_lost_stderr("another reason");
    EXPECT_EQ(summary.lost_stderr(), 2U);
    EXPECT_THAT(plain(summary),
                HasSubstr("lost      standard error of 2 items: No space left on device\ntime "));
}

TEST(Summary, NamesDistinctItems) {
    run_summary summary;
    for (std::uint64_t seq = 1; seq <= 10; ++seq)
        summary.add(result(seq, item_state::failed, 0ns, 1), seq < 9 ? "same" : "other");
    EXPECT_THAT(plain(summary),
                HasSubstr("exit status 1 (10 items)\n            item 1  same\n            item 9  other\n"));
}

TEST(Summary, MostFrequentReasonComesFirst) {
    run_summary summary;
    summary.add(result(1, item_state::failed, 0ns, 1), "a");
    summary.add(result(2, item_state::failed, 0ns, 2), "b");
    summary.add(result(3, item_state::failed, 0ns, 2), "c");
    const std::string text = plain(summary);
    EXPECT_LT(text.find("exit status 2 (2 items)"), text.find("exit status 1 (1 item)"));
}

TEST(Summary, DetailsStandBesideTheItem) {
    run_summary summary;
    auto r =
        result(7, item_state::failed, 0ns, -1, "longer than the system allows for one argument (131071)");
    r.detail = "140000 bytes";
    summary.add(r, std::string(140'000, 'a'));
    const std::string text = plain(summary);
    EXPECT_THAT(text, HasSubstr("(131071) (1 item)\n            item 7  aaaa"));
    EXPECT_THAT(text, HasSubstr("aaa…  (140000 bytes)\n"));
}

TEST(Summary, MemoryIsBounded) {
    run_summary summary;
    for (std::uint64_t seq = 1; seq <= 100'000; ++seq)
        summary.add(result(seq, item_state::failed, 0ns, -1, "reason " + std::to_string(seq)), "x");
    const std::string text = plain(summary);
    EXPECT_THAT(text, HasSubstr("reason 1 (1 item)"));
    EXPECT_THAT(text, HasSubstr("other reasons (99,990 items)"));
    EXPECT_LT(text.size(), 4000U);
}

TEST(Summary, SlowestFiveLongestFirst) {
    run_summary summary;
    for (std::uint64_t seq = 1; seq <= 100; ++seq)
        summary.add(result(seq, item_state::succeeded, std::chrono::milliseconds((seq * 37) % 101)), "i");
    const std::string text = plain(summary);
    std::size_t last = 0;
    for (const char* wall : {"100 ms", "99 ms", "98 ms", "97 ms", "96 ms"}) {
        const auto at = text.find(wall);
        EXPECT_NE(at, std::string::npos) << wall;
        EXPECT_GT(at, last) << wall;
        last = at;
    }
    EXPECT_THAT(text, Not(HasSubstr("95 ms")));
}

TEST(Summary, SaysWhyTheRunEndedEarly) {
    run_summary summary;
    summary.add(result(1, item_state::succeeded), "a");
    summary.add(result(2, item_state::stopped, 1ms, -1), "b");
    summary.not_started(998);
    EXPECT_THAT(plain(summary, run_ending::interrupted), HasSubstr("ended     by an interrupt\n"
                                                                   "stopped   1 item while running\n"
                                                                   "left out  998 items not started\n"));
    summary.not_started(std::nullopt);
    EXPECT_THAT(plain(summary, run_ending::deadline), HasSubstr("ended     by --deadline\n"));
    EXPECT_THAT(plain(summary, run_ending::deadline), HasSubstr("left out  the items not read yet\n"));
    EXPECT_THAT(plain(summary, run_ending::failed_fast), HasSubstr("--fail-fast"));
    EXPECT_THAT(plain(summary, run_ending::output_closed), HasSubstr("standard output"));
    EXPECT_THAT(plain(summary), Not(HasSubstr("ended")));
    EXPECT_THAT(plain(summary), Not(HasSubstr("exit status"))) << "an item that we ended is no failure";
}

TEST(Summary, FitsTheWidth) {
    run_summary summary;
    for (std::uint64_t seq = 1'000'000; seq <= 1'000'100; ++seq) {
        auto r =
            result(seq, item_state::failed, 123456s, -1, std::string(300, 'r') + std::to_string(seq % 20));
        r.detail = "140000 bytes";
        r.attempts = 4;
        summary.add(r, "漢字\x1b[31m" + std::string(300, 'x'));
    }
    summary.not_started(1'000'000'000);
    for (std::size_t columns : {80U, 100U, 200U}) {
        std::istringstream lines(plain(summary, run_ending::output_closed, columns));
        for (std::string line; std::getline(lines, line);)
            EXPECT_LE(columns_of(line), columns) << line;
    }
    EXPECT_THAT(plain(summary), Not(HasSubstr("\x1b")));
    EXPECT_THAT(plain(summary, run_ending::finished, 1), HasSubstr("failures"))
        << "too narrow is no disaster";
}

TEST(Summary, ColoursOnlyWhereAsked) {
    run_summary summary;
    summary.add(result(1, item_state::failed, 1ms, 1), "a");
    EXPECT_THAT(plain(summary), Not(HasSubstr("\x1b")));
    EXPECT_THAT(summary.text(1s, run_ending::finished, {80, true}), HasSubstr("\x1b[31mfailed 1\x1b[0m"));
}

TEST(Colour, NeedsATerminalAndConsent) {
    const auto get = [](const char* name) {
        const char* value = std::getenv(name);
        return value ? std::optional<std::string>(value) : std::nullopt;
    };
    const auto put = [](const char* name, const std::optional<std::string>& value) {
        value ? ::setenv(name, value->c_str(), 1) : ::unsetenv(name);
    };
    const auto term = get("TERM");
    const auto refused = get("NO_COLOR");
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_GE(master, 0);
    ASSERT_EQ(::unlockpt(master), 0);
    const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    const int file = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    put("TERM", "xterm");
    put("NO_COLOR", std::nullopt);
    EXPECT_TRUE(wants_colour(terminal));
    EXPECT_FALSE(wants_colour(file));
    put("NO_COLOR", "");
    EXPECT_TRUE(wants_colour(terminal));
    put("NO_COLOR", "1");
    EXPECT_FALSE(wants_colour(terminal));
    put("NO_COLOR", std::nullopt);
    put("TERM", "dumb");
    EXPECT_FALSE(wants_colour(terminal));
    put("TERM", std::nullopt);
    EXPECT_FALSE(wants_colour(terminal));
    put("TERM", term);
    put("NO_COLOR", refused);
    ::close(terminal);
    ::close(master);
    ::close(file);
}

TEST(ExitStatus, FollowsTheOutcomes) {
    const auto status = [](run_counts counts, run_ending ending = run_ending::finished) {
        return exit_status(counts, ending);
    };
    EXPECT_EQ(status({}), 0);
    EXPECT_EQ(status({.done = 5, .retried = 3}), 0) << "it succeeded in the end";
    EXPECT_EQ(status({.done = 5, .failed = 1}), 1);
    EXPECT_EQ(status({.done = 5, .timed_out = 1}), 1);
    EXPECT_EQ(status({.done = 5, .stopped = 1}), 1);
    EXPECT_EQ(status({.done = 5, .not_started = 1}), 1);
    EXPECT_EQ(status({.done = 5, .not_started = std::nullopt}), 1);
    EXPECT_EQ(status({.done = 5}, run_ending::output_closed), 1);
    EXPECT_EQ(status({.failed = 1}, run_ending::failed_fast), 1);
    EXPECT_EQ(status({.failed = 1}, run_ending::deadline), 124);
    EXPECT_EQ(status({.failed = 1}, run_ending::interrupted), 130);
}

TEST(Audit, SaysThatNothingIsLeft) {
    EXPECT_EQ(audit_text({}), "audit: tasks 0, timers 0, processes 0, descriptors 0 left");
}

TEST(Audit, SaysWhereWhatIsLeftCameFrom) {
    EXPECT_EQ(audit_text({.tasks = 1, .processes = 2, .where = {"task of engine.cpp:12", "process 77"}}),
              "audit: tasks 1, timers 0, processes 2, descriptors 0 left\n"
              "  left: task of engine.cpp:12\n"
              "  left: process 77");
}

} // namespace
} // namespace tenure::inline v0::app
