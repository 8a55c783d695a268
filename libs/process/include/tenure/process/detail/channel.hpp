// The memory that the parent shares with one worker: the ring (worker_ring.hpp) with a slot for each of its tasks, an arena in
// each direction for messages that are larger than a slot, the word by which a running call is cancelled, and what a call of
// several parts (runner/parts.hpp) has done so far.
//
// WHO WRITES    header: the parent, before the worker exists · ring, slots: worker_ring.hpp · retired, cancel: the parent
//               room_wanted: set by the worker, cleared by either · calls arena: the parent · results arena: the worker
//               part: the worker, and the parent by give_up() · part_bytes, parts: the worker · tree: tree_words.hpp
// INVARIANTS
//  1. The arenas are queues: blocks are taken in the order of the tasks, and given back in that order. A call's block is given
//     back when the task is retired or has run; a result's when `retired` has passed its task.
//  2. Who waits for room in the results arena has said so and looked again; who moves `retired` looks afterwards (both
//     sequentially consistent, as in the ring).
//  3. `cancel` names a task that is taken; its text is written before, and not again while that task runs.
//  4. A call of several parts lays its results down in `parts`, one after the other, and says so by `part` (item_turn.hpp; the turn
//     is turn_of(task), and another one once a part was given up): if that says that k parts have ended, the first k results
//     are there, whatever becomes of the worker. They stay until the task is retired, if its result is `parts`.
// The layout is part of the worker protocol (docs/reference/worker_protocol.md).
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/io/unique_fd.hpp>
#include <tenure/process/detail/tree_words.hpp>
#include <tenure/process/detail/worker_ring.hpp>
#include <tenure/runner/item_turn.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tenure::inline v0::process::detail {

inline constexpr std::uint32_t protocol_version = 2;
inline constexpr std::size_t slot_count = 64;
inline constexpr std::size_t slot_bytes = 512;
inline constexpr std::size_t inline_bytes = 480; // of a message in its slot

/// parts: of some or all parts of a call, as a uint64 that says how many, and the results. In the region for parts if there
/// are more bytes than are copied; otherwise as a value.
enum class message_kind : std::uint32_t {
    call = 0,
    value = 1,
    failure = 2,
    cancelled = 3,
    died = 4,
    parts = 5
};
constexpr std::uint64_t most_copied(std::span<const std::byte> results_arena) noexcept {
    return std::min<std::uint64_t>(std::uint64_t{1} << 16, results_arena.size());
}

/// Before a part's result.
enum class part_kind : std::uint8_t { value = 0, failure = 1 };
constexpr std::uint32_t turn_of(std::uint64_t task) noexcept {
    return static_cast<std::uint32_t>(task << 1) &
           0x7FFF'FFFE; // even; the odd ones are of tasks with a part given up
}

/// Of a call: the worker takes no more if this one fails. For initializers.
inline constexpr std::uint32_t leave_if_it_fails = 1;
/// Of a call: its message lies in the pool's block store.
inline constexpr std::uint32_t in_store = 2;
/// Of a call: how many bytes of context values travel with it; above the flags proper.
inline constexpr std::uint32_t context_shift = 8;
inline constexpr std::size_t max_context_bytes = (std::size_t{1} << (32 - context_shift)) - 1;

template <class T>
using shared_atomic = std::atomic<T>;
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "the words are shared between processes");

struct alignas(128) call_slot {
    shared_atomic<std::uint64_t> word{0}; // the ring's
    std::uint64_t size;                   // bytes of the message
    std::int64_t deadline;                // of a call: ns on CLOCK_MONOTONIC; the largest number: never
    message_kind kind;
    std::uint32_t flags;
    std::array<std::byte, inline_bytes> bytes; // the message; if it is longer: where it lies, as a uint64

