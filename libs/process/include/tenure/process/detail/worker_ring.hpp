// How tasks and results pass between the parent and one worker process: a ring of slots in memory that the two share, and
// nobody else. No lock: a process that is killed holds nothing.
//
// A slot is a word and some bytes. Tasks are numbered 1, 2, 3, …; task s has the slot s modulo the number of slots. The
// word says of which task, and in which state it is; the bytes hold first the call, then its result.
//
// SLOT WORD  number of the task · state               who may touch the bytes
//   vacant   nobody's: so the ring begins              parent
//   ready    a call waits                              nobody writes
//   taken    the worker runs it                        worker
//   done     the result is there                       parent
//   revoked  the parent has taken it back              parent
// TRANSITIONS
//   vacant, done, revoked of task s - slots -publish-> ready of s     parent, only it, by a store
//   ready -take-> taken                                               worker, compare-exchange
//   ready -revoke-> revoked                                           parent, compare-exchange
//   taken -finish-> done                                              worker, only it, by a store
// INVARIANTS
//  1. A task is taken or revoked, never both: a task that was revoked has not begun, and never will. So it may be given to
//     another worker: it runs at most once.
//  2. When the worker has died, the words tell all: done tasks have results, the one that is taken (at most one) may have
//     run in part and has failed, those that are ready have not begun.
//  3. The parent publishes task s only when it has seen s - slots done or revoked. The worker meets tasks in their order; one
//     whose slot holds a later number was revoked and is passed over.
//  4. Whoever sleeps has said so after the last change that it knows of, and looked again after it said so; whoever changes
//     a word looks afterwards whether the other sleeps (all four sequentially consistent). So no wake-up is lost:
//     while the worker is parked no slot is ready for it, while the parent waits none that it has not seen is done, each
//     but for the moment until a wake-up arrives.
//  5. The parent believes nothing: it keeps its own numbers; a word that is none of those that it can be (`broken`) ends the
//     worker. It copies a result, with the length limited to the slot, before it reads it: a hostile worker may still write.
//  6. A worker that has nothing to do may leave. It has said so, and looked again at its next slot after it said so; the parent
//     looks whether it has, after it published (all four sequentially consistent). So either the worker sees the task and
//     stays, or the parent sees that the worker leaves, and revokes: what it gets back has not begun, what it does not get
//     back the worker has seen and runs. A worker that has left has nothing of which the parent believes that it will run.
//
// STOP: set once, never taken back. The worker leaves when it sees it and finds no ready slot; a parent that does not want
// the rest run revokes first. CANCEL of a taken task, its deadline and payloads beyond a slot are not the ring's.
// Checked in tests/model/worker_ring_model_test.cpp, with a worker that is killed at any step.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tenure::inline v0::process::detail {

enum class slot_state : std::uint8_t { vacant, ready, taken, done, revoked };

constexpr std::uint64_t slot_word(std::uint64_t task, slot_state s) noexcept {
    return task << 3 | static_cast<std::uint64_t>(s);
}
constexpr std::uint64_t task_of(std::uint64_t word) noexcept { return word >> 3; }

template <template <class> class Atomic>
struct slot_without_bytes {
    Atomic<std::uint64_t> word{0};
};
/// What both sides see, in shared memory. `Atomic` is a parameter so that the model checker runs this code. A slot's word lies in the
/// same line of the cache as its first bytes: a short call costs one line each way.
template <template <class> class Atomic, std::size_t Slots, class Slot = slot_without_bytes<Atomic>>
struct basic_ring_words {
    static constexpr std::size_t slots = Slots;
    Atomic<std::uint64_t>& of(std::uint64_t task) noexcept { return slot[task % Slots].word; }

    Atomic<std::uint32_t> worker_parked{0}; // 1: the worker sleeps on this word. Set by it; cleared by either
    Atomic<std::uint32_t> parent_waits{0};  // 1: the parent waits for its event. Set by it; cleared by either
    Atomic<std::uint32_t> stop{0};          // 1: leave when nothing is ready. Set by the parent
    Atomic<std::uint32_t> leaving{0};       // 1: it leaves by itself, unless something is ready. The worker's
    std::array<Slot, Slots> slot;
};

enum class task_state : std::uint8_t { ready, taken, done, revoked, broken };
constexpr bool is_unfinished(task_state s) noexcept {
    return s == task_state::ready || s == task_state::taken;
}

/// The parent's side. `Wake::worker(word)` wakes who sleeps on that word, in another process.
template <class Words, class Wake>
class basic_ring_parent {
public:
    explicit basic_ring_parent(Words& words) noexcept : words_(words) {}

    /// A task more may be published: its bytes are the parent's.
    bool has_room() const noexcept { return next_ - oldest_ < Words::slots; }
    /// The task that publish() will publish.
    std::uint64_t next() const noexcept { return next_; }
    /// The first task that was published and not retired.
    std::uint64_t oldest() const noexcept { return oldest_; }

