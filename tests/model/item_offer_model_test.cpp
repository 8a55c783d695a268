// Items offered ahead (apps/tenure/src/proc/item_offers.hpp), the real words: an engine offers an item, takes it back and
// offers it again; two wardens, whose items have succeeded, look into the queue; either may be killed at any step.
#include "proc/item_offers.hpp"
#include "report.hpp"

#include <array>

namespace {

using real_offer = tenure::app::basic_item_offer<model::atomic>;

enum class wrong : unsigned char { nothing, uses_an_id_twice, starts_before_it_tells, forgets_the_dead };

template <class Offer, wrong How = wrong::nothing>
struct two_wardens {
    explicit two_wardens(model::world& w) {
        w.thread("engine", [this] {
            offer(1);
            std::uint64_t id = 1;
            if (word.take_back(1)) { // for a Ctrl-Z, say; later it is offered again
                id = How == wrong::uses_an_id_twice ? 1 : 2;
                offer(id);
            }
            bool ours = false;
            for (unsigned slot = 0; slot < 2; ++slot) {
                model::here->point([this, slot] { return told[slot] || dead[slot]; });
                const model::lock l(queue);
                model::here->learnt(10 * told[slot] + goes_on[slot]);
                if (goes_on[slot]) {
                    model::check(word.settle(slot), "a warden has what it tells of");
                    known = 1;
                } else if (!told[slot] && !known && !ours) {
                    ours = word.take_back(id) || (How != wrong::forgets_the_dead && word.settle(slot));
                }
            }
            if (!known && !ours) ours = word.take_back(id); // an idle slot takes it
            if (ours) started += 1;
        });
        for (unsigned slot = 0; slot < 2; ++slot)
            w.thread(slot == 0 ? "warden 0" : "warden 1", [this, slot] {
                bool has_one = false;
                for (;;) {
                    std::uint64_t id = 0;
                    std::uint64_t pipes = 0;
                    {
                        const model::lock l(queue);
                        if (first == last) break;
                        id = ids[first];
                        first += 1;
                        pipes = first;
                        model::here->learnt(pipes);
                    }
                    if (killed(slot)) return;
                    if (!word.take(id, slot)) continue;
                    if (killed(slot)) return;
                    model::check(pipes == last, "the engine reads the pipes of the request");
                    has_one = true;
                    break;
                }
                if (How == wrong::starts_before_it_tells && has_one) started += 1;
                if (killed(slot)) return;
                {
                    const model::lock l(queue);
                    told[slot] = 1;
                    goes_on[slot] = has_one;
                }
                if (killed(slot)) return;
                if (How != wrong::starts_before_it_tells && has_one) started += 1;
            });
    }
    void offer(std::uint64_t id) {
        model::check(word.put(id), "the word is free");
        const model::lock l(queue);
        ids[last] = id; // with new pipes, whose number is `last` from here on; those before are closed
        last += 1;
    }
    bool killed(unsigned slot) {
        const bool now = model::here->choose(2) != 0;
        model::here->learnt(now);
        if (!now) return false;
        const model::lock l(queue);
        dead[slot] = 1;
        return true;
    }
    void at_end() {
        if (started > 1) model::here->fail("started twice");
        if (!started && !known) model::here->fail("the item is lost");
    }

    Offer word;
    model::mutex queue; // of requests; and what sockets and deaths put in order besides
    std::array<model::shared, 2> ids;
    model::shared first, last;
    std::array<model::shared, 2> told, goes_on, dead;
    model::shared known;   // which warden has it
    model::shared started; // by a warden, or by the engine in an idle slot
};

/// Looks, and then writes.
struct looks_first {
    bool put(std::uint64_t id) {
        word.store(id);
        return true;
    }
    bool take(std::uint64_t id, unsigned slot) {
        if (word.load() != id) return false;
        word.store(100 + slot);
        return true;
    }
    bool take_back(std::uint64_t id) {
        if (word.load() != id) return false;
        word.store(0);
        return true;
    }
    bool settle(unsigned slot) {
        if (word.load() != 100 + slot) return false;
        word.store(0);
        return true;
    }
    model::atomic<std::uint64_t> word{0};
};
/// Does not tell who has taken it.
struct nameless {
    bool put(std::uint64_t id) {
        word.store(id);
        return true;
    }
    bool take(std::uint64_t id, unsigned) { return take_back(id); }
    bool take_back(std::uint64_t id) {
        return word.compare_exchange_strong(id, 0, std::memory_order_seq_cst, std::memory_order_seq_cst);
    }
    bool settle(unsigned) { return word.load() == 0; }
    model::atomic<std::uint64_t> word{0};
};
TEST(ItemOfferModel, AnOfferedItemIsStartedOnceWhoeverIsKilled) {
    model::expect_correct<two_wardens<real_offer>>("item offer: engine, two wardens");
}
TEST(ItemOfferModel, CatchesALookBeforeAWrite) {
    model::expect_caught<two_wardens<looks_first>>("looks first", "started twice");
}
TEST(ItemOfferModel, CatchesAWordThatDoesNotSayWhoHasIt) {
    model::expect_caught<two_wardens<nameless>>("nameless", "started twice");
}
TEST(ItemOfferModel, CatchesAnIdThatIsUsedTwice) {
    model::expect_caught<two_wardens<real_offer, wrong::uses_an_id_twice>>("id used twice",
                                                                           "reads the pipes");
}
TEST(ItemOfferModel, CatchesAStartBeforeTheReport) {
    model::expect_caught<two_wardens<real_offer, wrong::starts_before_it_tells>>("starts before it tells",
                                                                                 "started twice");
}
TEST(ItemOfferModel, CatchesAnEngineThatForgetsWhatTheDeadHadTaken) {
    model::expect_caught<two_wardens<real_offer, wrong::forgets_the_dead>>("forgets the dead", "lost");
}

} // namespace
