#include "core_test.hpp"

#include <tenure/core/detail/context_node.hpp>

#include <thread>

namespace {
using namespace core_test;
using detail::context_node;
using tenure::base::cause;
using tenure::base::ref;

tenure::base::cause_ptr because(std::string message) {
    return std::make_shared<const cause>(cause{reason::cancelled, std::move(message), {}});
}

/// A tree by hand; unlinks itself, youngest first.
class tree {
public:
    tree() { add_root(); }
    ~tree() {
        while (!nodes_.empty()) {
            nodes_.back()->unlink();
            nodes_.pop_back();
        }
    }
    context_node& root() { return *nodes_.front(); }
    context_node& add(context_node& parent, bool shield = false,
                      tenure::base::time_point deadline = tenure::base::never) {
        add_root();
        nodes_.back()->link(parent, shield, deadline);
        return *nodes_.back();
    }

private:
    void add_root() { nodes_.push_back(ref<context_node>::adopt(new context_node)); }
    std::vector<ref<context_node>> nodes_;
};

TEST(Context, R037_CancelReachesEveryDescendantBeforeItReturns) {
    tree t;
    std::vector<context_node*> all{&t.root()};
    for (int depth = 0; depth < 5; ++depth)
        for (int i = 0; i < 3; ++i)
            all.push_back(&t.add(*all[all.size() - 1 - static_cast<std::size_t>(i)]));
    EXPECT_TRUE(t.root().cancel(because("all")));
    for (auto* n : all)
        EXPECT_TRUE(n->cancelled());
}
TEST(Context, R037_DeepTreeNeedsNoStack) {
    tree t;
    context_node* n = &t.root();
    for (int i = 0; i < 100'000; ++i)
        n = &t.add(*n);
    t.root().cancel(because("deep"));
    EXPECT_EQ(n->why()->message, "deep");
}
TEST(Context, R038_CancellingAChildTouchesNeitherParentNorSiblings) {
    tree t;
    auto& a = t.add(t.root());
    auto& b = t.add(t.root());
    EXPECT_TRUE(a.cancel(because("a")));
    EXPECT_FALSE(t.root().cancelled());
    EXPECT_FALSE(b.cancelled());
}
TEST(Context, R039_ChildOfACancelledParentIsBornCancelledWithItsCause) {
    tree t;
    t.root().cancel(because("first"));
    auto& child = t.add(t.root());
    EXPECT_EQ(child.why()->message, "first");
    EXPECT_FALSE(child.cancel(because("second")));
    EXPECT_FALSE(t.add(t.root(), true).cancelled());
}
TEST(Context, R039_CreationThatRacesTheCancelIsSeenOneWayOrTheOther) {
    for (int round = 0; round < 200; ++round) {
        tree t;
        std::atomic<bool> go{false};
        std::thread canceller([&go, &root = t.root()] {
            while (!go) {}
            root.cancel(because("race"));
        });
        go = true;
        std::vector<context_node*> made;
        for (int i = 0; i < 20; ++i)
            made.push_back(&t.add(made.empty() ? t.root() : *made.back()));
        canceller.join();
        for (auto* n : made)
            ASSERT_EQ(n->why()->message, "race");
    }
}
TEST(Context, R041_ChildsOwnEarlierCauseSurvives) {
    tree t;
    auto& child = t.add(t.root());
    auto& grandchild = t.add(child);
    child.cancel(because("own"));
    EXPECT_TRUE(t.root().cancel(because("parent")));
    EXPECT_EQ(child.why()->message, "own");
    EXPECT_EQ(grandchild.why()->message, "own");
    EXPECT_EQ(t.root().why()->message, "parent");
}
TEST(Context, R026_ShieldDoesNotHearItsParentButItsOwn) {
    tree t;
    auto& shield = t.add(t.root(), true);
    auto& inside = t.add(shield);
    t.root().cancel(because("outside"));
    EXPECT_FALSE(shield.cancelled());
    EXPECT_FALSE(inside.cancelled());
    EXPECT_TRUE(shield.cancel(because("own")));
    EXPECT_EQ(inside.why()->message, "own");
}
TEST(Context, R043_DeadlineIsTheMinimumOverTheAncestors) {
    using tenure::base::time_point;
    tree t;
    auto& a = t.add(t.root(), false, time_point(5s));
    EXPECT_EQ(t.add(a, false, time_point(9s)).deadline(), time_point(5s));
    EXPECT_EQ(t.add(a, false, time_point(2s)).deadline(), time_point(2s));
    EXPECT_EQ(t.add(a).deadline(), time_point(5s));
    EXPECT_EQ(t.add(a, true, time_point(9s)).deadline(), time_point(9s)); // a shield starts anew
    EXPECT_EQ(t.root().deadline(), tenure::base::never);
}
TEST(Context, R048_UnlinkedChildrenAreGoneFromTheTree) {
    tree t;
    for (int i = 0; i < 1000; ++i) {
        auto n = ref<context_node>::adopt(new context_node);
        n->link(t.root());
        n->unlink();
        EXPECT_FALSE(n->cancel(because("ended")));
        EXPECT_FALSE(n->cancelled());
    }
    int nodes = 0;
    (void)t.root().visit([&](const detail::node_view&) { ++nodes; });
    EXPECT_EQ(nodes, 1); // the root
}
TEST(Context, UnlinkingTakesOutFirstMiddleAndLast) {
    tree t;
    std::vector<ref<context_node>> five;
    for (int i = 0; i < 5; ++i) {
        five.push_back(ref<context_node>::adopt(new context_node));
        five.back()->link(t.root());
    }
    for (const std::size_t i : {2u, 0u, 4u})
        five[i]->unlink();
    t.root().cancel(because("rest"));
    for (std::size_t i = 0; i < 5; ++i)
        EXPECT_EQ(five[i]->cancelled(), i == 1 || i == 3) << i;
    five[1]->unlink();
    five[3]->unlink();
}
TEST(Context, R050_HundredConcurrentCancelsNeitherDeadlockNorTear) {
    for (int round = 0; round < 5; ++round) {
        tree t;
        std::vector<context_node*> all{&t.root()};
        for (std::size_t i = 0; i < 100; ++i)
            all.push_back(&t.add(*all[i / 2]));
        std::atomic<int> won{0};
        std::vector<std::thread> cancellers;
        for (int i = 0; i < 100; ++i) {
            cancellers.emplace_back([&, i] {
                auto& n = *all[static_cast<std::size_t>(i * 37 % 101)];
                won += n.cancel(because("c" + std::to_string(i)));
                EXPECT_NE(n.why(), nullptr); // cancelled() and why() are one
            });
        }
        for (auto& c : cancellers)
            c.join();
        EXPECT_GE(won, 1);
        for (std::size_t i = 0; i < 100; ++i) // whoever was cancelled took everything below along
            if (all[i / 2]->cancelled()) {
                EXPECT_TRUE(all[i + 1]->cancelled());
            }
    }
}

struct ThisTask : virtual_test {};

TEST_F(ThisTask, OutsideATaskThereIsNothingToCancel) {
    EXPECT_FALSE(this_task::cancel_requested());
    EXPECT_EQ(this_task::why(), nullptr);
    EXPECT_EQ(this_task::deadline(), tenure::base::never);
    EXPECT_EQ(this_task::label().id, 0u);
    EXPECT_NO_THROW(this_task::checkpoint());
}
TEST_F(ThisTask, R042_ReasonTellsDeadlineFromCancel) {
    reason deadline = reason::none, cancelled = reason::none;
    auto observe = [](reason& r) -> task<> {
        (void)co_await as_outcome(sleep_for(1h));
        r = this_task::why()->kind;
    };
    auto parent = [&]() -> task<> {
        co_await with_timeout(1s, observe, std::ref(deadline));
        co_await with_group([&](group g) -> task<> {
            auto f = g.spawn(observe, std::ref(cancelled));
            co_await sleep_for(1s);
            f.cancel();
        });
    };
    run(parent);
    EXPECT_EQ(deadline, reason::deadline);
    EXPECT_EQ(cancelled, reason::cancelled);
}
TEST_F(ThisTask, R043_DeadlineIsInheritedByChildrenAndNeverExtended) {
    auto parent = [&]() -> task<> {
        const auto t0 = rt_.now();
        co_await with_timeout(5s, [&, t0]() -> task<> {
            EXPECT_EQ(this_task::deadline(), t0 + 5s);
            co_await with_timeout(9s, [t0]() -> task<> {
                EXPECT_EQ(this_task::deadline(), t0 + 5s);
                co_return;
            });
            co_await with_group([t0](group g) -> task<> {
                (void)g.spawn([t0] { EXPECT_EQ(this_task::deadline(), t0 + 5s); });
                co_return;
            });
            co_await shield(9s, [t0]() -> task<> {
                EXPECT_EQ(this_task::deadline(), t0 + 9s);
                co_return;
            });
        });
        EXPECT_EQ(this_task::deadline(), tenure::base::never);
    };
    run(parent);
}
} // namespace
