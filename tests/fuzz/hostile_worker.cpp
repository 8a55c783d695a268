// A worker that does to the shared memory what the call's message says, between taking the call and answering it. It uses nothing
// of tenure; offsets are those of docs/reference/worker_protocol.md.
// Message: steps, each a letter and its operands; a byte where there is none left is 0. See run().
#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr std::uint64_t words_at = 64, parked_at = 576, parent_waits_at = 580, stop_at = 584, part_at = 896,
                        part_bytes_at = 904, slots_at = 960, slot_bytes = 512, slots = 64;

std::uint64_t memory_bytes = 0;
char* channel = nullptr;
int event = -1;

template <class T>
T& at(std::uint64_t offset) {
    return *reinterpret_cast<T*>(channel + offset);
}
std::uint64_t& word(std::uint64_t task) { return at<std::uint64_t>(words_at + task % slots * 8); }
char* slot(std::uint64_t task) { return channel + slots_at + task % slots * slot_bytes; }
template <class T>
T load(T& from) {
    return __atomic_load_n(&from, __ATOMIC_SEQ_CST);
}
template <class T>
void store(T& to, T value) {
    __atomic_store_n(&to, value, __ATOMIC_SEQ_CST);
}
void signal_parent() {
    const std::uint64_t one = 1;
    if (write(event, &one, sizeof one) < 0) _exit(2);
}

bool attach() {
    std::array<char, 65536> bytes{};
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> room{};
    msghdr h{};
    h.msg_iov = &part;
    h.msg_iovlen = 1;
    h.msg_control = room.data();
    h.msg_controllen = room.size();
    if (recvmsg(0, &h, 0) < 24 || !CMSG_FIRSTHDR(&h)) return false;
    std::array<int, 2> fds{};
    std::memcpy(fds.data(), CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof fds);
    struct stat status{};
    fstat(fds[0], &status);
    memory_bytes = static_cast<std::uint64_t>(status.st_size);
    void* const memory = mmap(nullptr, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    channel = static_cast<char*>(memory);
    event = fds[1];
    return memory != MAP_FAILED && std::memcmp(channel, "TNURCHAN", 8) == 0;
}

class script {
public:
    script(std::vector<unsigned char> m, std::uint64_t task) : message_(std::move(m)), task_(task) {}
    bool ended() const { return next_ >= message_.size(); }
    unsigned byte() { return ended() ? 0u : message_[next_++]; }
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
                                                   memory_bytes,
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
    std::vector<unsigned char> message_;
    std::size_t next_ = 0;
    std::uint64_t task_;
};

void write_some(std::uint64_t where, script& s) {
    for (unsigned n = s.byte(); n > 0; --n) {
        const char c = static_cast<char>(s.byte());
        if (where < memory_bytes) channel[where++] = c;
    }
}

void run(script& s, std::uint64_t task) {
    store(at<std::uint64_t>(part_at), task << 34); // no part has begun
    while (!s.ended()) {
        switch (s.byte() % 12) {
        case 0: std::memcpy(slot(task), std::array{s.number()}.data(), 8); break;     // size
        case 1: std::memcpy(slot(task) + 8, std::array{s.number()}.data(), 8); break; // place
        case 2: slot(task)[24] = static_cast<char>(s.byte()); break;                  // kind
        case 3: write_some(slots_at + task % slots * slot_bytes + 32, s); break;      // message
        case 4: write_some(at<std::uint64_t>(24) + s.number() % 1024, s); break;      // results arena
        case 5: write_some(at<std::uint64_t>(48) + s.number() % 1024, s); break;      // region for parts
        case 6: store(at<std::uint64_t>(part_at), s.number()); break;
        case 7: store(at<std::uint64_t>(part_bytes_at), s.number()); break;
        case 8: // not what says that it has not begun: that costs the parent a second of patience
            if (const std::uint64_t n = s.number(); n != 8 * task + 1) store(word(task), n);
            break;
        case 9: write_some(s.number() % memory_bytes, s); break; // anywhere
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
    for (std::uint64_t task = 1;;) {
        const std::uint64_t seen = load(word(task));
        if (seen / 8 < task) {
            if (load(at<std::uint32_t>(stop_at)) != 0) return 0;
            store(at<std::uint32_t>(parked_at), 1u);
            if (load(word(task)) / 8 < task && load(at<std::uint32_t>(stop_at)) == 0) {
                const timespec a_while{0, 50'000'000}; // it may have spoilt what would wake it
                syscall(SYS_futex, channel + parked_at, FUTEX_WAIT, 1, &a_while, nullptr, 0);
            }
            store(at<std::uint32_t>(parked_at), 0u);
            continue;
        }
        std::uint64_t ready = 8 * task + 1;
        if (seen != ready || !__atomic_compare_exchange_n(&word(task), &ready, 8 * task + 2, false,
                                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            ++task;
            continue;
        }
        std::uint64_t size = 0, place = 0;
        std::memcpy(&size, slot(task), 8);
        std::memcpy(&place, slot(task) + 8, 8);
        const char* const from = size <= 480 ? slot(task) + 32 : channel + at<std::uint64_t>(16) + place;
        script s({from, from + size}, task);
        // Unless the script says otherwise: a value without bytes.
        const std::uint64_t none = 0;
        const std::uint32_t value = 1;
        std::memcpy(slot(task), &none, 8);
        std::memcpy(slot(task) + 24, &value, 4);
        run(s, task);
        std::uint64_t taken = 8 * task + 2; // else what the script has put there
        __atomic_compare_exchange_n(&word(task), &taken, 8 * task + 3, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
        if (__atomic_exchange_n(&at<std::uint32_t>(parent_waits_at), 0u, __ATOMIC_SEQ_CST) != 0)
            signal_parent();
        ++task;
    }
}
