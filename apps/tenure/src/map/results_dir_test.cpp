#include "map/results_dir.hpp"
#include "map/test_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;
using test::pattern;
using test::read_some;
using testing::HasSubstr;

item_result succeeded(std::uint64_t seq) {
    item_result r;
    r.seq = seq;
    r.exit_code = 0;
    r.started = std::chrono::system_clock::time_point{1738367999123ms};
    r.ended = r.started + 1500ms;
    r.wall = 1500ms;
    r.cpu = 20ms;
    return r;
}

class ResultsDir : public testing::Test {
protected:
    std::string dir() const { return folder_.path() + "/out"; }
    bool exists(const std::string& name) const { return std::filesystem::exists(dir() + "/" + name); }
    std::string content(const std::string& name) const {
        owned_fd fd(::open((dir() + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
        EXPECT_TRUE(fd) << name;
        return read_some(fd.get());
    }
    results_dir opened(results_dir::creator create = {}) const {
        auto results = results_dir::open(dir(), std::move(create));
        EXPECT_TRUE(results) << results.why();
        return std::move(*results);
    }

    test::test_folder folder_;
};

TEST_F(ResultsDir, StoresWhatAnItemWroteAndHowItEnded) {
    auto results = opened();
    EXPECT_EQ(results.trouble(), "");
    item_output output(results.spill());
    output.append(stream::out, "out\n");
    output.append(stream::err, std::string_view("\0\xff", 2));
    EXPECT_EQ(results.store(succeeded(7), "an item\nof two lines", output), "");
    EXPECT_EQ(content("7/stdout"), "out\n");
    EXPECT_EQ(content("7/stderr"), std::string("\0\xff", 2));
    EXPECT_EQ(content("7/item"), "an item\nof two lines");
    EXPECT_EQ(content("7/status"), "state=succeeded\nexit=0\nsignal=\ntimed_out=0\nattempts=1\n"
                                   "started=2025-01-31T23:59:59.123Z\nended=2025-02-01T00:00:00.623Z\n"
                                   "wall_ms=1500.000\ncpu_ms=20.000\nreason=\n");
    EXPECT_FALSE(exists("7/status.new"));
}

TEST_F(ResultsDir, EveryFileIsThereEvenWhenEmpty) {
    auto results = opened();
    item_output output(results.spill());
    EXPECT_EQ(results.store(succeeded(1), "", output), "");
    for (const char* name : {"1/stdout", "1/stderr", "1/item"})
        EXPECT_EQ(content(name), "") << name;
}

TEST_F(ResultsDir, LongOutputIsNotCopied) {
    auto results = opened();
    item_output output(results.spill());
    const std::string text = pattern(500'000);
    output.append(stream::out, text);
    struct stat spilled{};
    ASSERT_EQ(::fstat(output.file(stream::out), &spilled), 0);
    EXPECT_EQ(results.store(succeeded(1), "i", output), "");
    EXPECT_EQ(content("1/stdout"), text);
    struct stat stored{};
    ASSERT_EQ(::stat((dir() + "/1/stdout").c_str(), &stored), 0);
    EXPECT_EQ(stored.st_ino, spilled.st_ino);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    EXPECT_EQ(stored.st_mode & 0777, 0666U & ~mask);
}

TEST_F(ResultsDir, OutputThatWasSpilledElsewhereIsCopied) {
    auto results = opened();
    // A file that was made and unlinked cannot get a name again.
    const spill_place elsewhere{"elsewhere", [this] {
                                    std::string name = folder_.path() + "/elsewhere_XXXXXX";
                                    owned_fd fd(::mkostemp(name.data(), O_CLOEXEC));
                                    ::unlink(name.c_str());
                                    return fd;
                                }};
    item_output output(elsewhere);
    const std::string text = pattern(500'000);
    output.append(stream::err, text);
    EXPECT_EQ(results.store(succeeded(1), "i", output), "");
    EXPECT_EQ(content("1/stderr"), text);
}

TEST_F(ResultsDir, ParentsAreMade) {
    auto results = results_dir::open(dir() + "/a/b/");
    ASSERT_TRUE(results);
    item_output output(results->spill());
    EXPECT_EQ(results->store(succeeded(1), "i", output), "");
    EXPECT_TRUE(exists("a/b/1/status"));
}

TEST_F(ResultsDir, EarlierResultsAreReplacedItemByItem) {
    {
        auto results = opened();
        item_output output(results.spill());
        output.append(stream::out, std::string(500'000, 'x'));
        output.append(stream::err, "old");
        EXPECT_EQ(results.store(succeeded(1), "old item", output), "");
        EXPECT_EQ(results.store(succeeded(2), "old item", output), "");
    }
    auto results = opened();
    item_output output(results.spill());
    output.append(stream::out, "new");
    EXPECT_EQ(results.store(succeeded(1), "new item", output), "");
    EXPECT_EQ(content("1/stdout"), "new");
    EXPECT_EQ(content("1/stderr"), "");
    EXPECT_EQ(content("1/item"), "new item");
    EXPECT_EQ(content("2/item"), "old item");
}

TEST_F(ResultsDir, AnEmptyFolderIsFine) {
    std::filesystem::create_directory(dir());
    auto results = opened();
    item_output output(results.spill());
    EXPECT_EQ(results.store(succeeded(1), "i", output), "");
}

TEST_F(ResultsDir, FolderWithOtherFilesIsRefused) {
    std::filesystem::create_directory(dir());
    std::ofstream(dir() + "/thesis.tex") << "x";
    auto results = results_dir::open(dir());
    ASSERT_FALSE(results);
    EXPECT_EQ(results.why(),
              "--results " + dir() + ": holds files that are no results; name a new or an empty folder");
}

TEST_F(ResultsDir, AFileIsRefused) {
    std::ofstream(dir()) << "x";
    auto results = results_dir::open(dir());
    ASSERT_FALSE(results);
    EXPECT_THAT(results.why(), HasSubstr("is not a folder"));
    EXPECT_FALSE(results_dir::open(dir() + "/below"));
}

TEST_F(ResultsDir, FolderThatCannotBeMadeFailsTheItemsNotTheRun) {
    auto results = results_dir::open("/proc/tenure/results");
    ASSERT_TRUE(results);
    EXPECT_EQ(results->trouble(), "results not stored in /proc/tenure/results: No such file or directory");
    item_output output(results->spill());
    output.append(stream::out, std::string(100'000, 'x'));
    EXPECT_NE(output.trouble(), "");
    EXPECT_EQ(results->store(succeeded(1), "i", output), results->trouble());
}

TEST_F(ResultsDir, FolderThatWentAwayFailsTheItemsNotTheRun) {
    auto results = opened();
    std::filesystem::remove_all(dir());
    item_output output(results.spill());
    EXPECT_EQ(results.store(succeeded(1), "i", output),
              "results not stored in " + dir() + ": No such file or directory");
    item_output longer(results.spill());
    longer.append(stream::out, std::string(100'000, 'x'));
    EXPECT_THAT(longer.trouble(), HasSubstr("output lost: No such file or directory"));
}

TEST_F(ResultsDir, FolderThatMayNotBeWrittenToFailsTheItemsNotTheRun) {
    auto results = opened([](int, const char*) {
        errno = EACCES;
        return -1;
    });
    item_output output(results.spill());
    EXPECT_EQ(results.store(succeeded(1), "i", output),
              "results not stored in " + dir() + ": Permission denied");
    EXPECT_FALSE(exists("1/status"));
}

TEST_F(ResultsDir, FullDiskFailsTheItemAndLeavesNoStatus) {
    auto on_full_disk = [](const char* which) {
        return [which](int at, const char* name) {
            if (std::string_view(name).ends_with(which)) return ::open("/dev/full", O_WRONLY | O_CLOEXEC);
            return ::openat(at, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        };
    };
    for (const char* which : {"stdout", "stderr", "item", "status.new"}) {
        auto results = opened(on_full_disk(which));
        item_output output(results.spill());
        output.append(stream::out, "x");
        output.append(stream::err, "x");
        EXPECT_EQ(results.store(succeeded(1), "i", output),
                  "results not stored in " + dir() + ": No space left on device")
            << which;
        EXPECT_FALSE(exists("1")) << which << ": the room is given back";
    }
    auto results = opened();
    item_output output(results.spill());
    EXPECT_EQ(results.store(succeeded(1), "i", output), "") << "room again";
    EXPECT_TRUE(exists("1/status"));
}

TEST_F(ResultsDir, OutputThatIsNotWholeIsNotStored) {
    auto results = opened();
    item_output output(results.spill());
    EXPECT_EQ(results.store(succeeded(1), "i", output), "");
    const spill_place full{"full", [] { return owned_fd(::open("/dev/full", O_RDWR | O_CLOEXEC)); }};
    item_output lost(full);
    lost.append(stream::out, std::string(100'000, 'x'));
    EXPECT_EQ(results.store(succeeded(1), "i", lost), "output lost: No space left on device (full)");
    EXPECT_FALSE(exists("1")) << "nor does the earlier result stay, as if it were this one";
}

TEST_F(ResultsDir, LinksThatStandInTheWayAreNotFollowed) {
    auto results = opened();
    std::ofstream(folder_.path() + "/precious") << "precious";
    std::filesystem::create_directory(dir() + "/1");
    std::filesystem::create_symlink(folder_.path() + "/precious", dir() + "/1/stdout");
    item_output output(results.spill());
    output.append(stream::out, "x");
    EXPECT_EQ(results.store(succeeded(1), "i", output), "");
    EXPECT_EQ(content("../precious"), "precious");
    EXPECT_EQ(content("1/stdout"), "x");
}

TEST_F(ResultsDir, LeavesNoDescriptorOpen) {
    const auto count = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); };
    const auto before = count();
    {
        auto results = opened();
        item_output output(results.spill());
        output.append(stream::out, std::string(100'000, 'x'));
        EXPECT_EQ(results.store(succeeded(1), "i", output), "");
    }
    EXPECT_EQ(count(), before);
}

TEST(StatusText, SaysHowItEnded) {
    item_result r = succeeded(1);
    r.state = item_state::failed;
    r.exit_code = -1;
    r.signal = SIGSEGV;
    r.attempts = 3;
    EXPECT_THAT(status_text(r), HasSubstr("state=failed\nexit=\nsignal=SIGSEGV\ntimed_out=0\nattempts=3\n"));
    EXPECT_THAT(status_text(r), HasSubstr("reason=killed by SIGSEGV\n"));
    r.state = item_state::timed_out;
    EXPECT_THAT(status_text(r), HasSubstr("timed_out=1\n"));
}

TEST(StatusText, ReasonsStayOnOneLine) {
    item_result r = succeeded(1);
    r.state = item_state::failed;
    r.reason = "a\nb\\c\r";
    r.detail = "7 bytes";
    EXPECT_THAT(status_text(r), HasSubstr("\nreason=7 bytes, a\\nb\\\\c\\r\n"));
}

} // namespace
} // namespace tenure::inline v0::app
