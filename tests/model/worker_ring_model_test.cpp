// The ring between the parent and a worker process (process/detail/worker_ring.hpp), the real code, in two parts: who may
// take, run and read what, with a worker that may be killed at any step; and who sleeps when, with the worker in a futex
// and the parent at its event.
#include "report.hpp"

#include <tenure/process/detail/worker_ring.hpp>

namespace {

using namespace tenure::process::detail;

/// The futex of the worker and the eventfd of the parent.
struct kernel {
    static void sleep(const model::atomic<std::uint32_t>& word) {
        model::here->point();
        if (word.newest() != 1) return;
        *sleeping = 1;
        model::here->point([] { return *sleeping == 0; });
    }
    static void worker(const model::atomic<std::uint32_t>&) {
        model::here->point();
        *sleeping = 0;
    }
    static void parent() {
        model::here->point();
        *event = 1;
    }
    static inline model::shared* sleeping = nullptr;
    static inline model::shared* event = nullptr;
};
template <class Words>
using real_parent = basic_ring_parent<Words, kernel>;
template <class Words>
using real_worker = basic_ring_worker<Words, kernel>;

// The ways to get it wrong.
template <class T>
struct release_only : model::atomic<T> {
    using model::atomic<T>::atomic;
    void store(T v, std::memory_order) { model::atomic<T>::store(v, std::memory_order_release); }
    T load(std::memory_order) const { return model::atomic<T>::load(std::memory_order_acquire); }
};
template <class Words>
struct looks_too_early : real_parent<Words> {
    explicit looks_too_early(Words& w) : real_parent<Words>(w), words_(w) {}
    void publish() {
        seen_ = words_.worker_parked.load(std::memory_order_seq_cst);
        real_parent<Words>::publish();
    }
    void wake() {
        if (seen_ != 0) real_parent<Words>::wake();
    }
    Words& words_;
    std::uint32_t seen_ = 0;
};
template <class Words>
struct revokes_by_a_store : real_parent<Words> {
    explicit revokes_by_a_store(Words& w) : real_parent<Words>(w), words_(w) {}
    bool revoke(std::uint64_t task) {
        if (this->look(task) != task_state::ready) return false;
        words_.of(task).store(slot_word(task, slot_state::revoked), std::memory_order_release);
        return true;
    }
    Words& words_;
};
template <class Words>
struct waits_without_looking : real_parent<Words> {
    explicit waits_without_looking(Words& w) : real_parent<Words>(w), words_(w) {}
    bool may_wait() {
        words_.parent_waits.store(1, std::memory_order_seq_cst);
        return true;
    }
    Words& words_;
};
template <class Words>
struct parks_without_looking : real_worker<Words> {
    explicit parks_without_looking(Words& w) : real_worker<Words>(w), words_(w) {}
    void park() {
        words_.worker_parked.store(1, std::memory_order_seq_cst);
        kernel::sleep(words_.worker_parked);
        words_.worker_parked.store(0, std::memory_order_relaxed);
    }
    Words& words_;
};
template <class Words>
struct takes_without_acquire : real_worker<Words> {
    explicit takes_without_acquire(Words& w) : real_worker<Words>(w), words_(w) {}
    std::uint64_t take() {
        std::uint64_t seen = slot_word(1, slot_state::ready);
        return words_.of(1).compare_exchange_strong(seen, slot_word(1, slot_state::taken),
                                                    std::memory_order_relaxed, std::memory_order_relaxed)
                   ? 1
                   : 0;
    }
    Words& words_;
};

template <class Words>
struct leaves_without_looking : real_worker<Words> {
    explicit leaves_without_looking(Words& w) : real_worker<Words>(w), words_(w) {}
    bool leave() {
        words_.leaving.store(1, std::memory_order_seq_cst);
        return true;
    }
    Words& words_;
};
enum class dies : unsigned char { never, anywhere };
/// asks: whoever has nothing to do goes on when there is something. sleeps: when it is woken. leaves: asks, or the worker
/// leaves by itself.
enum class idles : unsigned char { asks, sleeps, leaves };
enum class wrong : unsigned char {
    nothing,
    tells_before_the_result,
    uses_a_slot_too_early,
    runs_again_what_was_taken,
    does_not_see_that_it_leaves
};

enum outcome : unsigned char { none, result, revoked, died, given_back };

/// `Revoked`: the task that the parent takes back if it can; 0: none.
template <idles Idles, dies Dies, std::uint64_t tasks, std::size_t Slots, std::uint64_t Revoked,
          wrong How = wrong::nothing, template <class> class Parent = real_parent,
          template <class> class Worker = real_worker, template <class> class Atomic = model::atomic>
struct one_worker {
    explicit one_worker(model::world& w) {
        kernel::sleeping = &sleeping;
        kernel::event = &event;
        w.thread("parent", [this] { run_parent(); });
        w.thread("worker", [this] { run_worker(); });
    }

