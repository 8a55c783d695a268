#include "map/progress.hpp"
#include "map/test_support.hpp"
#include "map/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/ioctl.h>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using clock_point = progress_display::clock::time_point;
const clock_point start{1000s};

progress_state state(std::uint64_t ended, std::optional<std::uint64_t> total, std::uint64_t failed = 0) {
    progress_state s;
    s.ended = ended;
    s.failed = failed;
    s.total = total;
    s.running_count = 2;
    return s;
}

// What stands on the line that a bar has painted.
std::string line_of(const std::string& written) {
    EXPECT_THAT(written, StartsWith("\r"));
    EXPECT_TRUE(written.ends_with("\x1b[K"));
    return written.substr(1, written.size() - 4);
}

TEST(ProgressStyle, AutomaticFollowsTheTerminal) {
    using enum progress_style;
    EXPECT_EQ(resolve_progress(automatic, true, "xterm", false), bar);
    EXPECT_EQ(resolve_progress(automatic, true, "dumb", false), plain);
    EXPECT_EQ(resolve_progress(automatic, true, "", false), plain);
    EXPECT_EQ(resolve_progress(automatic, false, "xterm", false), plain);
    EXPECT_EQ(resolve_progress(automatic, true, "xterm", true), none);
    EXPECT_EQ(resolve_progress(bar, false, "", false), bar);
    EXPECT_EQ(resolve_progress(none, true, "xterm", false), none);
}

TEST(ProgressBar, ShowsHowFarAndHowFast) {
    progress_display display(progress_style::bar, start, 120);
    auto s = state(450, 1000, 3);
    s.running = {"a.txt", "b\nc.txt"};
    EXPECT_EQ(line_of(display.update(s, start + 1s)), "[##########.............] 450 of 1,000 (45%), 3 "
                                                      "failed, 2 running, 450/s, 2 s left: a.txt b\\nc.txt");
}

TEST(ProgressBar, TotalMayBeUnknown) {
    progress_display display(progress_style::bar, start, 80);
    EXPECT_EQ(line_of(display.update(state(450, std::nullopt), start + 1s)), "450 items, 2 running, 450/s");
    EXPECT_EQ(line_of(display.update(state(451, std::nullopt), start + 2s)), "451 items, 2 running, 226/s");
}

TEST(ProgressBar, OneItemIsOneItem) {
    progress_display display(progress_style::bar, start, 80);
    EXPECT_EQ(line_of(display.update(state(1, std::nullopt), start + 2s)), "1 item, 2 running, 30/min");
}

TEST(ProgressBar, NothingHasEndedYet) {
    progress_display display(progress_style::bar, start, 80);
    EXPECT_EQ(line_of(display.update(state(0, 10), start + 1s)), "[...............] 0 of 10 (0%), 2 running");
    progress_display empty(progress_style::bar, start, 80);
    EXPECT_EQ(line_of(empty.update(state(0, 0), start + 1s)), "0 of 0, 2 running");
}

TEST(ProgressBar, RepaintsTenTimesASecondAtMost) {
    progress_display display(progress_style::bar, start, 80);
    EXPECT_EQ(display.next_update(), start + 100ms);
    EXPECT_EQ(display.update(state(1, 1000), start + 99ms), "") << "a short run shows nothing";
    int painted = 0;
    for (int ms = 0; ms < 1000; ++ms)
        painted +=
            !display.update(state(static_cast<unsigned>(ms), 1000), start + std::chrono::milliseconds(ms))
                 .empty();
    EXPECT_EQ(painted, 9);
    EXPECT_EQ(display.next_update(), start + 1000ms);
}

TEST(ProgressBar, UnchangedLineIsNotWrittenAgain) {
    progress_display display(progress_style::bar, start, 80);
    EXPECT_NE(display.update(state(0, 10), start + 1s), "");
    EXPECT_EQ(display.update(state(0, 10), start + 2s), "");
    EXPECT_EQ(display.next_update(), start + 2100ms) << "never in the past: the caller would spin";
}

TEST(ProgressBar, IsErasedOnceAndComesBack) {
    progress_display display(progress_style::bar, start, 80);
    EXPECT_EQ(display.erase(), "") << "nothing has been painted";
    EXPECT_NE(display.update(state(0, 10), start + 1s), "");
    EXPECT_EQ(display.erase(), "\r\x1b[K");
    EXPECT_EQ(display.erase(), "");
    EXPECT_EQ(display.update(state(0, 10), start + 1050ms), "");
    EXPECT_NE(display.update(state(0, 10), start + 1100ms), "");
}

TEST(ProgressBar, NeverFillsTheLine) {
    const std::string long_name(500, 'x');
    auto s = state(123'456'789, 987'654'321, 12'345'678);
    s.running = {"漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字", long_name,
                 "\x1b[31m"};
    for (std::size_t columns : {1U, 2U, 10U, 40U, 79U, 80U, 132U, 400U}) {
        progress_display display(progress_style::bar, start, columns);
        const std::string line = line_of(display.update(s, start + 1s));
        EXPECT_LE(columns_of(line), std::max<std::size_t>(columns - 1, 1)) << columns;
        EXPECT_THAT(line, Not(HasSubstr("\x1b")));
    }
}

