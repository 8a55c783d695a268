// The count of tasks (core/detail/task_count.hpp), the real code: who sees 0 may free it, and nothing slips in after close().
#include "report.hpp"

#include <tenure/core/detail/task_count.hpp>

#include <optional>

namespace {

using real_count =
    tenure::core::detail::basic_task_count<model::atomic, model::mutex, model::lock, model::condition>;
using tenure::base::never;

/// Tasks that end on several threads while the runtime is closed and freed.
template <class Count>
struct last_users {
    explicit last_users(model::world& w) {
        // Counted before the threads begin.
        w.thread("closer", [this] {
            count->up();
            count->up();
            started = 1;
            count->close();
            count->wait_zero(never);
            model::check(first.read() == 1 && second.read() == 1, "what the tasks did is seen");
            count.reset();
        });
        w.thread("task 1", [this] { end(first); });
        w.thread("task 2", [this] { end(second); });
    }
    void end(model::plain<int>& done) {
        model::here->point([this] { return started != 0; });
        done.write(1);
        count->down();
    }
    void at_end() {}
    std::optional<Count> count{std::in_place};
    model::shared started;
    model::plain<int> first{0}, second{0};
};

/// A submitter that races close(): refused, or its task has ended when wait_zero() returns.
template <class Count>
struct late_submit {
    explicit late_submit(model::world& w) {
        w.thread("closer", [this] {
            count.close();
            count.wait_zero(never);
            closed = 1;
            model::check(!admitted || ended, "no admitted task is left after close");
        });
        w.thread("submitter", [this] {
            if (!count.try_up()) return;
            model::check(!closed, "nothing is admitted after close has returned");
            admitted = 1;
        });
        w.thread("worker", [this] {
            model::here->point([this] { return admitted || closed; });
            if (!admitted) return;
            ended = 1;
            count.down();
        });
    }
    void at_end() {
        if (admitted && !ended) model::here->fail("an admitted task never ended");
    }
    Count count;
    model::shared admitted, ended, closed;
};

template <class T>
struct without_sc : model::atomic<T> {
    using model::atomic<T>::atomic;
    static constexpr auto acq_rel = std::memory_order_acq_rel;
    T load(std::memory_order) const { return model::atomic<T>::load(std::memory_order_acquire); }
    void store(T v, std::memory_order) { model::atomic<T>::store(v, std::memory_order_release); }
    T fetch_add(T v, std::memory_order) { return model::atomic<T>::fetch_add(v, acq_rel); }
    T fetch_sub(T v, std::memory_order) { return model::atomic<T>::fetch_sub(v, acq_rel); }
};
using weak_count =
    tenure::core::detail::basic_task_count<without_sc, model::mutex, model::lock, model::condition>;

/// Counts down first and takes the lock to notify afterwards.
struct notifies_late {
    void up() { n.fetch_add(1); }
    void close() { closed.store(true); }
    void down() {
        if (n.fetch_sub(1) != 1 || !closed.load()) return;
        const model::lock l(m);
        zero.notify_all();
    }
    bool wait_zero(tenure::base::time_point) {
        const model::lock l(m);
        while (n.load() > 0)
            zero.wait(m);
        return true;
    }
    model::mutex m;
    model::condition zero;
    model::atomic<std::size_t> n{0};
    model::atomic<bool> closed{false};
};
/// Counts down without the lock, and does not take it to notify.
struct notifies_without_the_lock : notifies_late {
    void down() {
        if (n.fetch_sub(1) == 1) zero.notify_all();
    }
};

TEST(TaskCountModel, LastUserLeavesBeforeTheCountIsFreed) {
    model::expect_correct<last_users<real_count>>("task count: two last users, closer");
}
TEST(TaskCountModel, NothingSlipsInAfterClose) {
    model::expect_correct<late_submit<real_count>>("task count: submit races close");
}
TEST(TaskCountModel, CatchesAcquireReleaseInTheDekkerPair) {
    model::expect_caught<late_submit<weak_count>>("Dekker without seq_cst", "close");
}
TEST(TaskCountModel, CatchesANotifyAfterTheCountIsZero) {
    model::expect_caught<last_users<notifies_late>>("notify after zero", "after its end");
}
TEST(TaskCountModel, CatchesANotifyThatSlipsIntoTheWait) {
    model::expect_caught<last_users<notifies_without_the_lock>>("notify without the lock", "lost wake-up");
}

} // namespace
