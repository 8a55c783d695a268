// Frames: the bytes, any pieces of a stream, limits before memory, and the first words of two processes.
#include "random_values.hpp"

#include <tenure/wire/frame.hpp>
#include <tenure/wire/view.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace tenure::wire;
using testing::HasSubstr;

constexpr auto job = frame_kind::first_user;

std::vector<std::byte> bytes_of(std::string_view text) {
    const auto* p = reinterpret_cast<const std::byte*>(text.data());
    return {p, p + text.size()};
}
std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
/// Feeds everything, in pieces of at most `step` bytes; what the frames are, as text.
std::vector<std::string> frames_of(std::span<const std::byte> stream, std::size_t step,
                                   frame_limits limits = {}) {
    frame_decoder decoder(limits);
    std::vector<std::string> found;
    while (!stream.empty()) {
        stream = stream.subspan(decoder.feed(stream.first(std::min(step, stream.size()))));
        if (!decoder.complete()) continue;
        const frame f = decoder.take();
        std::string text = std::to_string(static_cast<unsigned>(f.kind())) + ":" + text_of(f.message());
        for (const segment s : f.segments())
            text += "+" + text_of(s);
        found.push_back(text);
    }
    decoder.finish();
    return found;
}
std::string refusal(std::span<const std::byte> stream, frame_limits limits = {}) {
    try {
        (void)frames_of(stream, stream.size(), limits);
    } catch (const wire_error& e) {
        return e.what();
    }
    return "no error";
}
std::vector<std::byte> frame_of(frame_kind kind, std::string_view message,
                                const std::vector<std::string>& segments) {
    writer w;
    w.out_of_band_from(0);
    w.bytes(message.data(), message.size());
    std::vector<segment> parts;
    for (const auto& s : segments)
        parts.push_back(std::as_bytes(std::span(s)));
    auto bytes = frame_head(kind, w.message(), parts);
    bytes.insert(bytes.end(), w.message().begin(), w.message().end());
    for (const segment s : parts)
        bytes.insert(bytes.end(), s.begin(), s.end());
    return bytes;
}

TEST(Frame, TheBytes) {
    const auto bytes = frame_of(job, "ab", {"xyz", ""});
    EXPECT_EQ(text_of(bytes), std::string("TNUR"
                                          "\x01\x00"
                                          "\x10\x00"
                                          "\x02\0\0\0"
                                          "\0\0\0\0"
                                          "\x02\0\0\0\0\0\0\0"
                                          "\x03\0\0\0\0\0\0\0"
                                          "\0\0\0\0\0\0\0\0"
                                          "ab"
                                          "xyz",
                                          24 + 16 + 2 + 3));
}

TEST(Frame, AnyPiecesOfTheStreamGiveTheSameFrames) {
    std::vector<std::byte> stream;
    for (const auto& f :
         {frame_of(job, "first", {"segment", "", "more"}), frame_of(frame_kind{17}, "", {}),
          frame_of(job, "", {""}), frame_of(job, std::string(300, 'm'), {std::string(500, 's')})})
        stream.insert(stream.end(), f.begin(), f.end());
    const auto whole = frames_of(stream, stream.size());
    EXPECT_THAT(whole, testing::ElementsAre("16:first+segment++more", "17:", "16:+",
                                            "16:" + std::string(300, 'm') + "+" + std::string(500, 's')));
    for (std::size_t step = 1; step < 70; ++step)
        EXPECT_EQ(frames_of(stream, step), whole) << step;
}