TEST(ProgressBar, FollowsTheWindow) {
    progress_display display(progress_style::bar, start, 200);
    display.set_columns(20);
    EXPECT_LE(columns_of(line_of(display.update(state(450, 1000), start + 1s))), 19U);
}

TEST(ProgressRate, IsThatOfTheLastSeconds) {
    progress_display display(progress_style::bar, start, 200);
    // 100 a second for a minute, then 10 a second for half a minute.
    std::uint64_t ended = 0;
    std::string last;
    for (int s = 1; s <= 90; ++s) {
        ended += s <= 60 ? 100 : 10;
        last = display.update(state(ended, 10'000), start + std::chrono::seconds(s));
        if (s == 60) {
            EXPECT_THAT(last, HasSubstr(", 100/s, 40 s left"));
        }
    }
    EXPECT_THAT(last, HasSubstr(", 10/s, 6m 10s left"));
}

TEST(ProgressRate, SlowOnesAreCountedByTheMinute) {
    progress_display display(progress_style::bar, start, 200);
    EXPECT_THAT(display.update(state(2, 3), start + 60s), HasSubstr(", 2/min, 30 s left"));
    progress_display faster(progress_style::bar, start, 200);
    EXPECT_THAT(faster.update(state(7, 8), start + 2s), HasSubstr(", 3.5/s, 1 s left"));
}

TEST(ProgressPlain, TellsEveryTenthButNotTooOften) {
    progress_display display(progress_style::plain, start);
    std::vector<std::string> lines;
    for (int ms = 0; ms <= 20'000; ms += 250) { // a tenth every two seconds
        const auto text = display.update(state(static_cast<unsigned>(ms) / 20, 1000),
                                         start + std::chrono::milliseconds(ms));
        if (!text.empty()) lines.push_back(text);
    }
    ASSERT_EQ(lines.size(), 10U);
    EXPECT_EQ(lines[0], "tenure: 100 of 1,000 (10%), 2 running, 50/s, 18 s left\n");
    EXPECT_THAT(lines[9], HasSubstr("1,000 of 1,000 (100%)"));
}

TEST(ProgressPlain, FastRunTellsOnceASecondAtMost) {
    progress_display display(progress_style::plain, start);
    int lines = 0;
    for (int ms = 0; ms <= 3000; ++ms)
        lines +=
            !display.update(state(static_cast<unsigned>(ms), 3000), start + std::chrono::milliseconds(ms))
                 .empty();
    EXPECT_EQ(lines, 3);
}

TEST(ProgressPlain, SlowRunTellsEveryFiveSeconds) {
    for (auto total : {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(1'000'000)}) {
        progress_display display(progress_style::plain, start);
        int lines = 0;
        for (int s = 1; s <= 60; ++s)
            lines += !display.update(state(1, total), start + std::chrono::seconds(s)).empty();
        EXPECT_EQ(lines, 12);
    }
}

TEST(ProgressPlain, TellsATenthMoreWhileTheTotalIsUnknown) {
    progress_display display(progress_style::plain, start);
    std::vector<int> told;
    for (int s = 1; s <= 40; ++s) {
        const auto ended = static_cast<unsigned>(10 * s);
        if (!display.update(state(ended, std::nullopt), start + std::chrono::seconds(s)).empty())
            told.push_back(s);
    }
    EXPECT_THAT(told, testing::ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32,
                                           36, 40));
    progress_display idle(progress_style::plain, start);
    EXPECT_EQ(idle.update(state(0, std::nullopt), start + 4s), "") << "nothing has ended";
}

TEST(ProgressPlain, HasNothingToErase) {
    progress_display display(progress_style::plain, start);
    EXPECT_NE(display.update(state(1, 10), start + 10s), "");
    EXPECT_EQ(display.erase(), "");
    EXPECT_EQ(display.next_update(), start + 11s);
}

TEST(ProgressNone, SaysNothing) {
    progress_display display(progress_style::none, start);
    EXPECT_FALSE(display.next_update());
    EXPECT_EQ(display.update(state(1, 10), start + 100s), "");
}

TEST(TerminalColumns, AreThoseOfTheWindow) {
    owned_fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(master);
    struct winsize size{};
    size.ws_col = 132;
    ASSERT_EQ(::ioctl(master.get(), TIOCSWINSZ, &size), 0);
    EXPECT_EQ(terminal_columns(master.get()), 132U);
    size.ws_col = 0;
    ASSERT_EQ(::ioctl(master.get(), TIOCSWINSZ, &size), 0);
    EXPECT_EQ(terminal_columns(master.get()), 80U);
    EXPECT_EQ(terminal_columns(-1), 80U);
}

} // namespace
} // namespace tenure::inline v0::app
