#include "proc/warden_protocol.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;

std::string encoded(std::vector<std::string> argv, std::optional<std::chrono::nanoseconds> timeout = {}) {
    run_request request;
    request.id = 7;
    request.argv = argv;
    request.timeout = timeout;
    request.grace = 2s;
    request.isolate = true;
    std::string bytes;
    EXPECT_EQ(encode_run(bytes, request, true, true), 0);
    return bytes;
}

/// The payload of a `run` frame.
std::vector<char> payload(const std::string& frame) {
    return {frame.begin() + sizeof(frame_header), frame.end()};
}

bool accepted(std::vector<char> bytes) {
    run_order order;
    return decode_run(bytes, order);
}

TEST(WardenProtocol, RunArrivesAsItWasSent) {
    for (const std::vector<std::string>& argv : {std::vector<std::string>{"a"},
                                                 {"", ""},
                                                 {"-x", "two words", "\n\"'\xff\xfe"},
                                                 {"a", std::string(300'000, 'x')}}) {
        std::vector<char> bytes = payload(encoded(argv, 1500ms));
        run_order order;
        ASSERT_TRUE(decode_run(bytes, order));
        EXPECT_EQ(order.id, 7U);
        EXPECT_EQ(order.timeout_ns, 1'500'000'000);
        EXPECT_EQ(order.grace_ns, 2'000'000'000);
        EXPECT_TRUE(order.isolate && order.has_input && order.tty);
        ASSERT_EQ(order.argv.size(), argv.size() + 1);
        EXPECT_EQ(order.argv.back(), nullptr);
        for (std::size_t i = 0; i < argv.size(); ++i)
            EXPECT_EQ(std::string(order.argv[i]), argv[i]);
    }
}

TEST(WardenProtocol, NoTimeoutIsNotATimeoutOfZero) {
    run_order order;
    std::vector<char> none = payload(encoded({"a"}));
    ASSERT_TRUE(decode_run(none, order));
    EXPECT_EQ(order.timeout_ns, -1);
    std::vector<char> zero = payload(encoded({"a"}, 0ns));
    ASSERT_TRUE(decode_run(zero, order));
    EXPECT_EQ(order.timeout_ns, 0);
}

TEST(WardenProtocol, WhatCannotBeRunIsNotSent) {
    std::string bytes;
    run_request request;
    request.id = 1;
    EXPECT_EQ(encode_run(bytes, request, false, false), EINVAL); // no argv
    const std::vector<std::string> with_nul{"a", std::string("b\0c", 3)};
    request.argv = with_nul;
    EXPECT_EQ(encode_run(bytes, request, false, false), EINVAL);
    const std::vector<std::string> huge{"a", std::string(max_run_bytes, 'x')};
    request.argv = huge;
    EXPECT_EQ(encode_run(bytes, request, false, false), E2BIG);
    EXPECT_TRUE(bytes.empty());
}

TEST(WardenProtocol, EveryTruncationOfRunIsRefused) {
    const std::vector<char> whole = payload(encoded({"cmd", "arg", ""}));
    ASSERT_TRUE(accepted(whole));
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(accepted({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)})) << size;
    std::vector<char> longer = whole;
    longer.push_back('\0');
    EXPECT_FALSE(accepted(longer));
}

TEST(WardenProtocol, FieldsThatContradictAreRefused) {
    const std::vector<char> whole = payload(encoded({"cmd", "arg"}));
    const auto with = [&](std::size_t at, auto value) {
        std::vector<char> changed = whole;
        std::memcpy(changed.data() + at, &value, sizeof value);
        return accepted(changed);
    };
    EXPECT_FALSE(with(0, std::uint64_t{0}));           // id
    EXPECT_FALSE(with(8, std::int64_t{-2}));           // timeout
    EXPECT_FALSE(with(16, std::int64_t{-1}));          // grace
    EXPECT_FALSE(with(24, std::uint32_t{8}));          // an unknown flag
    EXPECT_FALSE(with(24, std::uint32_t{4}));          // a terminal, but no input
    EXPECT_FALSE(with(28, std::uint32_t{0}));          // argc
    EXPECT_FALSE(with(28, std::uint32_t{3}));          // more than there are
    EXPECT_FALSE(with(28, std::uint32_t{1}));          // fewer
    EXPECT_FALSE(with(28, std::uint32_t{0xffffffff})); // memory that nobody sent
    EXPECT_TRUE(with(28, std::uint32_t{2}));
}

class FrameReader : public ::testing::Test {
protected:
    FrameReader() {
        int pair[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        writer_.reset(pair[0]);
        socket_.reset(pair[1]);
    }

    void write_bytes(std::string_view bytes) {
        ASSERT_EQ(send(writer_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT),
                  static_cast<ssize_t>(bytes.size()));
    }

    io::unique_fd writer_;
    io::unique_fd socket_;
};

TEST_F(FrameReader, FramesComeWholeHoweverTheirBytesDo) {
    frame_reader reader(socket_.get());
    std::string bytes = encoded({"cmd"});
    const std::size_t first = bytes.size();
    encode_control(bytes, frame_kind::end, 7);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        EXPECT_EQ(reader.next(false), frame_reader::state::none);
        write_bytes(std::string_view(bytes).substr(i, 1));
        if (i + 1 == first) {
            ASSERT_EQ(reader.next(false), frame_reader::state::frame);
            EXPECT_EQ(reader.kind(), frame_kind::run);
            run_order order;
            EXPECT_TRUE(decode_run(reader.payload(), order));
        }
    }
    ASSERT_EQ(reader.next(false), frame_reader::state::frame);
    EXPECT_EQ(reader.kind(), frame_kind::end);
    std::uint64_t id = 0;
    EXPECT_TRUE(decode_control(reader.payload(), id));
    EXPECT_EQ(id, 7U);
    EXPECT_EQ(reader.next(false), frame_reader::state::none);
    writer_.reset();
    EXPECT_EQ(reader.next(false), frame_reader::state::closed);
}

TEST_F(FrameReader, SeveralFramesInOneReadAreAllSeen) {
    frame_reader reader(socket_.get());
    std::string bytes;
    for (std::uint64_t id = 1; id <= 2000; ++id) // more than the reader's buffer
        encode_control(bytes, frame_kind::stop, id);
    write_bytes(bytes);
    for (std::uint64_t id = 1; id <= 2000; ++id) {
        ASSERT_EQ(reader.next(false), frame_reader::state::frame);
        std::uint64_t got = 0;
        EXPECT_TRUE(decode_control(reader.payload(), got));
        EXPECT_EQ(got, id);
    }
    EXPECT_EQ(reader.next(false), frame_reader::state::none);
}

TEST_F(FrameReader, NonsenseIsBroken) {
    const auto state_of = [](std::uint32_t kind, std::uint32_t length) {
        int pair[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        const io::unique_fd writer(pair[0]);
        const io::unique_fd socket(pair[1]);
        const std::uint32_t header[2] = {kind, length};
        EXPECT_EQ(send(writer.get(), header, sizeof header, 0), static_cast<ssize_t>(sizeof header));
        return frame_reader(socket.get()).next(false);
    };
    EXPECT_EQ(state_of(0, 8), frame_reader::state::broken);
    EXPECT_EQ(state_of(99, 8), frame_reader::state::broken);
    EXPECT_EQ(state_of(2, 7), frame_reader::state::broken);
    EXPECT_EQ(state_of(2, 9), frame_reader::state::broken);
    EXPECT_EQ(state_of(1, static_cast<std::uint32_t>(max_run_bytes) + 1), frame_reader::state::broken);
    EXPECT_EQ(state_of(1, static_cast<std::uint32_t>(max_run_bytes)), frame_reader::state::none);
}

TEST_F(FrameReader, DescriptorsAreOwnedAndCloseOnExec) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    char byte = 'x';
    iovec bytes{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &ends[1], sizeof(int));
    ASSERT_EQ(sendmsg(writer_.get(), &message, 0), 1);
    close(ends[1]);
    {
        frame_reader reader(socket_.get());
        EXPECT_EQ(reader.next(false), frame_reader::state::none);
        ASSERT_EQ(reader.descriptors().size(), 1U);
        EXPECT_EQ(fcntl(reader.descriptors()[0].get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        EXPECT_FALSE(reader.take_lost());
    }
    EXPECT_EQ(read(ends[0], &byte, 1), 0); // the reader has closed the only write end
    close(ends[0]);
}

} // namespace
} // namespace tenure::inline v0::app