TEST(Frame, LargeMessagesGrowAsTheyArrive) {
    const std::string large(5'000'000, 'x');
    const auto found = frames_of(frame_of(job, large, {large}), 100'000);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0], "16:" + large + "+" + large);
}

TEST(Frame, SegmentsAreUsedWhereTheyArrived) {
    const std::vector<double> values{1, 2, 3};
    writer w;
    w.out_of_band_from(1);
    write(w, true);
    write(w, values);
    frame_decoder decoder;
    const auto bytes = encode_frame(job, w);
    EXPECT_EQ(decoder.feed(bytes), bytes.size());
    ASSERT_TRUE(decoder.complete());
    const frame f = decoder.take();
    reader r(f.message(), f.segments());
    EXPECT_TRUE(read<bool>(r));
    const auto v = read<view<double>>(r);
    r.finish();
    EXPECT_EQ(static_cast<const void*>(v.data()), f.segments()[0].data());
    EXPECT_EQ(v[2], 3);
}

TEST(Frame, WhatIsNoFrameIsRefused) {
    auto changed = [](std::size_t at, char to) {
        auto f = frame_of(job, "ab", {});
        f.at(at) = static_cast<std::byte>(to);
        return f;
    };
    EXPECT_THAT(refusal(changed(0, 'X')),
                HasSubstr("before byte 24 of the stream: it does not begin with TNUR"));
    EXPECT_THAT(refusal(changed(4, 2)), HasSubstr("version 2, and this program reads version 1"));
    EXPECT_THAT(refusal(changed(12, 1)), HasSubstr("reserved"));
    EXPECT_THAT(refusal(changed(16, 3)), HasSubstr("the stream ended within a frame, after byte 26"));
    EXPECT_THAT(refusal(bytes_of("TNU")), HasSubstr("the stream ended within a frame"));
}

TEST(Frame, LimitsHoldBeforeMemoryIsTaken) {
    auto huge = frame_of(job, "ab", {});
    huge.resize(frame_header_size);
    huge.at(22) = std::byte{1}; // 2^48 bytes
    EXPECT_THAT(refusal(huge), HasSubstr("more than the limit of 1073741824"));
    EXPECT_THAT(refusal(frame_of(job, "ab", {"c", "d"}), {.segments = 1}),
                HasSubstr("2 segments are more than"));
    EXPECT_THAT(refusal(frame_of(job, "ab", {"c", "d"}), {.bytes = 3}),
                HasSubstr("segment of 1 bytes it is more"));
    EXPECT_EQ(refusal(frame_of(job, "ab", {"c", "d"}), {.bytes = 4, .segments = 2}), "no error");
    // Sizes whose sum overflows.
    auto wraps = frame_of(job, "ab", {"c", "d"});
    for (std::size_t i = frame_header_size; i < frame_header_size + 16; ++i)
        wraps.at(i) = std::byte{0xff};
    EXPECT_THAT(refusal(wraps), HasSubstr("18446744073709551615"));
    writer w;
    write(w, std::string(100, 'x'));
    EXPECT_THROW((void)encode_frame(job, w, {.bytes = 107}), wire_error);
    EXPECT_EQ(encode_frame(job, w, {.bytes = 108}).size(), frame_header_size + 108);
}

TEST(Frame, ABrokenStreamStaysBroken) {
    frame_decoder decoder;
    EXPECT_THROW((void)decoder.feed(bytes_of(std::string(24, 'X'))), wire_error);
    EXPECT_THROW((void)decoder.feed(frame_of(job, "ab", {})), wire_error);
    EXPECT_THROW(decoder.finish(), wire_error);
    EXPECT_THROW((void)decoder.take(), tenure::base::usage_error);
}

TEST(Frame, ADecoderWaitsForTheFrameToBeTaken) {
    frame_decoder decoder;
    auto two = frame_of(job, "ab", {});
    const std::size_t one = two.size();
    two.insert(two.end(), two.begin(), two.end());
    EXPECT_EQ(decoder.feed(two), one);
    EXPECT_EQ(decoder.feed(std::span(two).subspan(one)), 0U);
    EXPECT_EQ(text_of(decoder.take().message()), "ab");
    EXPECT_FALSE(decoder.complete());
}

TEST(Frame, HelloNamesTheBuild) {
    frame_decoder decoder;
    (void)decoder.feed(encode_hello({"00ff", "prog"}));
    const hello theirs = decode_hello(decoder.take());
    EXPECT_EQ(theirs, (hello{"00ff", "prog"}));
    require_same_build({"00ff", "prog"}, theirs);
    const auto refused = [&](const hello& ours) -> std::string {
        try {
            require_same_build(ours, theirs);
        } catch (const wire_error& e) {
            return e.what();
        }
        return "no error";
    };
    EXPECT_THAT(refused({"00fe", "mine"}),
                HasSubstr("mine (build 00fe), the other side is prog (build 00ff)"));
    EXPECT_THAT(refused({"", "mine"}), HasSubstr("mine (build unknown)"));
    (void)decoder.feed(frame_of(job, "", {}));
    EXPECT_THROW((void)decode_hello(decoder.take()), wire_error);
}

TEST(Frame, ChangedStreamsOfEverySeed) {
    for (std::uint32_t seed = 1; seed <= 2000; ++seed) {
        wire_test::source random(seed);
        auto stream = frame_of(job, std::string(random.below(50), 'm'), {std::string(random.below(20), 's')});
        stream[random.below(stream.size())] ^= static_cast<std::byte>(1 + random.below(255));
        (void)refusal(stream, {.bytes = 1 << 20});
    }
}

} // namespace
