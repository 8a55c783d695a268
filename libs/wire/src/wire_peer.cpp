// One end of a pipe, for function_test: `send` writes a hello and a call, `run` checks the hello and runs the call.
// Built twice, as wire_peer and wire_stranger: two builds of the same source.
#include <tenure/wire/frame.hpp>
#include <tenure/wire/function.hpp>

#include <array>
#include <cstring>
#include <iostream>
#include <unistd.h>

namespace wire = tenure::wire;

namespace {

int product(int a, int b) { return a * b; }

constexpr auto call_frame = wire::frame_kind::first_user;

void send(std::span<const std::byte> bytes) {
    std::cout.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

int run() {
    wire::frame_decoder frames;
    wire::function_table functions;
    bool is_first = true;
    std::array<std::byte, 7> piece{}; // small: frames come in pieces
    while (const auto got = read(STDIN_FILENO, piece.data(), piece.size())) {
        if (got < 0) return 2;
        std::span<const std::byte> left(piece.data(), static_cast<std::size_t>(got));
        while (!left.empty()) {
            left = left.subspan(frames.feed(left));
            if (!frames.complete()) continue;
            const wire::frame f = frames.take();
            if (std::exchange(is_first, false)) {
                wire::require_same_build({wire::build_id(), "run"}, wire::decode_hello(f));
                continue;
            }
            wire::reader call(f.message(), f.segments());
            wire::writer result;
            wire::run_call(functions, call, result);
            std::cout << wire::decode<int>(result.message()) << '\n';
        }
    }
    frames.finish();
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    try {
        if (argc == 2 && std::strcmp(argv[1], "run") == 0) return run();
        wire::writer w;
        wire::write_call(w, wire::fn<&product>, 6, 7);
        send(wire::encode_hello({wire::build_id(), TENURE_PEER_NAME}));
        send(wire::encode_frame(call_frame, w));
        return 0;
    } catch (const std::exception& e) {
        std::cout << e.what() << '\n';
        return 1;
    }
}
