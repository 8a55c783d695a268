// How a parent asks a worker process for the tree of its tasks, in memory that the two share. The memory for the text goes to
// and fro: it is the worker's while a request is under way, the parent's otherwise.
//
// REQUEST n = 1, 2, 3, …   idle (answered = asked = n - 1) -parent: asked = n-> under way -worker: answered = n-> idle
//   A parent whose time is over may ask again although one is under way: asked = n + 1. The worker answers the newest request that
//   it has seen, so numbers may be left out.
// WHO WRITES   asked, until: the parent, under a lock of its own · answered, tells, size, the text: the worker
// INVARIANTS
//  1. The worker writes size and text only while it has seen a request that it has not answered. The parent reads them only when
//     `answered` is the newest request, under the lock under which it asks: so nobody writes meanwhile.
//  2. An answer to request n was begun after n was asked. Who wants to know what lives now takes the answer to a request that
//     was asked after that moment, or to a later one.
//  3. A request is asked anew only when the one before it was answered and read, or is not waited for by anybody any more: so
//     who waits is never overtaken for ever.
//  4. Both sleep on a word while it has the value that they have seen: no wake-up is lost. The parent sleeps only for a
//     bounded time; the worker may be stopped, stuck, dead or hostile.
//  5. The parent believes nothing: it limits the size to the memory, copies the text before it looks at it, and shows
//     printable lines only. A worker that never sets `tells` is never asked.
// Checked in tests/model/tree_words_model_test.cpp.
#pragma once
#include <atomic>
#include <cstdint>

namespace tenure::inline v0::process::detail {

/// `Atomic` is a parameter so that the model checker runs this code.
template <template <class> class Atomic>
struct basic_tree_words {
    Atomic<std::uint32_t> asked{0};    // the newest request; the worker sleeps on it
    Atomic<std::uint32_t> answered{0}; // the newest that was answered; the parent sleeps on it
    Atomic<std::uint32_t> tells{0};    // not 0: the worker has something to tell, and answers
    Atomic<std::uint32_t> size{0};     // bytes of the text
    Atomic<std::int64_t> until{0};     // ns on CLOCK_MONOTONIC: an answer that comes later is not waited for
};

/// The parent's side. Guarded by a lock of the owner's. `Wake::worker(word)` wakes who sleeps on it in another process.
template <class Words, class Wake>
class basic_tree_asker {
public:
    explicit basic_tree_asker(Words& words) noexcept : words_(words) {}

    /// The request whose answer, or that to a later one, is of now.
    std::uint32_t wanted() const noexcept { return asked_ + 1; }
    /// Asks, if that one has not been asked and no other one is waited for. `until`: ns, like `now`.
    void ask(std::uint32_t wanted, std::int64_t now, std::int64_t until) noexcept {
        if (reached(asked_, wanted) || (read_ != asked_ && now < until_)) return; // invariant 3
        until_ = until;
        words_.until.store(until, std::memory_order_relaxed); // with the next one
        // Release: pairs with wait(); that we have read the text before.
        words_.asked.store(++asked_, std::memory_order_release);
        Wake::worker(words_.asked);
    }
    /// To sleep on, if nothing is there.
    std::uint32_t seen() const noexcept { return words_.answered.load(std::memory_order_acquire); }
    /// The text is the parent's, and was not read: read it, then call was_read().
    bool is_there() const noexcept {
        return read_ != asked_ && seen() == asked_; // acquire: size and text, pairs with answer()
    }
    void was_read() noexcept { read_ = asked_; }
    /// What was read last will do for him who wants that one.
    bool has(std::uint32_t wanted) const noexcept { return reached(read_, wanted); }

private:
    static bool reached(std::uint32_t n, std::uint32_t wanted) noexcept {
        return static_cast<std::int32_t>(n - wanted) >= 0; // they begin anew after 2^32
    }
    Words& words_;
    std::uint32_t asked_ = 0;
    std::uint32_t read_ = 0; // the newest whose answer was
    std::int64_t until_ = 0; // of asked_
};

/// The worker's side: one thread. `Wake::sleep(word, value)` sleeps while the word is that, or less long; `Wake::parent(word)`
/// wakes who sleeps on it.
template <class Words, class Wake>
class basic_tree_teller {
public:
    explicit basic_tree_teller(Words& words) noexcept : words_(words) {}

    /// Waits for a request that was not answered. From now on size and text are the worker's.
    std::uint32_t wait() noexcept {
        for (;;) {
            // Acquire: the parent has read the last text; `until`. Pairs with ask().
            const std::uint32_t asked = words_.asked.load(std::memory_order_acquire);
            if (asked != answered_) return asked;
            Wake::sleep(words_.asked, asked);
        }
    }
    /// Size and text are written.
    void answer(std::uint32_t request) noexcept {
        answered_ = request;
        words_.answered.store(request, std::memory_order_release); // size and text, pairs with is_there()
        Wake::parent(words_.answered);
    }

private:
    Words& words_;
    std::uint32_t answered_ = 0;
};

} // namespace tenure::inline v0::process::detail
