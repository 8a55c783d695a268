// The lock word and the condition under every mutex of the runtime (base/detail/word_lock.hpp), the real code, over a
// kernel that sleeps and wakes by address.
#include "report.hpp"

#include <tenure/base/detail/word_lock.hpp>

#include <memory>

namespace {

/// The kernel's futex: compares the newest value and goes to sleep in one step; wakes by address only.
class kernel {
public:
    struct deadline {};
    static constexpr int looks = 1;
    static void pause() {}
    template <class Word>
    static void wait(const Word& word, std::uint32_t expected, const deadline* until) {
        model::here->point();
        if (word.newest() != expected) return;
        const std::uint64_t self = std::uint64_t(1) << model::here->running();
        sleepers() += self;
        // With a deadline it may end at any time.
        if (until)
            model::here->point();
        else
            model::here->point([self] { return (sleepers() & self) == 0; });
        sleepers() = sleepers() & ~self;
    }
    template <class Word>
    static void wake_one(const Word&) {
        model::here->point();
        const std::uint64_t asleep = sleepers();
        unsigned count = 0;
        for (unsigned t = 0; t < model::max_threads; ++t)
            count += (asleep >> t) & 1;
        if (count == 0) return;
        unsigned chosen = model::here->choose(count);
        for (unsigned t = 0; t < model::max_threads; ++t)
            if (((asleep >> t) & 1) && chosen-- == 0) sleepers() = asleep & ~(std::uint64_t(1) << t);
    }
    template <class Word>
    static void wake_all(const Word&) {
        model::here->point();
        sleepers() = 0;
    }
    /// Of the one word that the scenario sleeps on.
    static model::shared& sleepers() { return *current; }
    static inline model::shared* current = nullptr;
};

using real_lock = tenure::base::detail::basic_word_lock<model::atomic, kernel>;
using real_condition = tenure::base::detail::basic_word_condition<model::atomic, kernel>;

/// Three threads add one each.
template <class Lock>
struct counter {
    explicit counter(model::world& w) {
        kernel::current = &sleepers;
        for (const char* name : {"a", "b", "c"})
            w.thread(name, [this] {
                lock.lock();
                value.write(value.read() + 1);
                lock.unlock();
                done += 1;
            });
    }
    void at_end() {
        if (done != 3) model::here->fail("a thread did not end");
    }
    model::shared sleepers, done;
    Lock lock;
    model::plain<int> value{0};
};

/// One thread sets a flag under the lock, the other frees the lock as soon as it has seen the flag.
template <class Lock>
struct freed_by_the_other {
    explicit freed_by_the_other(model::world& w) {
        kernel::current = &sleepers;
        w.thread("sets", [this] {
            lock->lock();
            value.write(1);
            lock->unlock();
        });
        w.thread("frees", [this] {
            lock->lock();
            const bool set = value.read() == 1;
            lock->unlock();
            if (set) lock.reset();
        });
    }
    void at_end() {}
    model::shared sleepers;
    std::unique_ptr<Lock> lock = std::make_unique<Lock>();
    model::plain<int> value{0};
};

/// Puts `held` where a woken thread must put `contended`: a third one sleeps for ever.
class forgets_the_sleepers {
public:
    void lock() {
        std::uint32_t seen = 0;
        if (word_.compare_exchange_weak(seen, 1, std::memory_order_acquire, std::memory_order_relaxed))
            return;
        while (word_.exchange(2, std::memory_order_acquire) != 0) {
            kernel::wait(word_, 2, nullptr);
            seen = 0;
            if (word_.compare_exchange_weak(seen, 1, std::memory_order_acquire, std::memory_order_relaxed))
                return;
        }
    }
    void unlock() {
        if (word_.exchange(0, std::memory_order_release) == 2) kernel::wake_one(word_);
    }

private:
    model::atomic<std::uint32_t> word_{0};
};
/// Lets go without publishing.
class unlocks_relaxed {
public:
    void lock() {
        while (word_.exchange(2, std::memory_order_acquire) != 0)
            kernel::wait(word_, 2, nullptr);
    }
    void unlock() {
        word_.exchange(0, std::memory_order_relaxed);
        kernel::wake_one(word_);
    }

private:
    model::atomic<std::uint32_t> word_{0};
};
/// Looks at the word again after it let go of it.
class touches_after_the_unlock {
public:
    void lock() {
        while (word_.exchange(1, std::memory_order_acquire) != 0)
            kernel::wait(word_, 1, nullptr);
    }
    void unlock() {
        word_.exchange(0, std::memory_order_release);
        if (word_.load(std::memory_order_relaxed) == 0) kernel::wake_one(word_);
    }

private:
    model::atomic<std::uint32_t> word_{0};
};

/// The model's lock, without the annotations: the condition lets go of it and takes it again.
class bare_lock {
public:
    void lock() TENURE_NO_ANALYSIS { m_.lock(); }
    void unlock() TENURE_NO_ANALYSIS { m_.unlock(); }

private:
    model::mutex m_;
};

/// Two threads wait for a flag, perhaps with a deadline; a third sets it under the lock and notifies. The lock is the
/// model's: the sleepers are all the condition's.
template <class Condition, bool Timed>
struct flag {
    explicit flag(model::world& w) {
        kernel::current = &sleepers;
        for (const char* name : {"a", "b"})
            w.thread(name, [this] {
                const kernel::deadline until;
                lock.lock();
                for (int waits = 0; !set.read() && (!Timed || waits < 2); ++waits)
                    condition.wait(lock, Timed ? &until : nullptr);
                lock.unlock();
                done += 1;
            });
        w.thread("sets", [this] {
            lock.lock();
            set.write(1);
            condition.notify_all();
            lock.unlock();
            done += 1;
        });
    }
    void at_end() {
        if (done != 3) model::here->fail("a thread did not end");
    }
    model::shared sleepers, done;
    bare_lock lock;
    Condition condition;
    model::plain<int> set{0};
};

/// Reads the round when it has let go of the lock: a notification in between is lost.
class reads_the_round_late {
public:
    void wait(bare_lock& lock, const kernel::deadline* until) {
        lock.unlock();
        kernel::wait(round_, round_.load(std::memory_order_relaxed), until);
        lock.lock();
    }
    void notify_all() {
        round_.fetch_add(1, std::memory_order_relaxed);
        kernel::wake_all(round_);
    }

private:
    model::atomic<std::uint32_t> round_{0};
};

TEST(WordLockModel, ThreeThreadsExcludeEachOtherAndNoneSleepsForEver) {
    model::expect_correct<counter<real_lock>>("lock: three threads");
}
TEST(WordLockModel, MayBeFreedByTheNextHolder) {
    model::expect_correct<freed_by_the_other<real_lock>>("lock: freed by the other");
}
TEST(WordLockModel, CatchesALostSleeper) {
    model::expect_caught<counter<forgets_the_sleepers>>("forgets the sleepers", "lost wake-up");
}
TEST(WordLockModel, CatchesAnUnlockThatPublishesNothing) {
    model::expect_caught<counter<unlocks_relaxed>>("relaxed unlock", "data race");
}
TEST(WordLockModel, CatchesATouchAfterTheUnlock) {
    model::expect_caught<freed_by_the_other<touches_after_the_unlock>>("touch after unlock", "after its end");
}
TEST(WordConditionModel, EveryWaiterSeesTheChange) {
    model::expect_correct<flag<real_condition, false>>("condition: two waiters");
}
TEST(WordConditionModel, ADeadlineMayEndAWaitAtAnyTime) {
    model::expect_correct<flag<real_condition, true>>("condition: two waiters with deadlines");
}
TEST(WordConditionModel, CatchesARoundThatIsReadLate) {
    model::expect_caught<flag<reads_the_round_late, false>>("round read late", "lost wake-up");
}

} // namespace