    void publish() {
        const auto task = parent.next();
        bytes[task % Slots].write(static_cast<int>(task));
        parent.publish();
        parent.wake();
    }
    void run_parent() {
        for (;;) {
            retire();
            if (!gone && parent.next() <= tasks &&
                (parent.has_room() || How == wrong::uses_a_slot_too_early)) {
                publish();
                const auto task = parent.next() - 1;
                if (task == Revoked && parent.revoke(task)) outcomes[task] = revoked;
                gone = Idles == idles::leaves && How != wrong::does_not_see_that_it_leaves &&
                       parent.is_leaving() && parent.revoke(task);
                if (gone) end(task, given_back);
                continue;
            }
            if (gone && parent.oldest() == parent.next()) {
                for (auto task = parent.next(); task <= tasks; ++task)
                    end(task, given_back);
                break;
            }
            if (parent.oldest() > tasks) break;
            model::here->learnt(dead);
            if (dead) {
                model::check(exit_status.load(std::memory_order_seq_cst) == 1,
                             "the kernel tells of a death after it");
                settle();
                return;
            }
            wait();
        }
        parent.stop();
    }
    void wait() {
        if (Idles != idles::sleeps) {
            model::here->point([this] {
                const auto newest = shared_words.of(parent.oldest()).newest();
                return dead || newest == slot_word(parent.oldest(), slot_state::done);
            });
            (void)shared_words.of(parent.oldest()).load(std::memory_order_seq_cst); // sees what it asked for
        } else {
            if (parent.may_wait()) model::here->point([this] { return event || dead; });
            event = 0;
        }
    }
    /// What has ended, in the order of the tasks.
    void retire() {
        while (parent.oldest() != parent.next()) {
            const auto task = parent.oldest();
            const auto state = parent.look(task);
            model::check(state != task_state::broken, "the parent knows each word");
            if (state == task_state::done) {
                model::check(bytes[task % Slots].read() == static_cast<int>(10 + task),
                             "the result is that of the task");
                end(task, result);
            } else if (state != task_state::revoked) {
                return;
            }
            parent.retire();
        }
    }
    /// The worker is dead: its words do not change any more.
    void settle() {
        retire();
        unsigned taken = 0;
        for (auto task = parent.oldest(); task != parent.next(); ++task) {
            const auto state = parent.look(task);
            if (state == task_state::taken) ++taken;
            if (state == task_state::taken && How != wrong::runs_again_what_was_taken) end(task, died);
            if (state == task_state::ready ||
                (state == task_state::taken && How == wrong::runs_again_what_was_taken))
                end(task, given_back);
            if (state == task_state::done) {
                model::check(bytes[task % Slots].read() == static_cast<int>(10 + task),
                             "the result is that of the task");
                end(task, result);
            }
        }
        model::check(taken <= 1, "a dead worker had one task at most");
        for (auto task = parent.next(); task <= tasks; ++task)
            end(task, given_back);
    }
    void end(std::uint64_t task, outcome how) {
        model::check(outcomes[task] == none, "a task ends once");
        outcomes[task] = how;
    }

    void run_worker() {
        for (;;) {
            while (const std::uint64_t task = worker.take()) {
                if (killed()) return;
                executed[task] += 1;
                model::check(bytes[task % Slots].read() == static_cast<int>(task),
                             "the call is that of the task");
                if (killed()) return;
                if (How == wrong::tells_before_the_result) worker.finish();
                bytes[task % Slots].write(static_cast<int>(10 + task));
                if (killed()) return;
                if (How != wrong::tells_before_the_result) worker.finish();
                if (killed()) return;
            }
            if (worker.is_stopped()) break;
            if (killed()) return;
            if (Idles == idles::sleeps) {
                worker.park();
                continue;
            }
            if (Idles == idles::leaves) {
                const bool now = model::here->choose(2) != 0;
                model::here->learnt(now);
                if (now && worker.leave()) break;
            }
            ask();
        }
        left = 1;
    }
    void ask() {
        model::here->point([this] {
            return shared_words.stop.newest() != 0 ||
                   task_of(shared_words.of(worker.next()).newest()) >= worker.next();
        });
        // Sees what it asked for: a loop that may read the old value again and again has no end.
        (void)shared_words.of(worker.next()).load(std::memory_order_seq_cst);
    }
    bool killed() {
        if (Dies == dies::never) return false;
        const bool now = model::here->choose(2) != 0;
        model::here->learnt(now);
        if (!now) return false;
        exit_status.store(1, std::memory_order_seq_cst);
        dead = 1;
        return true;
    }

