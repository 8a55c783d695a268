// The explorer itself: the classic litmus tests have exactly the outcomes that C++ allows.
#include "explorer.hpp"

#include <gtest/gtest.h>

#include <set>

namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;
constexpr auto seq_cst = std::memory_order_seq_cst;

std::set<std::pair<int, int>> outcomes;

template <class Scenario>
std::set<std::pair<int, int>> all_outcomes() {
    outcomes.clear();
    const auto r = model::explore<Scenario>();
    EXPECT_EQ(r.violation, "");
    EXPECT_TRUE(r.complete);
    return outcomes;
}

/// Two threads: each writes its own variable and reads the other's.
template <std::memory_order Write, std::memory_order Read>
struct store_buffering {
    explicit store_buffering(model::world& w) {
        w.thread("a", [this] {
            x.store(1, Write);
            a = static_cast<std::uint64_t>(y.load(Read));
        });
        w.thread("b", [this] {
            y.store(1, Write);
            b = x.load(Read);
        });
    }
    void at_end() { outcomes.emplace(static_cast<int>(a), static_cast<int>(b)); }
    model::atomic<int> x{0}, y{0};
    model::shared a, b;
};
/// One thread writes data, then a flag; the other reads the flag, then the data.
template <std::memory_order Write, std::memory_order Read>
struct message_passing {
    explicit message_passing(model::world& w) {
        w.thread("a", [this] {
            data.store(1, relaxed);
            flag.store(1, Write);
        });
        w.thread("b", [this] {
            a = flag.load(Read);
            b = data.load(relaxed);
        });
    }
    void at_end() { outcomes.emplace(static_cast<int>(a), static_cast<int>(b)); }
    model::atomic<int> data{0}, flag{0};
    model::shared a, b;
};
struct coherence {
    explicit coherence(model::world& w) {
        w.thread("a", [this] {
            x.store(1, relaxed);
            x.store(2, relaxed);
        });
        w.thread("b", [this] {
            a = x.load(relaxed);
            b = x.load(relaxed);
        });
    }
    void at_end() { outcomes.emplace(static_cast<int>(a), static_cast<int>(b)); }
    model::atomic<int> x{0};
    model::shared a, b;
};
/// The relaxed increment in between belongs to the release sequence of the store.
struct release_sequence {
    explicit release_sequence(model::world& w) {
        w.thread("a", [this] {
            data.write(7);
            flag.store(1, release);
        });
        w.thread("b", [this] { flag.fetch_add(1, relaxed); });
        w.thread("c", [this] {
            if (flag.load(acquire) == 2) model::check(data.read() == 7, "released data is seen");
        });
    }
    void at_end() {}
    model::plain<int> data{0};
    model::atomic<int> flag{0};
};
template <std::memory_order Write>
struct handing_over {
    explicit handing_over(model::world& w) {
        w.thread("a", [this] {
            data.write(7);
            flag.store(1, Write);
        });
        w.thread("b", [this] {
            if (flag.load(acquire)) data.read();
        });
    }
    void at_end() {}
    model::plain<int> data{0};
    model::atomic<int> flag{0};
};
struct two_increments {
    explicit two_increments(model::world& w) {
        for (const char* name : {"a", "b", "c"}) {
            w.thread(name, [this] {
                for (int seen = n.load(relaxed);
                     !n.compare_exchange_weak(seen, seen + 1, relaxed, relaxed);) {}
            });
        }
        w.thread("d", [this] { n.fetch_add(1, relaxed); });
    }
    void at_end() { outcomes.emplace(n.newest(), 0); }
    model::atomic<int> n{0};
};
struct opposite_locks {
    explicit opposite_locks(model::world& w) {
        w.thread("a", [this] {
            const model::lock l(m);
            const model::lock k(n);
        });
        w.thread("b", [this] {
            const model::lock k(n);
            const model::lock l(m);
        });
    }
    void at_end() {}
    model::mutex m, n;
};

using set = std::set<std::pair<int, int>>;

TEST(Explorer, StoreBufferingIsSeenUnlessSequentiallyConsistent) {
    const set all{{0, 0}, {0, 1}, {1, 0}, {1, 1}};
    EXPECT_EQ((all_outcomes<store_buffering<relaxed, relaxed>>()), all);
    EXPECT_EQ((all_outcomes<store_buffering<release, acquire>>()), all);
    EXPECT_EQ((all_outcomes<store_buffering<seq_cst, seq_cst>>()), (set{{0, 1}, {1, 0}, {1, 1}}));
}
TEST(Explorer, MessagePassingNeedsReleaseAndAcquire) {
    EXPECT_EQ((all_outcomes<message_passing<release, acquire>>()), (set{{0, 0}, {0, 1}, {1, 1}}));
    EXPECT_TRUE((all_outcomes<message_passing<relaxed, acquire>>()).contains({1, 0}));
    EXPECT_TRUE((all_outcomes<message_passing<release, relaxed>>()).contains({1, 0}));
}
TEST(Explorer, OneLocationNeverRunsBackwards) {
    EXPECT_EQ(all_outcomes<coherence>(), (set{{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 2}}));
}
TEST(Explorer, ReadModifyWriteGoesOnWithTheReleaseSequence) {
    EXPECT_EQ(model::explore<release_sequence>().violation, "");
}
TEST(Explorer, UnorderedAccessIsADataRace) {
    EXPECT_EQ(model::explore<handing_over<release>>().violation, "");
    const auto r = model::explore<handing_over<relaxed>>();
    EXPECT_EQ(r.violation.substr(0, 9), "data race");
    EXPECT_FALSE(r.trace.empty());
}
TEST(Explorer, CompareExchangeLosesNoIncrement) { EXPECT_EQ(all_outcomes<two_increments>(), (set{{4, 0}})); }
TEST(Explorer, DeadlockIsFound) {
    EXPECT_EQ(model::explore<opposite_locks>().violation.substr(0, 12), "lost wake-up");
}

} // namespace
