// A worker that is not of this program, written from docs/reference/worker_protocol.md alone: it uses nothing of tenure.
// Messages: "upper TEXT" -> TEXT in capitals; "fail TEXT" -> a failure of type my::error; "die" -> it kills itself; "wait" -> it waits
// until it is told to stop; "context NAME" -> the bytes of the context value of that name, or none.
#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <linux/futex.h>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

char* channel = nullptr;
int event = -1;

template <class T>
T& at(std::uint64_t offset) {
    return *reinterpret_cast<T*>(channel + offset);
}
std::uint64_t& word(std::uint64_t task) { return at<std::uint64_t>(64 + task % 64 * 8); }
template <class T>
T load(T& from) {
    return __atomic_load_n(&from, __ATOMIC_SEQ_CST);
}
template <class T>
void store(T& to, T value) {
    __atomic_store_n(&to, value, __ATOMIC_SEQ_CST);
}

bool attach() {
    char bytes[65536];
    iovec part{bytes, sizeof bytes};
    alignas(cmsghdr) char room[CMSG_SPACE(2 * sizeof(int))];
    msghdr h{};
    h.msg_iov = &part;
    h.msg_iovlen = 1;
    h.msg_control = room;
    h.msg_controllen = sizeof room;
    if (recvmsg(0, &h, 0) < 24 || !CMSG_FIRSTHDR(&h)) return false;
    int fds[2];
    std::memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof fds);
    struct stat status{};
    fstat(fds[0], &status);
    void* const memory = mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ | PROT_WRITE,
                              MAP_SHARED, fds[0], 0);
    channel = static_cast<char*>(memory);
    event = fds[1];
    return memory != MAP_FAILED && std::memcmp(channel, "TNURCHAN", 8) == 0 && at<std::uint32_t>(8) == 1;
}

std::string counted(const std::string& text) {
    const std::uint64_t n = text.size();
    return std::string(reinterpret_cast<const char*>(&n), 8) + text;
}

std::uint64_t number(const char* from) {
    std::uint64_t n = 0;
    std::memcpy(&n, from, 8);
    return n;
}
/// The context values that travel with the call in this slot.
std::string context_of(const char* slot) {
    std::uint32_t flags = 0;
    std::memcpy(&flags, slot + 28, 4);
    const std::uint64_t call = number(slot), place = number(slot + 8), size = flags >> 8;
    const std::uint64_t in_slot = call <= 480 ? call : 0;
    if (in_slot + size <= 480) return {slot + 32 + in_slot, size};
    return {channel + at<std::uint64_t>(16) + place + (call <= 480 ? 0 : call), size};
}
std::string value_of(const std::string& name, const std::string& context) {
    for (std::size_t i = 0; i < context.size();) {
        const std::uint64_t length = number(&context[i]);
        const std::string found = context.substr(i + 8, length);
        const std::uint64_t size = number(&context[i + 8 + length]);
        i += 16 + length;
        if (found == name) return context.substr(i, size);
        i += size;
    }
    return "";
}

/// The kind of the result.
std::uint32_t run(std::uint64_t task, const char* slot, const std::string& message, std::string& result) {
    if (message.starts_with("context ")) {
        result = value_of(message.substr(8), context_of(slot));
        return 1;
    }
    if (message.starts_with("upper ")) {
        result = message.substr(6);
        std::transform(result.begin(), result.end(), result.begin(),
                       [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        return 1;
    }
    if (message.starts_with("fail ")) {
        result = counted("my::error") + counted(message.substr(5)) + std::string(5, '\0');
        return 2;
    }
    if (message == "die") raise(SIGKILL);
    while (load(at<std::uint64_t>(704)) != task)
        usleep(200);
    return 3;
}

void answer(char* slot, std::uint32_t kind, const std::string& result) {
    std::uint64_t size = result.size();
    std::memcpy(slot, &size, 8);
    std::memcpy(slot + 24, &kind, 4);
    if (size <= 480) {
        std::copy(result.begin(), result.end(), slot + 32);
        return;
    }
    // One result at a time: the whole arena is free when all tasks before this one are retired.
    const std::uint64_t place = 0;
    std::memcpy(slot + 8, &place, 8);
    std::copy(result.begin(), result.end(), channel + at<std::uint64_t>(24));
}

} // namespace

int main() {
    if (!attach()) return 1;
    for (std::uint64_t task = 1;;) {
        const std::uint64_t seen = load(word(task));
        if (seen / 8 < task) {
            if (load(at<std::uint32_t>(584)) != 0) return 0;
            store(at<std::uint32_t>(576), 1u);
            if (load(word(task)) / 8 < task && load(at<std::uint32_t>(584)) == 0)
                syscall(SYS_futex, channel + 576, FUTEX_WAIT, 1, nullptr, nullptr, 0);
            store(at<std::uint32_t>(576), 0u);
            continue;
        }
        std::uint64_t ready = 8 * task + 1;
        if (seen != ready || !__atomic_compare_exchange_n(&word(task), &ready, 8 * task + 2, false,
                                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            ++task;
            continue;
        }
        char* const slot = channel + 960 + task % 64 * 512;
        std::uint64_t size = 0;
        std::uint64_t place = 0;
        std::memcpy(&size, slot, 8);
        std::memcpy(&place, slot + 8, 8);
        const std::string message(size <= 480 ? slot + 32 : channel + at<std::uint64_t>(16) + place, size);
        std::string result;
        const std::uint32_t kind = run(task, slot, message, result);
        while (result.size() > 480 && load(at<std::uint64_t>(640)) != task) {
            store(at<std::uint32_t>(648), 1u);
            if (load(at<std::uint64_t>(640)) != task)
                syscall(SYS_futex, channel + 648, FUTEX_WAIT, 1, nullptr, nullptr, 0);
        }
        answer(slot, kind, result);
        store(word(task), 8 * task + 3);
        if (load(at<std::uint32_t>(580)) != 0 &&
            __atomic_exchange_n(&at<std::uint32_t>(580), 0u, __ATOMIC_SEQ_CST) != 0) {
            const std::uint64_t one = 1;
            if (write(event, &one, sizeof one) < 0) return 2;
        }
        ++task;
    }
}