    void at_end() {
        for (std::uint64_t task = 1; task <= tasks; ++task) {
            const std::uint64_t runs = executed[task];
            if (outcomes[task] == none) model::here->fail("a task has no outcome");
            if (outcomes[task] == result && runs != 1) model::here->fail("a result without a run");
            if (outcomes[task] == died && runs > 1) model::here->fail("a task ran twice");
            if ((outcomes[task] == revoked || outcomes[task] == given_back) && runs != 0)
                model::here->fail("a task that another worker may run has run");
        }
        if (!left && !dead) model::here->fail("the worker did not leave");
    }

    using words = basic_ring_words<Atomic, Slots>;
    words shared_words;
    model::atomic<std::uint32_t> exit_status;
    std::array<model::plain<int>, Slots> bytes;
    Parent<words> parent{shared_words};
    Worker<words> worker{shared_words};
    model::shared sleeping, event, dead, left;
    bool gone = false; // the parent's: the worker has left by itself
    std::array<model::shared, tasks + 1> executed, outcomes;
};

using enum idles;
using enum dies;
using enum wrong;

TEST(WorkerRing, EachTaskRunsOnceOrIsRevoked) {
    model::expect_correct<one_worker<asks, never, 3, 2, 0>>("ring: three tasks, two slots");
    model::expect_correct<one_worker<asks, never, 2, 1, 1>>("ring: one slot, the first is revoked");
    model::expect_correct<one_worker<asks, never, 3, 2, 2>>("ring: two slots, the second is revoked");
}
TEST(WorkerRing, AWorkerMayDieAtAnyStep) {
    model::expect_correct<one_worker<asks, anywhere, 3, 2, 0>>("ring: three tasks, the worker is killed");
    model::expect_correct<one_worker<asks, anywhere, 3, 2, 2>>("ring: one revoked, the worker is killed");
}
TEST(WorkerRing, NobodySleepsWhileThereIsSomethingToDo) {
    model::expect_correct<one_worker<sleeps, never, 1, 1, 0>>("ring: both sleep");
    model::expect_correct<one_worker<sleeps, never, 1, 1, 1>>("ring: both sleep, the task is revoked");
    model::expect_correct<one_worker<sleeps, never, 2, 2, 2>>("ring: both sleep, one of two is revoked");
}
TEST(WorkerRing, AWorkerThatLeavesForWantOfWorkLeavesNothingBehind) {
    model::expect_correct<one_worker<leaves, never, 1, 1, 0>>("ring: the worker leaves");
    model::expect_correct<one_worker<leaves, never, 2, 1, 0>>("ring: one slot, the worker leaves");
    model::expect_correct<one_worker<leaves, never, 2, 2, 1>>("ring: one revoked, the worker leaves");
}
TEST(WorkerRing, TheWrongOnesAreCaught) {
    const auto lost = "lost wake-up";
    model::expect_caught<one_worker<leaves, never, 1, 1, 0, nothing, real_parent, leaves_without_looking>>(
        "ring: leaves without a look", "");
    model::expect_caught<one_worker<leaves, never, 1, 1, 0, does_not_see_that_it_leaves>>(
        "ring: does not see that it leaves", "");
    const auto race = "data race";
    model::expect_caught<one_worker<sleeps, never, 1, 1, 0, nothing, real_parent, real_worker, release_only>>(
        "ring: acquire and release only", lost);
    model::expect_caught<one_worker<sleeps, never, 1, 1, 0, nothing, looks_too_early>>(
        "ring: looks too early", lost);
    model::expect_caught<one_worker<sleeps, never, 1, 1, 0, nothing, waits_without_looking>>(
        "ring: waits without a look", lost);
    model::expect_caught<one_worker<sleeps, never, 1, 1, 0, nothing, real_parent, parks_without_looking>>(
        "ring: parks without a look", lost);
    model::expect_caught<one_worker<asks, never, 2, 1, 1, nothing, revokes_by_a_store>>(
        "ring: revokes by a store", "");
    model::expect_caught<one_worker<asks, never, 1, 1, 0, nothing, real_parent, takes_without_acquire>>(
        "ring: takes without acquire", race);
    model::expect_caught<one_worker<asks, never, 1, 1, 0, tells_before_the_result>>(
        "ring: tells before the result", race);
    model::expect_caught<one_worker<asks, never, 2, 1, 0, uses_a_slot_too_early>>(
        "ring: uses a slot too early", "");
    model::expect_caught<one_worker<asks, anywhere, 1, 1, 0, runs_again_what_was_taken>>(
        "ring: runs again what was taken", "another worker may run has run");
}

} // namespace
