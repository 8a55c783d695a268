#include <tenure/wire/frame.hpp>

#include <algorithm>

namespace tenure::inline v0::wire {

static_assert(sizeof(frame_header) == frame_header_size && detail::bulk<frame_header>);

namespace {

constexpr std::size_t first_capacity = std::size_t{64} << 10; // bytes

/// Empty if the frame is within the limits. No sum can overflow: each size is compared with what is left of the limit.
std::string beyond(const frame_limits& limits, std::uint64_t message,
                   std::span<const std::uint64_t> segments) {
    std::uint64_t left = limits.bytes;
    if (message > left)
        return "its message of " + std::to_string(message) + " bytes is more than the limit of " +
               std::to_string(limits.bytes);
    left -= message;
    for (const std::uint64_t size : segments) {
        if (size > left)
            return "with a segment of " + std::to_string(size) + " bytes it is more than the limit of " +
                   std::to_string(limits.bytes);
        left -= size;
    }
    return {};
}
std::string too_many_segments(std::uint64_t n, const frame_limits& limits) {
    return std::to_string(n) + " segments are more than the limit of " + std::to_string(limits.segments);
}

} // namespace

std::vector<std::byte> frame_head(frame_kind kind, std::span<const std::byte> message,
                                  std::span<const segment> segments, frame_limits limits) {
    if (segments.size() > limits.segments)
        throw wire_error("cannot send a frame: " + too_many_segments(segments.size(), limits));
    frame_header header;
    header.kind = kind;
    header.segment_count = static_cast<std::uint32_t>(segments.size());
    header.message_size = message.size();
    std::vector<std::uint64_t> sizes;
    sizes.reserve(segments.size());
    for (const segment s : segments)
        sizes.push_back(s.size());
    if (const auto why = beyond(limits, message.size(), sizes); !why.empty())
        throw wire_error("cannot send a frame: " + why);
    writer w;
    write(w, header);
    w.bytes(sizes.data(), sizes.size() * sizeof(std::uint64_t));
    return {w.message().begin(), w.message().end()};
}

std::vector<std::byte> encode_frame(frame_kind kind, const writer& w, frame_limits limits) {
    auto bytes = frame_head(kind, w.message(), w.segments(), limits);
    bytes.insert(bytes.end(), w.message().begin(), w.message().end());
    for (const segment s : w.segments())
        bytes.insert(bytes.end(), s.begin(), s.end());
    return bytes;
}

void frame_decoder::fail(const std::string& why) {
    phase_ = phase::broken;
    error_ = "cannot read a frame before byte " + std::to_string(offset_) + " of the stream: " + why;
    throw wire_error(error_, offset_);
}

std::size_t frame_decoder::feed(std::span<const std::byte> bytes) {
    if (phase_ == phase::broken) throw wire_error(error_, offset_);
    std::size_t taken = 0;
    // Also with no bytes left: an empty message or segment is complete at once.
    while (!complete()) {
        const std::size_t n = std::min(bytes.size() - taken, want_ - have_);
        if (have_ + n > capacity_) {
            const std::size_t capacity =
                std::min(want_, std::max({first_capacity, 2 * capacity_, have_ + n}));
            auto bigger = std::make_unique_for_overwrite<std::byte[]>(capacity);
            if (have_ != 0) std::memcpy(bigger.get(), part_.get(), have_);
            part_ = std::move(bigger);
            capacity_ = capacity;
        }
        if (n != 0) std::memcpy(part_.get() + have_, bytes.data() + taken, n);
        have_ += n;
        taken += n;
        offset_ += n;
        if (have_ != want_) break;
        advance();
    }
    return taken;
}

void frame_decoder::expect(phase next, std::uint64_t n) {
    phase_ = next;
    have_ = 0;
    want_ = static_cast<std::size_t>(n);
}

segment frame_decoder::keep_part() {
    const segment part(part_.get(), have_);
    if (part_) frame_.memory_.push_back(std::move(part_));
    capacity_ = 0;
    return part;
}

void frame_decoder::advance() {
    switch (phase_) {
    case phase::header: take_header(); break;
    case phase::sizes: take_sizes(); break;
    case phase::message:
        frame_.message_ = keep_part();
        expect_segment();
        break;
    case phase::segments:
        frame_.segments_.push_back(keep_part());
        expect_segment();
        break;
    case phase::complete:
    case phase::broken:
    default: break;
    }
}

void frame_decoder::take_header() {
    const auto h = decode<frame_header>({part_.get(), have_});
    if (h.magic != frame_header().magic) fail("it does not begin with TNUR");
    if (h.version != format_version)
        fail("its format has version " + std::to_string(h.version) + ", and this program reads version " +
             std::to_string(format_version));
    if (h.reserved != 0) fail("its reserved bytes are not 0");
    if (h.segment_count > limits_.segments) fail(too_many_segments(h.segment_count, limits_));
    if (const auto why = beyond(limits_, h.message_size, {}); !why.empty()) fail(why);
    frame_.kind_ = h.kind;
    message_size_ = h.message_size;
    segment_sizes_.resize(h.segment_count);
    expect(phase::sizes, segment_sizes_.size() * sizeof(std::uint64_t));
}

void frame_decoder::take_sizes() {
    if (have_ != 0) std::memcpy(segment_sizes_.data(), part_.get(), have_);
    if (const auto why = beyond(limits_, message_size_, segment_sizes_); !why.empty()) fail(why);
    expect(phase::message, message_size_);
}

void frame_decoder::expect_segment() {
    const std::size_t next = frame_.segments_.size();
    if (next == segment_sizes_.size())
        phase_ = phase::complete;
    else
        expect(phase::segments, segment_sizes_[next]);
}

frame frame_decoder::take() {
    if (!complete())
        throw base::usage_error("frame_decoder::take: no frame is complete; ask complete() first");
    segment_sizes_.clear();
    expect(phase::header, frame_header_size);
    return std::exchange(frame_, frame());
}

void frame_decoder::finish() const {
    if (phase_ == phase::broken) throw wire_error(error_, offset_);
    if (phase_ == phase::header && have_ == 0) return;
    if (phase_ == phase::complete)
        throw base::usage_error("frame_decoder::finish: a complete frame was not taken");
    throw wire_error("the stream ended within a frame, after byte " + std::to_string(offset_), offset_);
}

std::vector<std::byte> encode_hello(const hello& h) {
    writer w;
    write(w, h);
    return encode_frame(frame_kind::hello, w);
}

hello decode_hello(const frame& f) {
    if (f.kind() != frame_kind::hello)
        throw wire_error("the first frame is no hello, but of kind " +
                         std::to_string(static_cast<unsigned>(f.kind())));
    reader r(f.message(), f.segments());
    auto h = read<hello>(r);
    r.finish();
    return h;
}

void require_same_build(const hello& ours, const hello& theirs) {
    if (!ours.build_id.empty() && ours.build_id == theirs.build_id) return;
    const auto named = [](const hello& h) {
        return h.program + " (build " + (h.build_id.empty() ? "unknown" : h.build_id) + ")";
    };
    throw wire_error("functions cannot be named between two builds: this is " + named(ours) +
                     ", the other side is " + named(theirs) + "; start the same executable on both sides");
}

} // namespace tenure::inline v0::wire
