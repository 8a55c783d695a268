// Messages on a byte stream: each in a frame that says how long it is. The bytes: docs/reference/wire_format.md.
#pragma once
#include <tenure/wire/codec.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tenure::inline v0::wire {

/// What a frame is for. Users of frames number theirs from first_user.
enum class frame_kind : std::uint16_t { hello = 1, first_user = 16 };

/// How a frame begins.
struct frame_header {
    std::array<char, 4> magic{'T', 'N', 'U', 'R'};
    std::uint16_t version = format_version;
    frame_kind kind{};
    std::uint32_t segment_count = 0;
    std::uint32_t reserved = 0; // 0
    std::uint64_t message_size = 0;
    bool operator==(const frame_header&) const = default;
};
inline constexpr std::size_t frame_header_size = 24; // bytes

struct frame_limits {
    std::uint64_t bytes = std::uint64_t{1} << 30; // message and segments of one frame together
    std::uint32_t segments = 1024;
};

/// A frame that was received. Its memory is its own.
class frame {
public:
    frame_kind kind() const noexcept { return kind_; }
    std::span<const std::byte> message() const noexcept { return message_; }
    /// Each begins at a multiple of alignof(std::max_align_t).
    std::span<const segment> segments() const noexcept { return segments_; }

private:
    friend class frame_decoder;
    frame_kind kind_{};
    segment message_;
    std::vector<segment> segments_;
    std::vector<std::unique_ptr<std::byte[]>> memory_;
};

/// What goes before a message on a stream: the header, and the sizes of the segments. The message itself and then each
/// segment follow. Made into parts, so that one writev sends them where they lie.
/// Throws: wire_error if the frame is beyond the limits, so that no receiver with the same limits refuses it.
std::vector<std::byte> frame_head(frame_kind kind, std::span<const std::byte> message,
                                  std::span<const segment> segments = {}, frame_limits limits = {});

/// A whole frame, copied together.
std::vector<std::byte> encode_frame(frame_kind kind, const writer& w, frame_limits limits = {});

/// Puts frames together from a stream of bytes that comes in any pieces.
/// Memory follows what has arrived, not what a header claims: at most 64 KiB, or twice the bytes received.
/// Threads: one at a time.
/// Throws: wire_error, the same again from every later call, for the stream has lost its order.
class frame_decoder {
public:
    explicit frame_decoder(frame_limits limits = {}) noexcept : limits_(limits) {}

    /// Takes bytes until a frame is complete: returns how many. Takes none while a complete one waits for take().
    std::size_t feed(std::span<const std::byte> bytes);
    bool complete() const noexcept { return phase_ == phase::complete; }
    /// The complete frame; the decoder is ready for the next one.
    frame take();
    /// The stream has ended.
    /// Throws: wire_error if it did so within a frame.
    void finish() const;

private:
    enum class phase : unsigned char { header, sizes, message, segments, complete, broken };

    /// Has all that the phase waits for: goes on to the next one.
    void advance();
    void take_header();
    void take_sizes();
    void expect_segment();
    /// Waits for n bytes.
    void expect(phase next, std::uint64_t n);
    /// Moves the bytes of the part that was received into the frame.
    segment keep_part();
    [[noreturn]] void fail(const std::string& why);

    frame_limits limits_;
    phase phase_ = phase::header;
    std::uint64_t offset_ = 0; // of the stream: bytes taken
    std::string error_;

    // The part that is being received: `have_` of `want_` bytes, in memory that grows as they arrive.
    std::unique_ptr<std::byte[]> part_;
    std::size_t capacity_ = 0;
    std::size_t have_ = 0;
    std::size_t want_ = frame_header_size;

    std::uint64_t message_size_ = 0;
    std::vector<std::uint64_t> segment_sizes_;
    frame frame_;
};

/// The first frame of each side: who speaks. Its message is this struct.
struct hello {
    std::string
        build_id; // of the program, as hexadecimal digits; empty: another program that keeps to the protocol
    std::string program; // for errors only
    bool operator==(const hello&) const = default;
};
std::vector<std::byte> encode_hello(const hello& h);
/// Throws: wire_error if the frame is not a hello.
hello decode_hello(const frame& f);
/// Both are the same build, so that functions may be named by where they lie.
/// Throws: wire_error that names both builds.
void require_same_build(const hello& ours, const hello& theirs);

} // namespace tenure::inline v0::wire