    /// The bytes of next() are written: the worker may take it. wake() after the last of several.
    void publish() noexcept {
        // Release: the bytes, pairs with take(). Sequentially consistent: invariant 4, with park().
        words_.of(next_).store(slot_word(next_, slot_state::ready), std::memory_order_seq_cst);
        ++next_;
    }
    void wake() noexcept {
        if (words_.worker_parked.load(std::memory_order_seq_cst) == 0) return;
        if (words_.worker_parked.exchange(0, std::memory_order_seq_cst) != 0)
            Wake::worker(words_.worker_parked);
    }
    /// Takes a task back. False: the worker has it.
    bool revoke(std::uint64_t task) noexcept {
        std::uint64_t seen = slot_word(task, slot_state::ready);
        // Relaxed: the worker has not touched the bytes, and publish() tells it what is there next.
        return words_.of(task).compare_exchange_strong(seen, slot_word(task, slot_state::revoked),
                                                       std::memory_order_relaxed, std::memory_order_relaxed);
    }
    /// Of a task that was published and not retired.
    task_state look(std::uint64_t task) noexcept {
        // Acquire: the result, pairs with finish().
        const std::uint64_t seen = words_.of(task).load(std::memory_order_acquire);
        if (seen == slot_word(task, slot_state::ready)) return task_state::ready;
        if (seen == slot_word(task, slot_state::taken)) return task_state::taken;
        if (seen == slot_word(task, slot_state::done)) return task_state::done;
        return seen == slot_word(task, slot_state::revoked) ? task_state::revoked : task_state::broken;
    }
    /// The oldest task is done and its result taken, or it is revoked: its slot may be used again.
    void retire() noexcept { ++oldest_; }

    /// False: something can be done at once. True: the worker will signal the event when a task is done; do wait for that,
    /// or for the worker's death.
    bool may_wait() noexcept {
        words_.parent_waits.store(1, std::memory_order_seq_cst);
        for (std::uint64_t task = oldest_; task != next_; ++task) {
            const std::uint64_t seen =
                words_.of(task).load(std::memory_order_seq_cst); // invariant 4, with finish()
            if (seen == slot_word(task, slot_state::revoked)) continue;
            if (seen == slot_word(task, slot_state::ready) || seen == slot_word(task, slot_state::taken))
                break;
            words_.parent_waits.store(0, std::memory_order_relaxed); // only saves the worker a signal
            return false;
        }
        return true;
    }
    /// Asked after publish(). True: the worker leaves without what can be revoked.
    bool is_leaving() const noexcept {
        return words_.leaving.load(std::memory_order_seq_cst) != 0; // invariant 6, with leave()
    }
    void stop() noexcept {
        words_.stop.store(1, std::memory_order_seq_cst);
        wake();
    }

private:
    Words& words_;
    std::uint64_t next_ = 1;
    std::uint64_t oldest_ = 1;
};

/// The worker's side. `Wake::sleep(word)` sleeps while the word is 1, or less long; `Wake::parent()` signals the event.
template <class Words, class Wake>
class basic_ring_worker {
public:
    explicit basic_ring_worker(Words& words) noexcept : words_(words) {}

    /// The task that take() looks for, if it was not revoked.
    std::uint64_t next() const noexcept { return head_; }
    /// The next task, which is now this worker's to run; 0 if none is ready.
    std::uint64_t take() noexcept {
        for (;; ++head_) {
            auto& word = words_.of(head_);
            std::uint64_t seen = word.load(std::memory_order_relaxed); // only a hint
            if (task_of(seen) < head_) return 0;
            if (seen != slot_word(head_, slot_state::ready)) continue; // revoked, perhaps long ago
            // Acquire: the bytes, pairs with publish().
            if (word.compare_exchange_strong(seen, slot_word(head_, slot_state::taken),
                                             std::memory_order_acquire, std::memory_order_relaxed))
                return head_;
        }
    }
    /// The result of the task that was taken is written.
    void finish() noexcept {
        // Release: the result, pairs with look(). Sequentially consistent: invariant 4, with may_wait().
        words_.of(head_).store(slot_word(head_, slot_state::done), std::memory_order_seq_cst);
        ++head_;
        if (words_.parent_waits.load(std::memory_order_seq_cst) == 0) return;
        if (words_.parent_waits.exchange(0, std::memory_order_seq_cst) != 0) Wake::parent();
    }
    /// Sleeps until a task may be ready, or stop was asked for.
    void park() noexcept {
        words_.worker_parked.store(1, std::memory_order_seq_cst);
        const std::uint64_t seen =
            words_.of(head_).load(std::memory_order_seq_cst); // invariant 4, with publish()
        if (task_of(seen) < head_ && words_.stop.load(std::memory_order_seq_cst) == 0)
            Wake::sleep(words_.worker_parked);
        words_.worker_parked.store(0, std::memory_order_relaxed); // only saves the parent a wake-up
    }
    /// After take() gave none: it wants to leave by itself. False: something has come.
    bool leave() noexcept {
        words_.leaving.store(1, std::memory_order_seq_cst);
        const std::uint64_t seen =
            words_.of(head_).load(std::memory_order_seq_cst); // invariant 6, with publish()
        if (task_of(seen) < head_) return true;
        words_.leaving.store(0, std::memory_order_relaxed); // who has seen it revokes in vain, or in time
        return false;
    }
    /// Asked after take() gave none: what was published before the stop is run before it.
    bool is_stopped() noexcept {
        if (words_.stop.load(std::memory_order_seq_cst) == 0) return false;
        return task_of(words_.of(head_).load(std::memory_order_relaxed)) < head_;
    }

private:
    Words& words_;
    std::uint64_t head_ = 1;
};

} // namespace tenure::inline v0::process::detail
