// The state word of a strand (core/detail/state_word.hpp), the real code, in every order: a worker that waits for an
// operation and then for one that never comes, the operation, one or two cancellers, and a reader of its frames.
#include "report.hpp"

#include <tenure/core/detail/state_word.hpp>

#include <optional>

namespace {

constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;

using real_word = tenure::core::detail::basic_state_word<model::atomic>;

/// What a scenario consists of besides the worker.
struct cast {
    bool operation = true;    // the first wait has an operation that completes
    bool cancel = true;       // somebody cancels the task
    bool hint_only = false;   // somebody cancels a scope outside of a shield: a poke, but no flag that counts
    bool withdrawable = true; // try_cancel() may say true
    bool shielded = false;    // the first wait cannot be cancelled at all
    bool flag_first = true;   // as the protocol wants it
    bool cancel_after =
        false;           // the cancel comes when the operation has completed; try_cancel() does not know that
    bool reader = false; // somebody reads the frames while the strand waits
};

/// The worker's part is strand::run() and strand::park(), the canceller's is context_node::flag_and_poke().
template <class Word, cast Cast>
class waiting_strand {
public:
    explicit waiting_strand(model::world& w) {
        w.thread("worker", [this] { work(); });
        if (Cast.operation) w.thread("operation", [this] { operate(); });
        if (Cast.cancel) w.thread("canceller", [this] { cancel(true); });
        if (Cast.hint_only) w.thread("outer canceller", [this] { cancel(false); });
        if constexpr (Cast.reader) w.thread("reader", [this] { read(); });
    }
    void at_end() {
        if (pushes != parks) model::here->fail("a park without exactly one push");
        if (Cast.cancel && !told) model::here->fail("a cancel that the task never saw");
        if (finished && !delivered) model::here->fail("a finished operation that was not delivered");
    }

private:
    enum class end { delivered, unwound };

    void work() {
        end how = end::unwound;
        if (Cast.operation) {
            how = wait(Cast.shielded, true);
            if (how == end::delivered) {
                model::check(result.read() == 7, "the result is there when the operation is delivered");
                delivered = 1;
                if (flag.load(acquire)) how = end::unwound; // the entry of the next await
            }
        } else if (!flag.load(acquire)) {
            how = end::delivered;
        }
        if (how == end::delivered && Cast.cancel) {
            // Nothing completes this wait: only the cancel can end it.
            model::check(wait(false, false) == end::unwound,
                         "a wait that nothing completes ends by the cancel");
        }
        told = how == end::unwound || Cast.cancel;
        { // unlink(): no poke from now on
            const model::lock l(node);
            owner = 0;
        }
        word.reset(); // the strand has ended: the frame and the word with it
    }
    end wait(bool nocancel, bool completes) {
        for (;;) {
            if (Cast.reader) frames.write(1); // the worker owns the frames: whoever reads them now races
            switch (word->try_park(nocancel)) {
            case Word::park_result::parked:
                parks += 1;
                model::here->point([this] { return queued != 0; });
                {
                    const model::lock l(queue);
                    queued = 0;
                }
                break;
            case Word::park_result::completed:
                model::check(completes, "completed although nothing completes it");
                return end::delivered;
            case Word::park_result::look:
                if (nocancel || !flag.load(acquire)) break;
                if (!completes || try_cancel()) {
                    word->withdrawn();
                    return end::unwound;
                }
                nocancel = true;
                break;
            }
        }
    }
    bool try_cancel() {
        const model::lock l(list);
        if (!Cast.withdrawable || (finished && !Cast.cancel_after)) return false;
        withdrawn = 1;
        return true;
    }
    void operate() {
        {
            const model::lock l(list);
            if (withdrawn) return;
            finished = 1;
        }
        result.write(7);
        if (word->complete()) push();
        completed = 1;
    }
    void cancel(bool counts) {
        if (Cast.cancel_after) model::here->point([this] { return completed != 0; });
        bool take = false;
        {
            const model::lock l(node);
            if (!owner) return;
            if (counts && Cast.flag_first) flag.store(1, release);
            take = word->poke();
            if (counts && !Cast.flag_first) flag.store(1, release);
        }
        if (take) push();
    }
    /// scheduler::dump(): under the node's lock, so that the strand does not end.
    void read() {
        const model::lock l(node);
        if (!owner || !word->claim()) return;
        (void)frames.read();
        if (word->unclaim()) push();
    }
    void push() {
        const model::lock l(queue);
        model::check(queued == 0, "a strand is in the queue at most once");
        queued = 1;
        pushes += 1;
    }

