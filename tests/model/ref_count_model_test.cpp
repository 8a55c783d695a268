// The count of references (base/ref.hpp), the real code: the object is disposed of once, after all that its owners did.
#include "report.hpp"

#include <tenure/base/ref.hpp>

#include <optional>

namespace {

using real_count = tenure::base::detail::basic_ref_count<model::atomic>;

/// Two owners; the second one hands a reference of its own on to a third, and the first one holds two.
template <class Count>
struct three_owners {
    explicit three_owners(model::world& w) {
        w.thread("first", [this] {
            first.write(1);
            down(2);
        });
        w.thread("second", [this] {
            count->up();
            {
                const model::lock l(hand_over);
                handed_on = 1;
            }
            second.write(1);
            down(1);
        });
        w.thread("third", [this] {
            model::here->point([this] { return handed_on != 0; });
            {
                const model::lock l(hand_over); // so it sees its own reference counted
            }
            third.write(1);
            down(1);
        });
    }
    void down(std::uint32_t n) {
        if (!count->down(n)) return;
        model::check(first.read() == 1 && second.read() == 1 && third.read() == 1,
                     "what the others did is seen");
        model::check(!disposed, "it is disposed of once");
        disposed = 1;
        count.reset();
    }
    void at_end() { model::check(disposed != 0, "it is disposed of"); }
    std::optional<Count> count{3u};
    model::mutex hand_over;
    model::shared handed_on, disposed;
    model::plain<int> first{0}, second{0}, third{0};
};

/// The short cut does not acquire what the others released.
template <class T>
struct loads_relaxed : model::atomic<T> {
    using model::atomic<T>::atomic;
    T load(std::memory_order) const { return model::atomic<T>::load(std::memory_order_relaxed); }
};
/// Looks whether it is the last, and then counts.
class counts_in_two_steps {
public:
    explicit counts_in_two_steps(std::uint32_t n) : n_(n) {}
    void up() { n_.fetch_add(1, std::memory_order_relaxed); }
    bool down(std::uint32_t n) {
        const bool last = n_.load(std::memory_order_acquire) == n;
        n_.fetch_sub(n, std::memory_order_acq_rel);
        return last;
    }

private:
    model::atomic<std::uint32_t> n_;
};

enum class unlinking : std::uint8_t { leaves_then_looks, looks_then_leaves, ignores_futures, tells_nobody };

/// A task ends whose context is reached by a walk from above, which may keep a reference for later, and by a future: as
/// task_object::finish() does it, its context forgets the strand under its own lock, and it tells of its end, unless nobody
/// can reach it any more. Who holds the future may wait for the end.
template <unlinking How, bool Waits = false>
struct ending_node {
    explicit ending_node(model::world& w) {
        w.thread("task", [this] {
            const bool sole = How == unlinking::looks_then_leaves && task.holds_all(1);
            {
                const model::lock l(parents);
                linked = 0;
            }
            const bool ignored = How == unlinking::ignores_futures && task.holds_all(2);
            if (!sole && !ignored && (How == unlinking::looks_then_leaves || !task.holds_all(1))) {
                const model::lock l(own);
                strand = 0;
                told = How != unlinking::tells_nobody;
            }
            body.write(2); // the strand dies: from now on a poke is a race
        });
        w.thread("walk", [this] {
            {
                const model::lock lp(parents);
                if (!linked) return;
                const model::lock l(own);
                poke();
                task.up();
            }
            {
                const model::lock l(own);
                poke();
            }
            (void)task.down(1);
        });
        w.thread("future", [this] {
            {
                const model::lock l(own);
                poke();
            }
            if (Waits) model::here->point([this] { return told != 0; });
            (void)task.down(1);
        });
    }
    void poke() {
        if (strand) (void)body.read();
    }
    void at_end() {}
    real_count task{2}; // the strand's, the future's; the context's are the task's
    model::mutex parents, own;
    model::shared linked{1}, strand{1}, told;
    model::plain<int> body{1};
};

TEST(RefCountModel, NobodyPokesATaskThatHasEnded) {
    model::expect_correct<ending_node<unlinking::leaves_then_looks>>("references: a task ends");
}
TEST(RefCountModel, WhoWaitsForATaskIsTold) {
    model::expect_correct<ending_node<unlinking::leaves_then_looks, true>>("references: its end is awaited");
}
TEST(RefCountModel, CatchesAnEndThatTellsNobody) {
    model::expect_caught<ending_node<unlinking::tells_nobody, true>>("nobody is told", "lost wake-up");
}
TEST(RefCountModel, CatchesALookBeforeTheLeave) {
    model::expect_caught<ending_node<unlinking::looks_then_leaves>>("look before the leave", "data race");
}
TEST(RefCountModel, CatchesAnEndThatIgnoresFutures) {
    model::expect_caught<ending_node<unlinking::ignores_futures>>("a future is ignored", "data race");
}
TEST(RefCountModel, DisposedOfOnceAndLast) {
    model::expect_correct<three_owners<real_count>>("references: three owners");
}
TEST(RefCountModel, CatchesAShortCutThatDoesNotAcquire) {
    using unordered = tenure::base::detail::basic_ref_count<loads_relaxed>;
    model::expect_caught<three_owners<unordered>>("short cut that does not acquire", "data race");
}
TEST(RefCountModel, CatchesACountInTwoSteps) {
    model::expect_caught<three_owners<counts_in_two_steps>>("count in two steps", "disposed of");
}

} // namespace
