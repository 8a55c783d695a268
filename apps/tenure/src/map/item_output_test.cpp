#include "map/item_output.hpp"
#include "map/test_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <sys/resource.h>
#include <sys/stat.h>

namespace tenure::inline v0::app {
namespace {

using test::pattern;
using test::read_some;
using test::test_pipe;
using testing::HasSubstr;

class ItemOutput : public testing::Test {
protected:
    std::string kept(const item_output& output, stream s) const {
        if (output.file(s) < 0) return std::string(output.in_memory(s));
        std::string text(output.size(s), '\0');
        EXPECT_EQ(::pread(output.file(s), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
        return text;
    }

    test::no_sigpipe no_sigpipe_;
    test::test_folder folder_;
    unsigned opened_ = 0;
    spill_place place_{folder_.path(), [this] {
                           ++opened_;
                           return open_nameless(folder_.path(), 0600);
                       }};
    spill_place full_{"/full", [] { return owned_fd(::open("/dev/full", O_RDWR | O_CLOEXEC)); }};
    spill_place nowhere_{"/nowhere", [] { return open_nameless("/nowhere/at/all", 0600); }};
};

TEST_F(ItemOutput, LittleStaysInMemory) {
    item_output output(place_);
    output.append(stream::out, "out");
    output.append(stream::err, "err");
    output.append(stream::out, std::string_view("\0\xff\n", 3));
    EXPECT_EQ(kept(output, stream::out), std::string("out\0\xff\n", 6));
    EXPECT_EQ(kept(output, stream::err), "err");
    EXPECT_EQ(output.size(stream::out), 6U);
    EXPECT_EQ(output.files(), 0U);
    EXPECT_EQ(opened_, 0U);
}

TEST_F(ItemOutput, NothingIsNothing) {
    item_output output(place_);
    EXPECT_TRUE(output.empty());
    output.append(stream::out, "");
    EXPECT_TRUE(output.empty());
    output.append(stream::err, "x");
    EXPECT_FALSE(output.empty());
}

TEST_F(ItemOutput, ExactlyTheLimitStaysInMemoryOneMoreDoesNot) {
    item_output output(place_);
    const std::string text = pattern(item_output::memory_bytes);
    output.append(stream::out, text);
    EXPECT_EQ(output.files(), 0U);
    output.append(stream::out, "x");
    EXPECT_EQ(output.files(), 1U);
    EXPECT_EQ(kept(output, stream::out), text + "x");
    EXPECT_LT(output.memory(), 100U);
}

TEST_F(ItemOutput, StreamsSpillApart) {
    item_output output(place_);
    const std::string text = pattern(200'000);
    output.append(stream::err, text);
    output.append(stream::out, "short");
    EXPECT_EQ(output.file(stream::out), -1);
    EXPECT_GE(output.file(stream::err), 0);
    EXPECT_EQ(kept(output, stream::out), "short");
    EXPECT_EQ(kept(output, stream::err), text);
}

TEST_F(ItemOutput, SpilledFilesHaveNoName) {
    item_output output(place_);
    output.append(stream::out, pattern(200'000));
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
    struct stat about{};
    ASSERT_EQ(::fstat(output.file(stream::out), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600U);
}

TEST_F(ItemOutput, DrainTellsWaitingFromEnded) {
    test_pipe p;
    p.read_non_blocking();
    item_output output(place_);
    EXPECT_EQ(output.drain(stream::out, p.read_end.get()), drain_state::waiting);
    p.write("abc");
    EXPECT_EQ(output.drain(stream::out, p.read_end.get()), drain_state::waiting);
    p.write("def");
    p.write_end.reset();
    EXPECT_EQ(output.drain(stream::out, p.read_end.get()), drain_state::ended);
    EXPECT_EQ(kept(output, stream::out), "abcdef");
    EXPECT_EQ(output.drain(stream::err, p.read_end.get()), drain_state::ended);
    EXPECT_TRUE(output.in_memory(stream::err).empty());
}

TEST_F(ItemOutput, DrainSpillsWithoutLosingAByte) {
    test_pipe p;
    p.read_non_blocking();
    item_output output(place_);
    const std::string text = pattern(1'000'000);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t size = std::min<std::size_t>(50'000 + at % 7777, text.size() - at);
        p.write(std::string_view(text).substr(at, std::min<std::size_t>(size, 65'536)));
        at += std::min<std::size_t>(size, 65'536);
        EXPECT_EQ(output.drain(stream::out, p.read_end.get()), drain_state::waiting);
    }
    output.append(stream::out, "tail");
    EXPECT_EQ(output.size(stream::out), text.size() + 4);
    EXPECT_EQ(kept(output, stream::out), text + "tail");
    EXPECT_EQ(output.trouble(), "");
}

TEST_F(ItemOutput, DrainStopsAtItsBudget) {
    owned_fd endless(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    item_output output(place_);
    EXPECT_EQ(output.drain(stream::out, endless.get()), drain_state::more);
    EXPECT_GE(output.size(stream::out), item_output::drain_budget);
    EXPECT_LE(output.size(stream::out), item_output::drain_budget + item_output::memory_bytes);
}

TEST_F(ItemOutput, FullDiskLosesTheRestAndSaysSo) {
    test_pipe p;
    p.read_non_blocking();
    item_output output(full_);
    for (int i = 0; i < 50; ++i) {
        p.write(std::string(60'000, 'x'));
        EXPECT_EQ(output.drain(stream::out, p.read_end.get()), drain_state::waiting)
            << "the item never waits for us";
    }
    EXPECT_EQ(output.trouble(), "output lost: No space left on device (/full)");
    EXPECT_EQ(output.size(stream::out), 60'000U) << "what came before stays";
    output.append(stream::err, "err");
    EXPECT_EQ(kept(output, stream::err), "err");
}

TEST_F(ItemOutput, DiskThatFillsUpLater) {
    // A limit on the size of files stands for a disk that has room for some of it.
    struct rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = before;
    small.rlim_cur = 300'000;
    auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    test_pipe p;
    p.read_non_blocking();
    item_output output(place_);
    const std::string text = pattern(600'000);
    for (std::size_t at = 0; at < text.size(); at += 60'000) {
        p.write(std::string_view(text).substr(at, 60'000));
        EXPECT_EQ(output.drain(stream::out, p.read_end.get()), drain_state::waiting);
    }
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);
    EXPECT_THAT(output.trouble(), HasSubstr("File too large"));
    EXPECT_LE(output.size(stream::out), 300'000U);
    EXPECT_GT(output.size(stream::out), 200'000U);
    EXPECT_EQ(kept(output, stream::out), text.substr(0, output.size(stream::out)));
}

TEST_F(ItemOutput, NoPlaceToSpillTo) {
    item_output output(nowhere_);
    output.append(stream::out, std::string(100'000, 'x'));
    EXPECT_EQ(output.trouble(), "output lost: No such file or directory (/nowhere)");
    output.append(stream::out, "more");
    EXPECT_EQ(output.files(), 0U);
}

TEST_F(ItemOutput, DiscardForgetsEverything) {
    item_output output(full_);
    output.append(stream::out, std::string(100'000, 'x'));
    output.append(stream::err, "x");
    ASSERT_NE(output.trouble(), "");
    output.discard();
    EXPECT_TRUE(output.empty());
    EXPECT_EQ(output.trouble(), "");
    EXPECT_EQ(output.files(), 0U);
    output.append(stream::out, "second attempt");
    EXPECT_EQ(kept(output, stream::out), "second attempt");
}

TEST_F(ItemOutput, ParkingGivesTheMemoryBack) {
    item_output output(place_);
    const std::string text = pattern(60'000);
    output.append(stream::out, text);
    EXPECT_GE(output.memory(), 60'000U);
    output.park();
    EXPECT_LT(output.memory(), 100U);
    EXPECT_EQ(output.files(), 1U) << "an empty stream needs no file";
    EXPECT_EQ(kept(output, stream::out), text);
    output.append(stream::out, "more");
    EXPECT_EQ(kept(output, stream::out), text + "more");
}

TEST_F(ItemOutput, ParkingOnAFullDiskKeepsTheMemory) {
    item_output output(full_);
    output.append(stream::out, "text");
    output.park();
    EXPECT_EQ(kept(output, stream::out), "text");
    EXPECT_EQ(output.trouble(), "");
}

TEST_F(ItemOutput, TemporaryFilesFollowTheEnvironment) {
    const char* before = std::getenv("TMPDIR");
    const std::string saved = before ? before : "";
    ::setenv("TMPDIR", folder_.path().c_str(), 1);
    EXPECT_EQ(temporary_files().name, folder_.path());
    EXPECT_TRUE(temporary_files().open());
    ::setenv("TMPDIR", "", 1);
    EXPECT_EQ(temporary_files().name, "/tmp");
    if (before)
        ::setenv("TMPDIR", saved.c_str(), 1);
    else
        ::unsetenv("TMPDIR");
}

class OutputRelease : public ItemOutput {
protected:
    // Steps until finished, reading what comes, and returns what came to stdout and stderr.
    std::pair<std::string, std::string> release(item_output&& output) {
        output_release r(std::move(output));
        out_channel to_out(out_.write_end.get());
        out_channel to_err(err_.write_end.get());
        out_.read_non_blocking();
        err_.read_non_blocking();
        std::pair<std::string, std::string> got;
        for (int steps = 0; !r.finished() && steps < 1'000'000; ++steps) {
            last_ = r.step(to_out, to_err);
            got.first += read_some(out_.read_end.get());
            got.second += read_some(err_.read_end.get());
        }
        EXPECT_TRUE(r.finished());
        return got;
    }

    test_pipe out_;
    test_pipe err_;
    release_step last_;
};

TEST_F(OutputRelease, FromMemory) {
    item_output output(place_);
    output.append(stream::out, "to out");
    output.append(stream::err, "to err");
    EXPECT_EQ(release(std::move(output)), std::pair(std::string("to out"), std::string("to err")));
    EXPECT_EQ(last_.state, send_state::done);
}

TEST_F(OutputRelease, FromFiles) {
    const std::string text = pattern(3'000'000);
    item_output output(place_);
    output.append(stream::out, text);
    output.append(stream::err, text.substr(1'000'000));
    EXPECT_EQ(release(std::move(output)), std::pair(text, text.substr(1'000'000)));
}

TEST_F(OutputRelease, OfNothing) {
    EXPECT_EQ(release(item_output(place_)), std::pair(std::string(), std::string()));
}

TEST_F(OutputRelease, SlowReaderIsToldAndNothingIsLost) {
    const std::string text = pattern(400'000);
    item_output output(place_);
    output.append(stream::out, text);
    output_release r(std::move(output));
    out_channel to_out(out_.write_end.get());
    out_channel to_err(err_.write_end.get());
    release_step step = r.step(to_out, to_err);
    EXPECT_EQ(step.state, send_state::would_block);
    EXPECT_EQ(step.at, stream::out);
    EXPECT_FALSE(r.finished());
    step = r.step(to_out, to_err);
    EXPECT_EQ(step.state, send_state::would_block) << "still nobody has read";
    out_.read_non_blocking();
    std::string got;
    while (!r.finished()) {
        got += read_some(out_.read_end.get());
        r.step(to_out, to_err);
    }
    got += read_some(out_.read_end.get());
    EXPECT_EQ(got, text);
}

TEST_F(OutputRelease, ReaderOfOneStreamThatWentAwayLeavesTheOther) {
    for (std::size_t size : {10UL, 200'000UL}) {
        test_pipe out;
        test_pipe err;
        item_output output(place_);
        output.append(stream::out, pattern(size));
        output.append(stream::err, "to err");
        output_release r(std::move(output));
        out_channel to_out(out.write_end.get());
        out_channel to_err(err.write_end.get());
        out.read_end.reset();
        const release_step step = r.step(to_out, to_err);
        EXPECT_EQ(step.state, send_state::closed);
        EXPECT_EQ(step.at, stream::out);
        EXPECT_FALSE(r.finished());
        EXPECT_EQ(r.step(to_out, to_err).state, send_state::done);
        EXPECT_TRUE(r.finished());
        EXPECT_EQ(read_some(err.read_end.get(), 6), "to err");
    }
}

TEST_F(OutputRelease, FullDiskBehindStandardOutput) {
    owned_fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    item_output output(place_);
    output.append(stream::out, "x");
    output_release r(std::move(output));
    out_channel to_out(full.get());
    out_channel to_err(err_.write_end.get());
    const release_step step = r.step(to_out, to_err);
    EXPECT_EQ(step.state, send_state::failed);
    EXPECT_EQ(step.error, ENOSPC);
}

TEST_F(OutputRelease, GivesWayAfterAWhile) {
    owned_fd endless(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    owned_fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    item_output output(place_);
    while (output.size(stream::out) < 3 * output_release::step_bytes)
        output.drain(stream::out, endless.get());
    output_release r(std::move(output));
    out_channel to_null(null.get());
    int steps = 0;
    while (!r.finished()) {
        EXPECT_EQ(r.step(to_null, to_null).state, send_state::done);
        ++steps;
    }
    EXPECT_GE(steps, 3);
}

} // namespace
} // namespace tenure::inline v0::app