    std::optional<Word> word{std::in_place};
    model::atomic<std::uint32_t> flag{0};
    model::plain<int> result{0}, frames{0};
    model::mutex node, list, queue;
    model::shared owner{1}, queued, pushes, parks, finished, withdrawn, completed, delivered, told;
};

// Wrong variants: each breaks one thing that the header of state_word.hpp demands.

template <class T>
struct stores_for_exchanges : model::atomic<T> {
    using model::atomic<T>::atomic;
    T exchange(T v, std::memory_order) {
        this->store(v, release);
        return 0;
    }
};
template <class T>
struct unordered : model::atomic<T> {
    using model::atomic<T>::atomic;
    static constexpr auto relaxed = std::memory_order_relaxed;
    T load(std::memory_order) const { return model::atomic<T>::load(relaxed); }
    T exchange(T v, std::memory_order) { return model::atomic<T>::exchange(v, relaxed); }
    bool compare_exchange_weak(T& e, T v, std::memory_order, std::memory_order) {
        return model::atomic<T>::compare_exchange_weak(e, v, relaxed, relaxed);
    }
};
template <class T>
struct not_atomic : model::atomic<T> {
    using model::atomic<T>::atomic;
    bool compare_exchange_weak(T& e, T v, std::memory_order, std::memory_order) {
        const T seen = this->load(acquire);
        if (seen == e) return this->store(v, release), true;
        e = seen;
        return false;
    }
};
template <class T>
struct looks_again : model::atomic<T> {
    using model::atomic<T>::atomic;
    bool compare_exchange_weak(T& e, T v, std::memory_order s, std::memory_order f) {
        const bool done = model::atomic<T>::compare_exchange_weak(e, v, s, f);
        if (done) (void)this->load(acquire);
        return done;
    }
};
template <template <class> class Atomic>
using word_of = tenure::core::detail::basic_state_word<Atomic>;

/// A reader that parks the strand again without looking who came meanwhile.
struct parks_again_blindly : real_word {
    bool unclaim() {
        (void)real_word::unclaim();
        return false;
    }
};
struct claims_without_asking : real_word {
    bool claim() {
        (void)real_word::claim();
        return true;
    }
};
struct pushes_without_winning : real_word {
    bool complete() {
        (void)real_word::complete();
        return true;
    }
};
/// try_park() that looks at the hint first.
struct hint_before_done {
    using park_result = real_word::park_result;
    enum : std::uint32_t { parked = 1, no_cancel = 2, done = 4, hint = 8 };
    bool poke() {
        auto seen = bits.load(acquire);
        for (;;) {
            const bool take = (seen & parked) && !(seen & no_cancel);
            if (bits.compare_exchange_weak(seen, take ? std::uint32_t(hint) : (seen | hint),
                                           std::memory_order_acq_rel, acquire))
                return take;
        }
    }
    bool complete() {
        auto seen = bits.load(acquire);
        for (;;) {
            const bool take = seen & parked;
            if (bits.compare_exchange_weak(seen, take ? std::uint32_t(done) : (seen | done),
                                           std::memory_order_acq_rel, acquire))
                return take;
        }
    }
    park_result try_park(bool nocancel) {
        auto seen = bits.load(acquire);
        for (;;) {
            std::uint32_t next = parked | (nocancel ? std::uint32_t(no_cancel) : 0u);
            park_result r = park_result::parked;
            if (seen & hint) {
                next = seen & ~std::uint32_t(hint);
                r = park_result::look;
            } else if (seen & done) {
                next = 0;
                r = park_result::completed;
            }
            if (bits.compare_exchange_weak(seen, next, std::memory_order_acq_rel, acquire)) return r;
        }
    }
    void withdrawn() { bits.exchange(0, std::memory_order_acq_rel); }
    model::atomic<std::uint32_t> bits{0};
};

constexpr cast all{.hint_only = true};

TEST(StateWordModel, EveryOrderOfOneOperationAndOneCanceller) {
    model::expect_correct<waiting_strand<real_word, cast{}>>("state word: operation, canceller");
}
TEST(StateWordModel, EveryOrderOfOneOperationAndTwoCancellers) {
    model::expect_correct<waiting_strand<real_word, all>>("state word: operation, two cancellers");
}
TEST(StateWordModel, OperationThatCannotBeWithdrawn) {
    model::expect_correct<waiting_strand<real_word, cast{.hint_only = true, .withdrawable = false}>>(
        "state word: not withdrawable");
}
TEST(StateWordModel, WaitThatCannotBeCancelled) {
    model::expect_correct<waiting_strand<real_word, cast{.hint_only = true, .shielded = true}>>(
        "state word: uncancellable wait");
}
TEST(StateWordModel, OperationAlone) {
    model::expect_correct<waiting_strand<real_word, cast{.cancel = false, .hint_only = true}>>(
        "state word: operation, hint");
}
TEST(StateWordModel, CancellersAlone) {
    model::expect_correct<waiting_strand<real_word, cast{.operation = false, .hint_only = true}>>(
        "state word: two cancellers");
}

TEST(StateWordModel, ReaderBesideAnOperationAndACanceller) { // invariant 5
    model::expect_correct<waiting_strand<real_word, cast{.reader = true}>>("state word: reader");
    model::expect_correct<waiting_strand<real_word, cast{.shielded = true, .reader = true}>>(
        "state word: reader, uncancellable wait");
    model::expect_correct<waiting_strand<real_word, cast{.withdrawable = false, .reader = true}>>(
        "state word: reader, not withdrawable");
    model::expect_correct<
        waiting_strand<real_word, cast{.operation = false, .hint_only = true, .reader = true}>>(
        "state word: reader, two cancellers");
}

TEST(StateWordModel, CatchesAPlainStoreThatOverwritesAHint) { // invariant 4
    model::expect_caught<waiting_strand<word_of<stores_for_exchanges>, cast{}>>("plain store",
                                                                                "lost wake-up");
}
TEST(StateWordModel, CatchesTheHintSetBeforeTheFlag) { // invariant 4
    model::expect_caught<waiting_strand<real_word, cast{.flag_first = false}>>("hint before flag",
                                                                               "lost wake-up");
}
TEST(StateWordModel, CatchesAPushWithoutWinningTheParkedBit) { // invariant 1
    model::expect_caught<waiting_strand<pushes_without_winning, cast{}>>("push without winning",
                                                                         "exactly one push");
}
TEST(StateWordModel, CatchesAReaderThatForgetsToPush) { // invariant 5
    model::expect_caught<waiting_strand<parks_again_blindly, cast{.reader = true}>>("reader forgets to push",
                                                                                    "lost wake-up");
}
TEST(StateWordModel, CatchesAReaderOfAStrandThatRuns) { // invariant 5
    model::expect_caught<waiting_strand<claims_without_asking, cast{.reader = true}>>(
        "reader beside the worker", "data race");
}
TEST(StateWordModel, CatchesATouchAfterTheHandOver) { // invariant 2
    model::expect_caught<waiting_strand<word_of<looks_again>, cast{}>>("touches after",
                                                                       "touched after its end");
}
TEST(StateWordModel, CatchesTheHintLookedAtBeforeDone) { // invariant 3
    constexpr cast sequential{.cancel_after = true};
    model::expect_correct<waiting_strand<real_word, sequential>>("state word: cancel after completion");
    model::expect_caught<waiting_strand<hint_before_done, sequential>>("hint before done",
                                                                       "a finished operation");
}
TEST(StateWordModel, CatchesMissingOrder) {
    model::expect_caught<waiting_strand<word_of<unordered>, cast{.cancel = false}>>("relaxed everywhere",
                                                                                    "data race");
}
TEST(StateWordModel, CatchesALostUpdate) {
    model::expect_caught<waiting_strand<word_of<not_atomic>, cast{}>>("load and store for a CAS", "");
    EXPECT_NE((model::explore<waiting_strand<word_of<not_atomic>, cast{}>>().violation), "");
}

} // namespace
