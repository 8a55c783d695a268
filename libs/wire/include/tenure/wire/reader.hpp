// Where values are read from. Nothing in a message is believed: every length is compared with what is left.
#pragma once
#include <tenure/wire/writer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>

namespace tenure::inline v0::wire {

struct read_limits {
    /// Bytes that all containers of a message may take together, without what their nodes cost. A hostile message cannot
    /// name more elements than it has bytes left, but one byte may become a large element.
    std::uint64_t memory = std::numeric_limits<std::uint64_t>::max();
};

/// A message being read. Read with `read<T>(r)`; `finish()` at the end.
/// Owner: the caller, also of the bytes and segments, which outlive the reader and every `view` that was read.
/// Threads: one at a time.
/// Throws: wire_error if the message is not what it should be; the reader is of no use afterwards.
class reader {
public:
    explicit reader(std::span<const std::byte> message, std::span<const segment> segments = {},
                    read_limits limits = {}) noexcept
        : begin_(message.data()),
          at_(begin_),
          end_(begin_ + message.size()),
          segments_(segments),
          memory_left_(limits.memory) {}
    reader(const reader&) = delete;
    reader& operator=(const reader&) = delete;

    std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
    std::size_t offset() const noexcept { return static_cast<std::size_t>(at_ - begin_); }

    /// The next n bytes, which have no alignment. `type` is what the error names.
    const std::byte* bytes(std::size_t n, std::string_view type) {
        if (left() < n) [[unlikely]]
            fail_truncated(n, type);
        return std::exchange(at_, at_ + n);
    }
    template <class T>
    T fixed(std::string_view type) {
        static_assert(std::is_trivially_copyable_v<T>);
        T v;
        std::memcpy(&v, bytes(sizeof(T), type), sizeof(T));
        return v;
    }
    /// A count of elements that take at least `least` (not 0) bytes each, and `memory` bytes once they are read.
    std::size_t count(std::size_t least, std::size_t memory, std::string_view type) {
        const auto n = fixed<std::uint64_t>(type);
        if (n > left() / least) [[unlikely]]
            fail_count(n, least, type);
        charge(n, memory, type);
        return static_cast<std::size_t>(n);
    }
    struct elements {
        std::uint64_t count;
        const std::byte* from;
    };
    /// What writer::block wrote: elements of `size` bytes (not 0), in the message or in a segment.
    elements block(std::size_t size, bool copied, std::string_view type) {
        const auto n = fixed<std::uint64_t>(type);
        if (n > left() / size) [[unlikely]] {
            if ((n & writer::out_of_band_bit) != 0)
                return next_segment(n & ~writer::out_of_band_bit, size, copied, type);
            fail_count(n, size, type);
        }
        if (copied) charge(n, size, type);
        return {n, bytes(static_cast<std::size_t>(n) * size, type)};
    }

    /// The message ends here.
    /// Throws: wire_error if bytes or segments are left.
    void finish() const;

    [[noreturn]] void fail(std::string_view type, std::string_view why) const;

    /// One level of values inside values.
    class level {
    public:
        level(reader& r, std::string_view type) : r_(r) {
            if (r.depth_ == max_depth) r.fail(type, "values are nested too deeply");
            ++r.depth_;
        }
        level(const level&) = delete;
        level& operator=(const level&) = delete;
        ~level() { --r_.depth_; }

    private:
        reader& r_;
    };

private:
    void charge(std::uint64_t n, std::size_t each, std::string_view type) {
        // n is at most what is left of the message, so only a segment's owner could make the product too large.
        if (n > memory_left_ / each) [[unlikely]]
            fail_memory(n, each, type);
        memory_left_ -= n * each;
    }
    elements next_segment(std::uint64_t n, std::size_t size, bool copied, std::string_view type);
    [[noreturn]] void fail_truncated(std::size_t n, std::string_view type) const;
    [[noreturn]] void fail_count(std::uint64_t n, std::size_t least, std::string_view type) const;
    [[noreturn]] void fail_memory(std::uint64_t n, std::size_t each, std::string_view type) const;

    // Invariant: begin_ <= at_ <= end_.
    const std::byte* begin_;
    const std::byte* at_;
    const std::byte* end_;
    std::span<const segment> segments_; // those that were not taken yet
    std::uint64_t memory_left_;
    int depth_ = 0;
};

} // namespace tenure::inline v0::wire
