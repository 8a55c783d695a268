// The count of a group's children (core/detail/child_count.hpp), the real code: the group ends once, after every child,
// and nothing is spawned into it any more.
#include "report.hpp"

#include <tenure/core/detail/child_count.hpp>

#include <optional>

namespace {

struct joiner {};
using tenure::core::detail::child_kind;
using tenure::core::detail::join_result;
using real_count = tenure::core::detail::basic_child_count<model::atomic, joiner>;
/// Guesses the newest value: an older guess is what it would have read earlier, and fails at the exchange. For scenarios
/// with four threads, which take too long otherwise.
template <class T>
struct guesses_newest : model::atomic<T> {
    using model::atomic<T>::atomic;
    T load(std::memory_order) const { return model::atomic<T>::newest(); }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success, std::memory_order failure) {
        return model::atomic<T>::compare_exchange_strong(expected, desired, success, failure);
    }
};
using guessing_count = tenure::core::detail::basic_child_count<guesses_newest, joiner>;

/// The body spawns one child and joins; the child spawns another one while the group drains; a stranger that kept the
/// handle tries, too. Each task writes what the body reads after the join.
template <class Count>
struct group {
    explicit group(model::world& w) {
        w.thread("body", [this] {
            spawn(first_spawned);
            if (count.join(me) != join_result::ended) {
                model::here->point([this] { return completed != 0; });
                const model::lock l(hand_over);
            }
            model::check(!ended, "the group ends once");
            ended = 1;
            model::check(first.read() == 1, "the first child has ended");
            if (second_spawned) model::check(second.read() == 1, "the second child has ended");
            if (third_spawned) model::check(third.read() == 1, "the stranger's child has ended");
        });
        w.thread("child", [this] {
            model::here->point([this] { return first_spawned || ended; });
            model::check(spawn(second_spawned), "a child that lives may spawn");
            first.write(1);
            end();
        });
        w.thread("grandchild", [this] {
            model::here->point([this] { return second_spawned != 0; });
            second.write(1);
            end();
        });
        w.thread("stranger", [this] {
            if (!spawn(third_spawned)) return;
            third.write(1);
            end();
        });
    }
    bool spawn(model::shared& spawned) {
        if (!count.try_up()) return false;
        model::check(!ended, "nothing is spawned into a group that has ended");
        spawned = 1;
        return true;
    }
    void end() {
        if (count.down()) {
            model::check(!completed, "the joiner is completed once");
            const model::lock l(hand_over); // strand::complete() orders this for the body
            completed = 1;
        }
    }
    void at_end() {
        if (!ended) model::here->fail("the group never ended");
    }
    Count count{};
    joiner me;
    model::mutex hand_over;
    model::shared first_spawned, second_spawned, third_spawned, completed, ended;
    model::plain<int> first{0}, second{0}, third{0};
};

