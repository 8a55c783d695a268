// The channel as docs/reference/worker_protocol.md describes it, for workers that are not of this program. It uses nothing of tenure.
#pragma once
#include <array>
#include <climits>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <linux/futex.h>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace foreign {

inline constexpr std::uint64_t calls_at = 16, results_at = 24, retired_at = 64, room_wanted_at = 72,
                               tree_asked_at = 80, tree_answered_at = 84, tree_tells_at = 88,
                               tree_size_at = 92, tree_at = 104, tree_bytes_at = 112, cancel_at = 128,
                               part_at = 320, part_bytes_at = 328, parked_at = 384, parent_waits_at = 388,
                               stop_at = 392, slots_at = 512, slot_bytes = 512, slots = 64,
                               inline_bytes = 480;
// In a slot.
inline constexpr std::uint64_t size_at = 8, kind_at = 24, flags_at = 28, message_at = 32;

inline char* channel = nullptr;
inline std::uint64_t channel_bytes = 0;
inline int event = -1;

template <class T>
T& at(std::uint64_t offset) {
    return *reinterpret_cast<T*>(channel + offset);
}
inline std::uint64_t& word(std::uint64_t task) {
    return at<std::uint64_t>(slots_at + task % slots * slot_bytes);
}
inline char* slot_of(std::uint64_t task) { return channel + slots_at + task % slots * slot_bytes; }
inline std::uint64_t number(const char* from) {
    std::uint64_t n = 0;
    std::memcpy(&n, from, 8);
    return n;
}
template <class T>
T load(T& from) {
    return __atomic_load_n(&from, __ATOMIC_SEQ_CST);
}
template <class T>
void store(T& to, T value) {
    __atomic_store_n(&to, value, __ATOMIC_SEQ_CST);
}
/// From one state of a task to another; false: it is in neither of them.
inline bool change(std::uint64_t task, std::uint64_t from, std::uint64_t to) {
    std::uint64_t expected = 8 * task + from;
    return __atomic_compare_exchange_n(&word(task), &expected, 8 * task + to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

/// Maps what the supervisor sends on descriptor 0. False: it is no channel of version 2.
inline bool attach() {
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
    if (fstat(fds[0], &status) != 0) return false;
    channel_bytes = static_cast<std::uint64_t>(status.st_size);
    void* const memory = mmap(nullptr, channel_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    channel = static_cast<char*>(memory);
    event = fds[1];
    return memory != MAP_FAILED && std::memcmp(channel, "TNURCHAN", 8) == 0 && at<std::uint32_t>(8) == 2;
}

/// Sleeps while the word is 1; or less long, for somebody may have spoilt what would wake it.
inline void sleep_on(std::uint64_t word_at) {
    const timespec a_while{0, 50'000'000};
    syscall(SYS_futex, channel + word_at, FUTEX_WAIT, 1, &a_while, nullptr, 0);
}

/// The text of the tree is written, for that request.
inline void answer_about_tasks(std::uint32_t request, std::uint32_t size) {
    store(at<std::uint32_t>(tree_size_at), size);
    store(at<std::uint32_t>(tree_answered_at), request);
    syscall(SYS_futex, channel + tree_answered_at, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

/// Takes the next task, from `task` on; 0: there will be none any more. look: called before, when its call can be read.
inline std::uint64_t take(std::uint64_t task, void (*look)(std::uint64_t) = nullptr) {
    for (;;) {
        const std::uint64_t seen = load(word(task));
        if (seen / 8 >= task) {
            if (look && seen == 8 * task + 1) look(task);
            if (change(task, 1, 2)) return task;
            ++task;
            continue;
        }
        if (load(at<std::uint32_t>(stop_at)) != 0) return 0;
        store(at<std::uint32_t>(parked_at), 1u);
        if (load(word(task)) / 8 < task && load(at<std::uint32_t>(stop_at)) == 0) sleep_on(parked_at);
        store(at<std::uint32_t>(parked_at), 0u);
    }
}
inline std::uint64_t size_of_context(const char* slot) {
    std::uint32_t flags = 0;
    std::memcpy(&flags, slot + flags_at, 4);
    return flags >> 8;
}
/// The call, and behind it its context values.
inline const char* call_of(const char* slot) {
    if (number(slot + size_at) + size_of_context(slot) <= inline_bytes) return slot + message_at;
    return channel + at<std::uint64_t>(calls_at) + number(slot + message_at);
}
inline std::string message_of(std::uint64_t task) {
    const char* const slot = slot_of(task);
    return {call_of(slot), number(slot + size_at)};
}

inline void signal_parent() {
    const std::uint64_t one = 1;
    if (write(event, &one, sizeof one) < 0) _exit(2);
}
/// After a task has ended.
inline void tell_parent() {
    if (load(at<std::uint32_t>(parent_waits_at)) != 0 &&
        __atomic_exchange_n(&at<std::uint32_t>(parent_waits_at), 0u, __ATOMIC_SEQ_CST) != 0)
        signal_parent();
}

} // namespace foreign
