#include "map/out_channel.hpp"
#include "map/test_support.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>

namespace tenure::inline v0::app {
namespace {

using test::pattern;
using test::read_some;
using test::test_pipe;

class OutChannel : public testing::Test {
protected:
    test::no_sigpipe no_sigpipe_;
    test::test_folder folder_;

    owned_fd file(const std::string& name, int flags) const {
        owned_fd fd(::open((folder_.path() + "/" + name).c_str(), O_CREAT | O_CLOEXEC | flags, 0600));
        EXPECT_TRUE(fd);
        return fd;
    }
    std::string content(const std::string& name) const {
        owned_fd fd(::open((folder_.path() + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
        return read_some(fd.get());
    }
    // A file that holds `text`.
    owned_fd filled(const std::string& text) const {
        owned_fd fd = file("source", O_RDWR | O_TRUNC);
        EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
        return fd;
    }
};

TEST_F(OutChannel, FullPipeIsNoReasonToWait) {
    test_pipe p;
    out_channel channel(p.write_end.get());
    const std::string text = pattern(1'000'000);
    const sent first = channel.write(text);
    EXPECT_EQ(first.state, send_state::would_block);
    EXPECT_GT(first.bytes, 0U);
    EXPECT_LT(first.bytes, text.size());
    EXPECT_EQ(read_some(p.read_end.get(), first.bytes), text.substr(0, first.bytes));

    // Going on where it stopped loses nothing.
    std::string got;
    std::uint64_t at = first.bytes;
    while (at < text.size()) {
        const sent more = channel.write(std::string_view(text).substr(at));
        got += read_some(p.read_end.get(), more.bytes);
        at += more.bytes;
    }
    EXPECT_EQ(got, text.substr(first.bytes));
}

TEST_F(OutChannel, SharedDescriptionStaysBlocking) {
    test_pipe p;
    out_channel channel(p.write_end.get());
    EXPECT_EQ(channel.write("x").state, send_state::done);
    EXPECT_EQ(::fcntl(p.write_end.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(OutChannel, ReaderThatWentAwayIsAValue) {
    test_pipe p;
    out_channel channel(p.write_end.get());
    p.read_end.reset();
    EXPECT_EQ(channel.write("x").state, send_state::closed);
    EXPECT_EQ(channel.write_all("x").state, send_state::closed);
    owned_fd source = filled("abc");
    EXPECT_EQ(channel.copy(source.get(), 0, 3).state, send_state::closed);
}

TEST_F(OutChannel, ReaderThatWasGoneBeforeIsAValueToo) {
    test_pipe p;
    p.read_end.reset();
    out_channel channel(p.write_end.get());
    EXPECT_EQ(channel.write("x").state, send_state::closed);
    owned_fd source = filled("abc");
    EXPECT_EQ(channel.copy(source.get(), 0, 3).state, send_state::closed);
}

TEST_F(OutChannel, FullDiskIsAValue) {
    owned_fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(full);
    out_channel channel(full.get());
    const sent s = channel.write("x");
    EXPECT_EQ(s.state, send_state::failed);
    EXPECT_EQ(s.error, ENOSPC);
    owned_fd source = filled("abc");
    EXPECT_EQ(channel.copy(source.get(), 0, 3).error, ENOSPC);
}

TEST_F(OutChannel, ClosedDescriptorIsAValue) {
    out_channel channel(-1);
    const sent s = channel.write("x");
    EXPECT_EQ(s.state, send_state::failed);
    EXPECT_EQ(s.error, EBADF);
}

TEST_F(OutChannel, NothingIsDoneAtOnce) {
    test_pipe p;
    out_channel channel(p.write_end.get());
    EXPECT_EQ(channel.write("").state, send_state::done);
    EXPECT_EQ(channel.write_all("").state, send_state::done);
    EXPECT_EQ(channel.copy(-1, 0, 0).state, send_state::done);
}

TEST_F(OutChannel, CopiesFilesIntoFiles) {
    const std::string text = pattern(300'000);
    owned_fd source = filled(text);
    owned_fd to = file("to", O_WRONLY);
    out_channel channel(to.get());
    EXPECT_EQ(channel.write("before ").state, send_state::done);
    const sent s = channel.copy(source.get(), 1000, 200'000);
    EXPECT_EQ(s.state, send_state::done);
    EXPECT_EQ(s.bytes, 200'000U);
    EXPECT_EQ(channel.write(" after").state, send_state::done);
    EXPECT_EQ(content("to"), "before " + text.substr(1000, 200'000) + " after");
}

TEST_F(OutChannel, CopiesFilesIntoFilesOpenForAppending) {
    const std::string text = pattern(100'000);
    owned_fd source = filled(text);
    owned_fd to = file("to", O_WRONLY | O_APPEND);
    out_channel channel(to.get());
    EXPECT_EQ(channel.write("before ").state, send_state::done);
    EXPECT_EQ(channel.copy(source.get(), 0, text.size()).bytes, text.size());
    EXPECT_EQ(content("to"), "before " + text);
}

TEST_F(OutChannel, CopiesFilesIntoPipes) {
    const std::string text = pattern(500'000);
    owned_fd source = filled(text);
    test_pipe p;
    out_channel channel(p.write_end.get());
    std::string got;
    std::uint64_t at = 0;
    bool waited = false;
    while (at < text.size()) {
        const sent s = channel.copy(source.get(), static_cast<off_t>(at), text.size() - at);
        ASSERT_TRUE(s.state == send_state::done || s.state == send_state::would_block);
        waited = waited || s.state == send_state::would_block;
        got += read_some(p.read_end.get(), s.bytes);
        at += s.bytes;
    }
    EXPECT_TRUE(waited);
    EXPECT_EQ(got, text);
}

TEST_F(OutChannel, FileThatIsTooShortIsAValue) {
    owned_fd source = filled("abc");
    owned_fd to = file("to", O_WRONLY);
    out_channel into_file(to.get());
    const sent s = into_file.copy(source.get(), 0, 10);
    EXPECT_EQ(s.state, send_state::failed);
    EXPECT_EQ(s.error, EIO);
    EXPECT_EQ(s.bytes, 3U);
    test_pipe p;
    EXPECT_EQ(out_channel(p.write_end.get()).copy(source.get(), 0, 10).error, EIO);
}

TEST_F(OutChannel, SocketsDoNotBlockEither) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    owned_fd ours(ends[0]);
    owned_fd theirs(ends[1]);
    out_channel channel(ours.get());
    const std::string text = pattern(4'000'000);
    const sent s = channel.write(text);
    EXPECT_EQ(s.state, send_state::would_block);
    EXPECT_EQ(read_some(theirs.get(), s.bytes), text.substr(0, s.bytes));
    owned_fd source = filled("abcdef");
    EXPECT_EQ(channel.copy(source.get(), 1, 3).bytes, 3U);
    EXPECT_EQ(read_some(theirs.get(), 3), "bcd");
    theirs.reset();
    EXPECT_EQ(channel.write("x").state, send_state::closed);
}

TEST_F(OutChannel, TerminalThatIsStoppedDoesNotBlock) {
    owned_fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(master);
    ASSERT_EQ(::grantpt(master.get()), 0);
    ASSERT_EQ(::unlockpt(master.get()), 0);
    owned_fd terminal(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(terminal);
    out_channel channel(terminal.get());
    EXPECT_EQ(channel.write("hello").state, send_state::done);
    EXPECT_EQ(read_some(master.get(), 5), "hello");
    // Nobody reads the other side: its buffer fills.
    EXPECT_EQ(channel.write(pattern(1'000'000)).state, send_state::would_block);
    EXPECT_EQ(::fcntl(terminal.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(OutChannel, WaitingEndsWhenWoken) {
    test_pipe p;
    test_pipe wake;
    out_channel channel(p.write_end.get());
    EXPECT_EQ(channel.write(pattern(1'000'000)).state, send_state::would_block);
    wake.write("!");
    EXPECT_FALSE(channel.wait_writable(wake.read_end.get()));
    const sent s = channel.write_all("more", wake.read_end.get());
    EXPECT_EQ(s.state, send_state::would_block);
    EXPECT_EQ(s.bytes, 0U);
    read_some(p.read_end.get(), 65536);
    EXPECT_TRUE(channel.wait_writable());
    EXPECT_EQ(channel.write_all("more").state, send_state::done);
}

TEST_F(OutChannel, PipeThatCannotBeOpenedAgainIsWrittenToWithCare) {
    test_pipe p;
    struct rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = before;
    none.rlim_cur = 0;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    out_channel channel(p.write_end.get());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(channel.poll_fd(), p.write_end.get());
    const std::string text = pattern(1'000'000);
    const sent s = channel.write(text);
    EXPECT_EQ(s.state, send_state::would_block);
    EXPECT_EQ(read_some(p.read_end.get(), s.bytes), text.substr(0, s.bytes));
    owned_fd source = filled("abc");
    EXPECT_EQ(channel.copy(source.get(), 0, 3).bytes, 3U);
}

} // namespace
} // namespace tenure::inline v0::app