/// Two children end while the body joins, and frees the count as soon as it may: children hold no reference on it.
template <class Count>
struct freed_after_the_join {
    explicit freed_after_the_join(model::world& w) {
        w.thread("body", [this] {
            (void)count->try_up();
            (void)count->try_up();
            started = 1;
            if (count->join(me) != join_result::ended) {
                model::here->point([this] { return completed != 0; });
                const model::lock l(hand_over);
                model::check(count->join(me) == join_result::ended, "it is completed at the end");
            }
            model::check(first.read() == 1 && second.read() == 1, "what the children did is seen");
            count.reset();
        });
        w.thread("child 1", [this] { end(first); });
        w.thread("child 2", [this] { end(second); });
    }
    void end(model::plain<int>& did) {
        model::here->point([this] { return started != 0; });
        did.write(1);
        if (!count->down()) return;
        model::check(!completed, "the joiner is completed once");
        const model::lock l(hand_over);
        completed = 1;
    }
    void at_end() {}
    std::optional<Count> count{std::in_place};
    joiner me;
    model::mutex hand_over;
    model::shared started, completed;
    model::plain<int> first{0}, second{0};
};
/// Counts down, and then looks whether somebody waits.
struct looks_after_counting {
    bool try_up() {
        n.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    joiner* down() {
        if (n.fetch_sub(1, std::memory_order_seq_cst) != 1) return nullptr;
        return waiting.load(std::memory_order_seq_cst) ? &whoever : nullptr;
    }
    join_result join(joiner&) {
        waiting.store(1, std::memory_order_seq_cst);
        return n.load(std::memory_order_seq_cst) == 0 ? join_result::ended : join_result::wait;
    }
    model::atomic<int> n{0}, waiting{0};
    joiner whoever;
};
/// Does not publish what the child did.
template <class T>
struct relaxed : model::atomic<T> {
    using model::atomic<T>::atomic;
    static constexpr auto none = std::memory_order_relaxed;
    bool compare_exchange_weak(T& e, T d, std::memory_order, std::memory_order) {
        return model::atomic<T>::compare_exchange_weak(e, d, none, none);
    }
};

/// Looks for children and lists the joiner in two steps.
struct joins_in_two_steps {
    bool try_up() {
        const model::lock l(m);
        if (ended) return false;
        children += 1;
        return true;
    }
    joiner* down() {
        const model::lock l(m);
        children = children - 1;
        if (children || !waiting) return nullptr;
        ended = 1;
        return &whoever;
    }
    join_result join(joiner&) {
        {
            const model::lock l(m);
            if (children == 0) {
                ended = 1;
                return join_result::ended;
            }
        }
        const model::lock l(m);
        waiting = 1;
        return join_result::wait;
    }
    model::mutex m;
    model::shared children, ended, waiting;
    joiner whoever;
};
/// Forgets that it has ended.
struct admits_after_the_end : joins_in_two_steps {
    join_result join(joiner&) {
        const model::lock l(m);
        if (children == 0) return join_result::ended;
        waiting = 1;
        return join_result::wait;
    }
    joiner* down() {
        const model::lock l(m);
        children = children - 1;
        return children || !waiting ? nullptr : &whoever;
    }
};

/// The body spawns a child and a background child, which ends only when it is cancelled; the child spawns another background
/// child. The body cancels them when it is told to, and at most once.
template <class Count>
struct drained_group {
    explicit drained_group(model::world& w) {
        w.thread("body", [this] {
            up(child_kind::ordinary);
            up(child_kind::background);
            started = 1;
            for (;;) {
                const join_result said = count.join(me);
                if (said == join_result::ended) break;
                if (said == join_result::drain) {
                    model::check(!cancelled, "the background children are cancelled once");
                    model::check(ordinary_ended, "not before the ordinary child has ended");
                    cancelled = 1;
                    continue;
                }
                model::here->point([this] { return completed != 0; });
                completed = 0;
            }
            ended = 1;
            model::check(background_ended == background_spawned, "every background child has ended");
        });
        w.thread("child", [this] {
            model::here->point([this] { return started != 0; });
            up(child_kind::background);
            second_spawned = 1;
            ordinary_ended = 1;
            down(child_kind::ordinary);
        });
        w.thread("server", [this] {
            model::here->point([this] { return cancelled != 0; });
            background_ended += 1;
            down(child_kind::background);
        });
        w.thread("second server", [this] {
            model::here->point([this] { return second_spawned && cancelled; });
            background_ended += 1;
            down(child_kind::background);
        });
    }
    void up(child_kind kind) {
        model::check(count.try_up(kind), "the group has not ended");
        if (kind == child_kind::background) background_spawned += 1;
    }
    void down(child_kind kind) {
        if (!count.down(kind)) return;
        model::check(!completed, "the joiner is completed once");
        completed = 1;
    }
    void at_end() {
        if (!ended) model::here->fail("the group never ended");
    }
    Count count{};
    joiner me;
    model::shared started, second_spawned, cancelled, completed, ended, ordinary_ended, background_spawned,
        background_ended;
};
/// Looks whether only background children are left when the body joins, but not when a child ends.
struct drains_only_at_the_join {
    bool try_up(child_kind kind) {
        const model::lock l(m);
        children += 1;
        if (kind == child_kind::background) background += 1;
        return true;
    }
    joiner* down(child_kind kind) {
        const model::lock l(m);
        children = children - 1;
        if (kind == child_kind::background) background = background - 1;
        return children || !waiting ? nullptr : &whoever;
    }
    join_result join(joiner&) {
        const model::lock l(m);
        if (children == 0) return join_result::ended;
        if (!drained && children == background) {
            drained = 1;
            return join_result::drain;
        }
        waiting = 1;
        return join_result::wait;
    }
    model::mutex m;
    model::shared children, background, drained, waiting;
    joiner whoever;
};

TEST(ChildCountModel, BackgroundChildrenAreCancelledOnceAndAwaited) {
    model::expect_correct<drained_group<guessing_count>>("group: body, child, two background children");
}
TEST(ChildCountModel, CatchesADrainThatIsOnlyLookedForAtTheJoin) {
    model::expect_caught<drained_group<drains_only_at_the_join>>("drain at the join only", "lost wake-up");
}
TEST(ChildCountModel, ChildrenNeedNoReferenceOnTheGroup) {
    model::expect_correct<freed_after_the_join<real_count>>("group: freed after the join");
}
TEST(ChildCountModel, CatchesALookAfterTheCount) {
    model::expect_caught<freed_after_the_join<looks_after_counting>>("look after the count", "after its end");
}
TEST(ChildCountModel, CatchesACountThatPublishesNothing) {
    using unpublished = tenure::core::detail::basic_child_count<relaxed, joiner>;
    model::expect_caught<freed_after_the_join<unpublished>>("relaxed count", "data race");
}
TEST(ChildCountModel, GroupEndsOnceAndAfterEveryChild) {
    model::expect_correct<group<guessing_count>>("group: body, child, grandchild, stranger");
}
TEST(ChildCountModel, CatchesAJoinInTwoSteps) {
    model::expect_caught<group<joins_in_two_steps>>("join in two steps", "lost wake-up");
}
TEST(ChildCountModel, CatchesASpawnAfterTheEnd) {
    model::expect_caught<group<admits_after_the_end>>("spawn after the end", "nothing is spawned");
}

} // namespace
