// A worker that does to the shared memory what the call's message says, between taking the call and answering it. It uses nothing
// of tenure; offsets are those of docs/reference/worker_protocol.md.
// Message: steps, each a letter and its operands; a byte where there is none left is 0. See run().
#include "foreign_channel.hpp"

#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>

namespace {

using namespace foreign;

class script {
public:
    script(std::string m, std::uint64_t task) : message_(std::move(m)), task_(task) {}
    bool ended() const { return next_ >= message_.size(); }
    unsigned byte() { return ended() ? 0u : static_cast<unsigned char>(message_[next_++]); }
    /// One that is likely to hurt, or any.
    std::uint64_t number() {
        const std::array<std::uint64_t, 24> likely{0,
                                                   1,
                                                   2,
                                                   7,
                                                   8,
                                                   16,
                                                   17,
                                                   479,
                                                   480,
                                                   481,
                                                   512,
                                                   task_,
                                                   8 * task_ + 1,
                                                   8 * task_ + 2,
                                                   8 * task_ + 3,
                                                   8 * (task_ + slots) + 3,
                                                   task_ << 34,
                                                   task_ << 34 | 1,
                                                   task_ << 34 | 3,
                                                   at<std::uint64_t>(32),
                                                   at<std::uint64_t>(56),
                                                   channel_bytes,
                                                   std::uint64_t{1} << 63,
                                                   ~std::uint64_t{0}};
        const unsigned which = byte();
        if (which % 32 < likely.size())
            return likely.at(which % 32) + (which >= 224 ? ~std::uint64_t{0} : which >= 192);
        std::uint64_t n = 0;
        for (unsigned i = 0; i < which % 8 + 1; ++i)
            n = n << 8 | byte();
        return n;
    }

private:
    std::string message_;
    std::size_t next_ = 0;
    std::uint64_t task_;
};

void write_some(std::uint64_t where, script& s) {
    for (unsigned n = s.byte(); n > 0; --n) {
        const char c = static_cast<char>(s.byte());
        if (where < channel_bytes) channel[where++] = c;
    }
}

void run(script& s, std::uint64_t task) {
    store(at<std::uint64_t>(part_at), task << 34); // no part has begun
    while (!s.ended()) {
        switch (s.byte() % 12) {
        case 0: std::memcpy(slot_of(task) + size_at, std::array{s.number()}.data(), 8); break;
        case 1: std::memcpy(slot_of(task) + message_at, std::array{s.number()}.data(), 8); break; // place
        case 2: slot_of(task)[kind_at] = static_cast<char>(s.byte()); break;
        case 3: write_some(slots_at + task % slots * slot_bytes + message_at, s); break;
        case 4: write_some(at<std::uint64_t>(results_at) + s.number() % 1024, s); break; // results arena
        case 5: write_some(at<std::uint64_t>(48) + s.number() % 1024, s); break;         // region for parts
        case 6: store(at<std::uint64_t>(part_at), s.number()); break;
        case 7: store(at<std::uint64_t>(part_bytes_at), s.number()); break;
        case 8: // not what says that it has not begun: that costs the parent a second of patience
            if (const std::uint64_t n = s.number(); n != 8 * task + 1) store(word(task), n);
            break;
        case 9: write_some(s.number() % channel_bytes, s); break; // anywhere
        case 10: signal_parent(); break;
        case 11:
            switch (s.byte() % 16) {
            case 0: raise(SIGKILL); break;
            case 1: _exit(static_cast<int>(s.byte()));
            case 2: usleep(1000 * s.byte() / 16); break;
            default: usleep(10); break;
            }
            break;
        default: break;
        }
    }
}

} // namespace

int main() {
    if (!attach()) return 1;
    for (std::uint64_t task = 0; (task = take(task + 1)) != 0;) {
        script s(message_of(task), task);
        // Unless the script says otherwise: a value without bytes.
        const std::uint64_t none = 0;
        const std::uint32_t value = 1;
        std::memcpy(slot_of(task) + size_at, &none, 8);
        std::memcpy(slot_of(task) + kind_at, &value, 4);
        run(s, task);
        change(task, 2, 3); // else it is what the script has made it
        tell_parent();
    }
}
