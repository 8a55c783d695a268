// The end of a task and who waits for it (core/detail/task_end.hpp), the real code: each waiter is let go of once, sees the
// result, and may be gone then.
#include "report.hpp"

#include <tenure/core/detail/task_end.hpp>

#include <utility>

namespace {

using tenure::core::task_status;

/// A link of the list; unordered accesses are caught.
template <class T>
class link {
public:
    link() = default;
    link(const link&) = delete;
    link& operator=(T* p) {
        at_.write(reinterpret_cast<std::uintptr_t>(p));
        return *this;
    }
    link& operator=(link& other) { return *this = static_cast<T*>(other); }
    operator T*() { return reinterpret_cast<T*>(at_.read()); } // NOLINT(performance-no-int-to-ptr)
    T* operator->() { return *this; }

private:
    model::plain<std::uintptr_t> at_;
};
struct alignas(8) waiter {
    link<waiter> next, prev;
    model::shared told; // how often
    void gone() {
        next = prev = nullptr;
    } // its memory is used for something else: whoever looks at it is caught
};
struct callbacks {
    void add(model::shared& told) { listed = &told; }
    bool remove(model::shared&) { return std::exchange(listed, nullptr) != nullptr; }
    model::shared* take_callbacks() { return std::exchange(listed, nullptr); }
    model::shared* listed = nullptr;
};

template <template <class> class Atomic>
using end_over = tenure::core::detail::basic_task_end<Atomic, model::mutex, model::lock, waiter, callbacks>;
using real_end = end_over<model::atomic>;

/// What a waiter does: it waits for the end, or withdraws at some time.
enum class how : std::uint8_t { waits, withdraws, listens };

template <class End, how First, how Second>
struct two_waiters {
    explicit two_waiters(model::world& w) {
        w.thread("task", [this] {
            result.write(1);
            auto told = end.end(task_status::done);
            for (waiter* one = told.waiters; one;) {
                waiter* const following = one->next;
                tell(one->told); // now it may be gone
                one = following;
            }
            if (told.callbacks) tell(*told.callbacks);
            ended += 1;
        });
        w.thread("first", [this] { wait(First, first); });
        w.thread("second", [this] { wait(Second, second); });
    }
    void wait(how h, waiter& me) {
        if (h == how::listens) {
            const bool listed = end.listen([this](callbacks& list) { list.add(called); });
            if (!listed) {
                saw_the_end();
                return;
            }
            if (end.unlisten(called)) return;
            wait_for(called);
            model::check(called == 1, "a callback is told once");
            return;
        }
        if (!end.add(me)) {
            model::check(me.told == 0, "who was not listed is not told");
            return saw_the_end();
        }
        if (h == how::withdraws && end.remove(me)) {
            model::check(me.told == 0, "who has withdrawn is not told");
            withdrawn += 1;
            return me.gone();
        }
        wait_for(me.told);
        model::check(me.told == 1, "a waiter is told once");
        saw_the_end();
        me.gone();
    }
    // strand::complete() orders this.
    void tell(model::shared& told) {
        const model::lock l(hand_over);
        told += 1;
    }
    void wait_for(model::shared& told) {
        model::here->point([&told] { return told != 0; });
        const model::lock l(hand_over);
    }
    void saw_the_end() {
        model::check(end.status() == task_status::done, "its status is seen");
        model::check(result.read() == 1, "its result is seen");
    }
    void at_end() { model::check(ended == 1, "it has ended"); }
    End end;
    waiter first, second;
    model::mutex hand_over;
    model::shared called, withdrawn, ended;
    model::plain<int> result{0};
};

/// Takes the word and writes it in two steps.
template <class T>
struct exchanges_in_two_steps : model::atomic<T> {
    using model::atomic<T>::atomic;
    T exchange(T v, std::memory_order) {
        const T seen = model::atomic<T>::load(std::memory_order_acquire);
        model::atomic<T>::store(v, std::memory_order_release);
        return seen;
    }
};
/// The end publishes nothing.
template <class T>
struct ends_relaxed : model::atomic<T> {
    using model::atomic<T>::atomic;
    T exchange(T v, std::memory_order) { return model::atomic<T>::exchange(v, std::memory_order_relaxed); }
};
class TENURE_SCOPED_CAPABILITY no_lock {
public:
    explicit no_lock(model::mutex& m) TENURE_ACQUIRE(m) TENURE_NO_ANALYSIS { (void)m; }
    // NOLINTNEXTLINE(modernize-use-equals-default): a defaulted one cannot carry the attribute
    ~no_lock() TENURE_RELEASE() TENURE_NO_ANALYSIS {}
    no_lock(const no_lock&) = delete;
    no_lock& operator=(const no_lock&) = delete;
};
using without_lock =
    tenure::core::detail::basic_task_end<model::atomic, model::mutex, no_lock, waiter, callbacks>;

TEST(TaskEndModel, TwoWaiters) {
    model::expect_correct<two_waiters<real_end, how::waits, how::waits>>("task end: two wait");
}
TEST(TaskEndModel, OneWithdraws) {
    model::expect_correct<two_waiters<real_end, how::waits, how::withdraws>>(
        "task end: one waits, one withdraws");
    model::expect_correct<two_waiters<real_end, how::withdraws, how::withdraws>>("task end: two withdraw");
}
TEST(TaskEndModel, CallbackBesideAWaiter) {
    model::expect_correct<two_waiters<real_end, how::waits, how::listens>>("task end: a waiter, a callback");
    model::expect_correct<two_waiters<real_end, how::withdraws, how::listens>>(
        "task end: one withdraws, a callback");
}
TEST(TaskEndModel, CatchesAnEndInTwoSteps) {
    model::expect_caught<two_waiters<end_over<exchanges_in_two_steps>, how::waits, how::waits>>(
        "end in two steps", "lost wake-up");
}
TEST(TaskEndModel, CatchesAnEndThatPublishesNothing) {
    model::expect_caught<two_waiters<end_over<ends_relaxed>, how::waits, how::waits>>("relaxed end",
                                                                                      "data race");
}
TEST(TaskEndModel, CatchesAListWithoutLock) {
    model::expect_caught<two_waiters<without_lock, how::waits, how::withdraws>>("no lock", "data race");
}

} // namespace
