// How a parent asks a worker process for its tasks (process/detail/tree_words.hpp), the real code: the text has one user at a
// time, whoever gives up; and who waits gets an answer that was begun after he asked.
#include "report.hpp"

#include <tenure/process/detail/tree_words.hpp>

namespace {

using namespace tenure::process::detail;

/// The futexes, on which one sleeps while the word is what it has seen.
struct kernel {
    static void sleep(const model::atomic<std::uint32_t>& word, std::uint32_t seen) {
        model::here->point([&word, seen] { return word.newest() != seen; });
        const_cast<model::atomic<std::uint32_t>&>(word).fetch_add(
            0, std::memory_order_relaxed); // from now on it sees what has woken it
    }
    static void worker(const model::atomic<std::uint32_t>&) {}
    static void parent(const model::atomic<std::uint32_t>&) {}
};
template <class Words>
using real_asker = basic_tree_asker<Words, kernel>;
template <class Words>
using real_teller = basic_tree_teller<Words, kernel>;

// The ways to get it wrong.
/// Reads whatever answer there is.
template <class Words>
struct reads_what_is_older : real_asker<Words> {
    explicit reads_what_is_older(Words& w) : real_asker<Words>(w) {}
    bool is_there() const { return this->seen() != 0; }
};
template <class Words>
struct answers_too_early : real_teller<Words> {
    explicit answers_too_early(Words& w) : real_teller<Words>(w) {}
    std::uint32_t wait() {
        const std::uint32_t request = real_teller<Words>::wait();
        real_teller<Words>::answer(request);
        return request;
    }
    void answer(std::uint32_t) {}
};
template <class T>
struct relaxed : model::atomic<T> {
    using model::atomic<T>::atomic;
    void store(T v, std::memory_order) { model::atomic<T>::store(v, std::memory_order_relaxed); }
};

template <template <class> class Asker, template <class> class Teller, template <class> class Atomic>
struct asked_tree {
    using words_type = basic_tree_words<Atomic>;

    /// A dump: it may give up at once, or goes on until it knows.
    void dump(bool may_give_up) {
        std::uint32_t wanted = 0;
        const std::uint64_t lives = ++now_lives_;
        {
            const model::lock l(m);
            wanted = asker.wanted();
            asker.ask(wanted, now, now + 1);
        }
        const bool gives_up = may_give_up && model::here->choose(2) == 1;
        for (;;) {
            const std::uint32_t seen = asker.seen();
            {
                const model::lock l(m);
                if (asker.is_there()) {
                    told = static_cast<std::uint64_t>(text.read());
                    asker.was_read();
                }
                if (asker.has(wanted)) {
                    model::check(told >= lives, "what it was told is older than its question");
                    return;
                }
                if (gives_up) {
                    now = now + 1; // its time is over, and that of whoever asked before it
                    return;
                }
                asker.ask(wanted, now, now + 1);
            }
            kernel::sleep(words.answered, seen);
        }
    }
    /// Until so many requests were asked, of which the last was answered.
    void tell(std::uint32_t requests) {
        for (;;) {
            const std::uint32_t request = teller.wait();
            text.write(static_cast<int>(now_lives_)); // looks, and writes
            teller.answer(request);
            if (request == requests) return;
        }
    }
    struct counter { // what lives, as a number that grows
        model::shared n;
        std::uint64_t operator++() {
            n += 1;
            return n;
        }
        operator std::uint64_t() const { return n; }
    };

    words_type words;
    Asker<words_type> asker{words};
    Teller<words_type> teller{words};
    model::mutex m;
    model::plain<int> text;
    model::shared told;
    model::shared now;
    counter now_lives_;
};

/// One dump that may give up, and another one after it.
template <template <class> class Asker = real_asker, template <class> class Teller = real_teller,
          template <class> class Atomic = model::atomic>
struct one_after_the_other : asked_tree<Asker, Teller, Atomic> {
    explicit one_after_the_other(model::world& w) {
        w.track_object(this->asker);
        w.thread("parent", [this] {
            this->dump(true);
            this->dump(false);
        });
        w.thread("worker", [this] { this->tell(2); });
    }
    void at_end() {}
};
/// Two dumps side by side.
template <template <class> class Asker = real_asker, template <class> class Teller = real_teller,
          template <class> class Atomic = model::atomic>
struct side_by_side : asked_tree<Asker, Teller, Atomic> {
    explicit side_by_side(model::world& w) {
        w.track_object(this->asker);
        w.thread("first", [this] { this->dump(false); });
        w.thread("second", [this] { this->dump(false); });
        w.thread("worker", [this] { this->tell(2); });
    }
    void at_end() {}
};

TEST(TreeWordsModel, TheTextHasOneUserAtATimeWhoeverGivesUp) {
    model::expect_correct<one_after_the_other<>>("tree words: a dump that may give up, and another");
}
TEST(TreeWordsModel, WhoAsksSideBySideIsAnsweredWithWhatLivesThen) {
    model::expect_correct<side_by_side<>>("tree words: two dumps side by side");
}
TEST(TreeWordsModel, CatchesReadingAnAnswerThatIsNotTheNewest) {
    model::expect_caught<one_after_the_other<reads_what_is_older>>("reads what is older",
                                                                   "older than its question");
}
TEST(TreeWordsModel, CatchesAnAnswerBeforeTheText) {
    model::expect_caught<one_after_the_other<real_asker, answers_too_early>>("answers too early",
                                                                             "data race");
}
TEST(TreeWordsModel, CatchesWordsThatDoNotPublish) {
    model::expect_caught<one_after_the_other<real_asker, real_teller, relaxed>>("relaxed words", "data race");
}

} // namespace
