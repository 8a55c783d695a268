// The ring of a channel and its waiting (core/detail/item_ring.hpp, wait_list.hpp), the real code: nobody sleeps while there
// is something for him, no item is lost or doubled.
#include "report.hpp"

#include <tenure/core/detail/item_ring.hpp>
#include <tenure/core/detail/wait_list.hpp>

#include <optional>

namespace {

using tenure::core::detail::basic_choice_word;
using tenure::core::detail::basic_item_ring;
using tenure::core::detail::basic_wait_list;
using tenure::core::detail::chosen;
using tenure::core::detail::transfer;

struct no_pause {
    static void pause() {}
};
struct as_built {
    template <class T>
    using atomic = model::atomic<T>;
    static constexpr bool looks_after_it_is_listed = true;
    static constexpr bool passes_on = true;
};

/// A channel of one place, a sender and a receiver of two items; or one item and two
/// receivers, of which the first in the list gives up and the other is to get it. The loop is that of chooser.cpp.
template <class How, bool OneGivesUp = false>
class one_place {
    template <class T>
    using atomic = typename How::template atomic<T>;
    struct sleeper { // as a chooser: woken once for each time that its word is taken by another
        basic_choice_word<atomic> word;
        model::atomic<std::uint32_t> woken{0};
        void wake() { woken.store(1, std::memory_order_release); }
    };
    using list = basic_wait_list<atomic, sleeper>;
    using node = typename list::node;

public:
    explicit one_place(model::world& w) {
        w.track_object(nodes);
        w.thread("receiver 1", [this] {
            receive(0);
            if (!OneGivesUp) receive(0);
        });
        if (OneGivesUp) {
            w.thread("receiver 2", [this] {
                model::here->point([this] { return listed != 0; });
                receive(1);
            });
        }
        w.thread("sender", [this] {
            if (OneGivesUp) model::here->point([this] { return listed != 0; });
            send(0);
            if (!OneGivesUp) send(1);
        });
    }
    void at_end() {
        if (received != (OneGivesUp ? 1 : 2)) model::here->fail("an item was lost");
    }

private:
    /// What is repeated until it succeeds is repeated, in the model, only after something has happened that it then sees.
    class progress {
    public:
        void count() { n_.fetch_add(1, std::memory_order_acq_rel); }
        void wait(int who = 0) {
            model::here->point([this, who] { return n_.newest() != seen_[who]; });
            seen_[who] = n_.fetch_add(0, std::memory_order_acq_rel);
        }

    private:
        model::atomic<std::uint32_t> n_{0};
        model::shared seen_[2];
    };
    void wake_one() {
        node* taken = nullptr;
        {
            const model::lock l(m);
            taken = receivers.take_first(chosen::notified);
        }
        if (taken) taken->who->wake();
    }
    void send(int v) {
        values[v].write(v + 1);
        // Full, or being emptied: the next look that learns something is after the next item was taken.
        while (ring.push(v) != transfer::done)
            emptied.wait();
        if (receivers.any()) wake_one();
        sent.count();
    }
    transfer pop(int who, std::optional<int>& into) {
        for (;;) {
            const transfer how = ring.pop(into);
            if (how != transfer::busy) return how;
            sent.wait(who);
        }
    }
    void unlist(node& n) {
        const model::lock l(m);
        receivers.remove(n);
    }
    void receive(int who) {
        sleeper& me = sleepers[who];
        node& n = nodes[who];
        n.who = &me;
        std::optional<int> got;
        for (bool again = false;; again = true) {
            if (pop(who, got) == transfer::done) break;
            {
                const model::lock l(m);
                receivers.add(n, again);
            }
            if (How::looks_after_it_is_listed && !ring.empty() && me.word.take(chosen::left)) {
                unlist(n);
                me.word.wait_again();
                continue;
            }
            const bool gives_up = OneGivesUp && who == 0;
            listed = 1;
            model::here->point([&] { return gives_up || me.woken.newest(); });
            if (!me.woken.newest() && me.word.take(chosen::left)) { // cancelled, and nobody has been faster
                unlist(n);
                return;
            }
            model::here->point([&] { return me.woken.newest() != 0; });
            (void)me.woken.load(std::memory_order_acquire);
            me.woken.store(0, std::memory_order_relaxed);
            unlist(n);
            if (gives_up) { // leave()
                if (How::passes_on && !ring.empty() && receivers.any()) wake_one();
                return;
            }
            me.word.wait_again();
            if (pop(who, got) != transfer::done) continue;
            if (How::passes_on && !ring.empty() && receivers.any()) wake_one();
            break;
        }
        model::check(values[*got].read() == *got + 1, "the item is what was sent");
        model::check(!(seen & (1u << *got)), "an item was received twice");
        seen = seen | (1u << *got);
        received += 1;
        emptied.count();
    }
    basic_item_ring<int, atomic, no_pause> ring{1};
    model::mutex m;
    list receivers;
    sleeper sleepers[2];
    node nodes[2]{};
    model::plain<int> values[2];
    progress sent, emptied;
    model::shared received, seen, listed;
};

template <class T>
struct weaker : model::atomic<T> {
    using model::atomic<T>::atomic;
    static constexpr auto rel = std::memory_order_acq_rel;
    T load(std::memory_order) const { return model::atomic<T>::load(std::memory_order_acquire); }
    T fetch_add(T v, std::memory_order) { return model::atomic<T>::fetch_add(v, rel); }
    bool compare_exchange_weak(T& e, T d, std::memory_order, std::memory_order) {
        return model::atomic<T>::compare_exchange_weak(e, d, rel, std::memory_order_acquire);
    }
};
struct without_sc : as_built {
    template <class T>
    using atomic = weaker<T>;
};
struct sleeps_at_once : as_built {
    static constexpr bool looks_after_it_is_listed = false;
};
struct keeps_it_to_itself : as_built {
    static constexpr bool passes_on = false;
};

TEST(ChannelModel, BothItemsReachTheReceiver) {
    model::expect_correct<one_place<as_built>>("channel: one place, two items");
}
TEST(ChannelModel, ItemOfACancelledReceiverReachesTheOther) {
    model::expect_correct<one_place<as_built, true>>("channel: a receiver gives up");
}
TEST(ChannelModel, CatchesAcquireReleaseInTheDekkerPair) {
    model::expect_caught<one_place<without_sc>>("ring and list without seq_cst", "lost wake-up");
}
TEST(ChannelModel, CatchesASleepWithoutALook) {
    model::expect_caught<one_place<sleeps_at_once>>("sleeps at once", "lost wake-up");
}
TEST(ChannelModel, CatchesAWakeUpThatIsNotPassedOn) {
    model::expect_caught<one_place<keeps_it_to_itself, true>>("wake-up kept", "lost wake-up");
}

} // namespace
