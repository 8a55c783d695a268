// Where values are written to: bytes that grow, and large blocks that stay where they are.
#pragma once
#include <tenure/wire/wire_error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tenure::inline v0::wire {

/// Grows when frames or values change their bytes. Both sides must have the same.
inline constexpr std::uint16_t format_version = 1;

/// Contiguous bytes that travel beside a message.
using segment = std::span<const std::byte>;

inline constexpr std::size_t no_out_of_band = std::numeric_limits<std::size_t>::max();

/// Memory for messages that become large, instead of the heap's.
/// Owner: whoever made it; it outlives the writers that have it, and what it gave lives until it gives the next.
class memory_source {
public:
    /// Moves a message that has outgrown its memory to `bytes` bytes. Empty: there are none; the message stays where it is.
    virtual std::span<std::byte> move_to_larger(std::span<const std::byte> message, std::size_t bytes) = 0;

protected:
    ~memory_source() = default;
};

/// Bytes of a message. Written with `write(w, value)`; kept for the next message by `clear()`, which frees nothing.
/// Owner: the caller; the message lives until the next write or clear.
/// Threads: one at a time.
class writer {
public:
    writer() noexcept = default;
    /// Begins in `scratch`, which outlives the writer; takes memory of its own when that is full.
    explicit writer(std::span<std::byte> scratch) noexcept
        : begin_(scratch.data()), at_(begin_), end_(begin_ + scratch.size()) {}
    writer(const writer&) = delete;
    writer& operator=(const writer&) = delete;

    std::span<const std::byte> message() const noexcept { return {begin_, at_}; }
    std::size_t size() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
    void clear() noexcept {
        at_ = begin_;
        segments_.clear();
    }

    /// From now on, a message of at least so many bytes lies in memory of `source`.
    void take_large_from(memory_source& source, std::size_t bytes) noexcept {
        source_ = &source;
        large_from_ = bytes;
    }
    /// As one that begins in `scratch` again, without a source: frees its own memory, and lets go of what its source gave.
    void start_over(std::span<std::byte> scratch) noexcept {
        source_ = nullptr;
        begin_ = at_ = scratch.data();
        end_ = begin_ + scratch.size();
        owned_.reset();
        segments_.clear();
    }

    /// From now on, contiguous elements of at least so many bytes become segments instead of being copied. Only those of
    /// values that were given as lvalues: they must live, unchanged, until the segments have been sent.
    void out_of_band_from(std::size_t bytes) noexcept { out_of_band_from_ = bytes; }
    const std::vector<segment>& segments() const noexcept { return segments_; }

    void bytes(const void* from, std::size_t n) {
        std::byte* to = room(n);
        if (n != 0) std::memcpy(to, from, n);
    }
    /// As it lies in memory: for types without padding.
    template <class T>
    void fixed(const T& v) {
        static_assert(std::is_trivially_copyable_v<T>);
        std::memcpy(room(sizeof(T)), &v, sizeof(T));
    }
    /// What was written as `fixed` when the message had `at` bytes becomes v.
    template <class T>
    void fixed_at(std::size_t at, const T& v) {
        static_assert(std::is_trivially_copyable_v<T>);
        if (size() < sizeof(T) || at > size() - sizeof(T))
            fail("a fixed value", "there is none at this place");
        std::memcpy(begin_ + at, &v, sizeof(T));
    }
    /// Takes back what was written since the message had n bytes; not segments.
    void shrink_to(std::size_t n) noexcept {
        if (n < size()) at_ = begin_ + n;
    }
    /// A count of elements, then the elements, which take n bytes: here, or as a segment.
    void block(std::uint64_t count, const void* from, std::size_t n) {
        if (n >= out_of_band_from_) {
            fixed(count | out_of_band_bit);
            segments_.emplace_back(static_cast<const std::byte*>(from), n);
        } else {
            std::byte* to = room(sizeof count + n);
            std::memcpy(to, &count, sizeof count);
            if (n != 0) std::memcpy(to + sizeof count, from, n);
        }
    }
    [[noreturn]] void fail(std::string_view type, std::string_view why) const;

    /// In a count: the elements are in the next segment.
    static constexpr std::uint64_t out_of_band_bit = std::uint64_t{1} << 63;

    /// While it lives, everything goes into the message: what is written now dies before the message is sent.
    class in_band {
    public:
        explicit in_band(writer& w) noexcept
            : w_(w), before_(std::exchange(w.out_of_band_from_, no_out_of_band)) {}
        in_band(const in_band&) = delete;
        in_band& operator=(const in_band&) = delete;
        ~in_band() { w_.out_of_band_from_ = before_; }

    private:
        writer& w_;
        std::size_t before_;
    };

    /// One level of values inside values.
    class level {
    public:
        level(writer& w, std::string_view type) : w_(w) {
            if (w.depth_ == max_depth) w.fail(type, "values are nested too deeply");
            ++w.depth_;
        }
        level(const level&) = delete;
        level& operator=(const level&) = delete;
        ~level() { --w_.depth_; }

    private:
        writer& w_;
    };

private:
    std::byte* room(std::size_t n) {
        if (static_cast<std::size_t>(end_ - at_) < n) [[unlikely]]
            grow(n);
        return std::exchange(at_, at_ + n);
    }
    void grow(std::size_t n);

    // Invariant: begin_ <= at_ <= end_, all in scratch, all in owned_, or all in memory of source_.
    std::byte* begin_ = nullptr;
    std::byte* at_ = nullptr;
    std::byte* end_ = nullptr;
    std::size_t out_of_band_from_ = no_out_of_band;
    int depth_ = 0;
    memory_source* source_ = nullptr;
    std::size_t large_from_ = 0;
    std::unique_ptr<std::byte[]> owned_;
    std::vector<segment> segments_;
};

} // namespace tenure::inline v0::wire