    /// Entry k of the slot's bytes as places. Read once: the other side may still write.
    std::uint64_t place(std::size_t k) const noexcept { return place_at(k).load(std::memory_order_relaxed); }
    void set_place(std::size_t k, std::uint64_t p) noexcept {
        place_at(k).store(p, std::memory_order_relaxed);
    }

private:
    std::atomic_ref<std::uint64_t> place_at(std::size_t k) const noexcept {
        auto* const first = const_cast<std::byte*>(bytes.data()); // a load needs it, too, before C++26
        return std::atomic_ref(reinterpret_cast<std::uint64_t*>(first)[k]);
    }
};
static_assert(sizeof(call_slot) == slot_bytes && offsetof(call_slot, bytes) % 8 == 0);
using ring_words = basic_ring_words<shared_atomic, slot_count, call_slot>;

/// Where a call and the context values that travel with it lie:
///   both in the slot, the call first, if they fit;
///   both in the arena, the call first, at place 0 of the slot;
///   the call in the block store, at place 0; the values in the slot, behind that; or in the arena, at place 1.
struct call_layout {
    constexpr call_layout(std::uint64_t call_bytes, bool stored, std::uint64_t context_bytes) noexcept
        : call_in_slot(!stored && call_bytes + context_bytes <= inline_bytes),
          context_in_slot(stored ? sizeof(std::uint64_t) + context_bytes <= inline_bytes : call_in_slot),
          context_place(stored ? 1 : 0),
          context_at(!stored           ? call_bytes
                     : context_in_slot ? sizeof(std::uint64_t)
                                       : 0),
          arena_bytes((call_in_slot || stored ? 0 : call_bytes) + (context_in_slot ? 0 : context_bytes)) {}
    bool call_in_slot;
    bool context_in_slot;
    std::size_t context_place; // if it is not in the slot
    std::uint64_t context_at;  // in the slot's bytes, or from there
    std::uint64_t arena_bytes; // 0: it needs none
};

struct channel_header {
    std::array<char, 8> magic{'T', 'N', 'U', 'R', 'C', 'H', 'A', 'N'};
    std::uint32_t version = protocol_version;
    std::uint32_t slots = slot_count;
    std::uint64_t calls_at = 0;    // offset of the arena that the parent writes
    std::uint64_t results_at = 0;  // and of the other one
    std::uint64_t arena_bytes = 0; // of each
    std::uint64_t parts_at = 0;    // of the region for parts
    std::uint64_t parts_bytes = 0;
    std::uint64_t idle_ns = 0; // after which a worker without a call leaves; 0: it never does
};

struct channel {
    channel_header header;
    alignas(64) std::atomic<std::uint64_t> retired{0}; // the parent needs nothing of tasks below this one
    std::atomic<std::uint32_t> room_wanted{0}; // 1: the worker sleeps on this word until `retired` moves
    basic_tree_words<shared_atomic> tree;
    std::uint64_t tree_at = 0; // offset of the memory for its text
    std::uint64_t tree_bytes = 0;
    alignas(64) std::atomic<std::uint64_t> cancel{0}; // the task that is to stop
    std::uint32_t cancel_reason = 0;                  // base::reason
    std::array<char, 180> cancel_text{};              // ends with 0
    alignas(64) runner::item_turn part;
    std::atomic<std::uint64_t> part_bytes{
        0}; // that the results of its parts have, with the count before them
    ring_words ring;

    call_slot& slot_of(std::uint64_t task) noexcept { return ring.slot[task % slot_count]; }
};
// As the protocol's description has them.
static_assert(offsetof(channel_header, idle_ns) == 56 && offsetof(channel, retired) == 64 &&
              offsetof(channel, room_wanted) == 72 && offsetof(channel, tree) == 80 &&
              offsetof(decltype(channel::tree), answered) == 4 &&
              offsetof(decltype(channel::tree), tells) == 8 &&
              offsetof(decltype(channel::tree), size) == 12 &&
              offsetof(decltype(channel::tree), until) == 16 && offsetof(channel, tree_at) == 104 &&
              offsetof(channel, tree_bytes) == 112 && offsetof(channel, cancel) == 128 &&
              offsetof(channel, cancel_reason) == 136 && offsetof(channel, cancel_text) == 140 &&
              offsetof(channel, part) == 320 && offsetof(channel, part_bytes) == 328 &&
              offsetof(channel, ring) == 384 && offsetof(ring_words, parent_waits) == 4 &&
              offsetof(ring_words, stop) == 8 && offsetof(ring_words, leaving) == 12 &&
              offsetof(ring_words, slot) == 128 && offsetof(call_slot, size) == 8 &&
              offsetof(call_slot, deadline) == 16 && offsetof(call_slot, kind) == 24 &&
              offsetof(call_slot, flags) == 28 && offsetof(call_slot, bytes) == 32);

