// Any bytes as a stream of frames, in pieces: the same frames as in one piece, or an error, and no more memory than came.
// Input: size of the pieces, the stream.
#include "fuzz.hpp"

#include <tenure/wire/frame.hpp>

#include <algorithm>
#include <vector>

namespace wire = tenure::wire;

namespace {

struct reading {
    std::vector<std::byte> frames; // written again
    bool broken = false;
};

reading read_in_pieces(std::span<const std::byte> stream, std::size_t piece) {
    const wire::frame_limits limits{.bytes = 1 << 16, .segments = 8};
    wire::frame_decoder decoder(limits);
    reading result;
    try {
        while (!stream.empty()) {
            const auto next = stream.first(std::min(piece, stream.size()));
            stream = stream.subspan(decoder.feed(next));
            if (!decoder.complete()) continue;
            const wire::frame f = decoder.take();
            const auto head = wire::frame_head(f.kind(), f.message(), f.segments(), limits);
            result.frames.insert(result.frames.end(), head.begin(), head.end());
            result.frames.insert(result.frames.end(), f.message().begin(), f.message().end());
            for (const wire::segment s : f.segments())
                result.frames.insert(result.frames.end(), s.begin(), s.end());
            if (f.kind() == wire::frame_kind::hello) (void)wire::decode_hello(f);
        }
        decoder.finish();
    } catch (const wire::wire_error&) {
        result.broken = true;
    }
    return result;
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const std::size_t piece = 1 + in.number();
    const auto stream = in.rest();
    const reading whole = read_in_pieces(stream, stream.size());
    const reading pieces = read_in_pieces(stream, piece);
    fuzz::require(whole.broken == pieces.broken, "pieces make no difference to whether a stream is sound");
    fuzz::require(whole.frames == pieces.frames, "pieces make no difference to the frames");
    fuzz::require(whole.frames.size() <= stream.size() &&
                      std::ranges::equal(whole.frames, stream.first(whole.frames.size())),
                  "frames are written again as they were read");
    fuzz::require(whole.broken || whole.frames.size() == stream.size(),
                  "a sound stream is frames to its end");
    return 0;
}