/// Of the text of a tree, at most; a whole number of pages.
inline constexpr std::uint64_t most_tree_bytes = std::uint64_t{64} << 10;

inline std::uint64_t round_up(std::uint64_t n, std::uint64_t to) noexcept { return (n + to - 1) / to * to; }

/// Sleeps while the word, in memory that processes share, is `expected`; or less long.
void sleep_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
              base::duration most = base::duration::max()) noexcept;
void wake_sleeper(const std::atomic<std::uint32_t>& word) noexcept;

/// A channel and its arenas, mapped here.
/// Owner: the mapping; and the descriptor, as long as it is wanted.
class channel_memory {
public:
    /// Makes new memory that nobody can shrink. Throws: std::system_error.
    explicit channel_memory(std::uint64_t arena_bytes);
    /// Maps what another process made. Throws: std::system_error; wire_error if it is no channel of this version.
    explicit channel_memory(io::unique_fd fd);
    channel_memory(const channel_memory&) = delete;
    channel_memory& operator=(const channel_memory&) = delete;
    ~channel_memory();

    channel& operator*() const noexcept { return *channel_; }
    channel* operator->() const noexcept { return channel_; }
    std::span<std::byte> calls() const noexcept { return calls_; }
    std::span<std::byte> results() const noexcept { return results_; }
    std::span<std::byte> parts() const noexcept { return parts_; }
    std::span<std::byte> tree() const noexcept { return tree_; }
    int fd() const noexcept { return fd_.get(); }
    /// Others have it.
    void close_fd() noexcept { fd_.reset(); }

private:
    void map(std::uint64_t size);
    io::unique_fd fd_;
    void* at_ = nullptr;
    std::size_t size_ = 0;
    channel* channel_ = nullptr;
    std::span<std::byte> calls_;
    std::span<std::byte> results_;
    std::span<std::byte> parts_;
    std::span<std::byte> tree_;
};

inline constexpr std::uint64_t kept_bytes = std::uint64_t{256}
                                            << 20; // that empty shared memory goes on holding
/// Gives back the memory of what lies behind the first kept_bytes. It is there again, empty, where it is used.
void give_memory_back(std::span<std::byte> shared) noexcept;

/// Blocks of an arena, taken and given back in one order. When nothing is taken it begins anew, so that a lone large message
/// always meets the same pages.
class block_queue {
public:
    explicit block_queue(std::span<std::byte> arena) noexcept : arena_(arena) {}

    /// Where n contiguous bytes begin. Empty: not now; never, if n is more than the whole.
    std::optional<std::uint64_t> take(std::uint64_t n) noexcept;
    /// The end of what was taken last: for give_back().
    std::uint64_t end() const noexcept { return end_; }
    /// All that was taken up to there.
    void give_back(std::uint64_t until) noexcept;
    std::uint64_t capacity() const noexcept { return arena_.size(); }

private:
    std::span<std::byte> arena_;
    // Positions that only grow; the place is the position modulo the size. begin_ <= end_ <= begin_ + size.
    std::uint64_t begin_ = 0;
    std::uint64_t end_ = 0;
    std::uint64_t highest_ =
        0; // bytes that have been used since it held the last time no more than kept_bytes
};

} // namespace tenure::inline v0::process::detail
