// close() against those that cancel a context, or stop or register a callback, at that moment (callback_state.hpp,
// runtime_pin.hpp): a model of the protocol, with the real count of tasks. When the runtime is gone no callback is left, and
// nobody touches it any more.
#include "report.hpp"

#include <tenure/core/detail/task_count.hpp>

#include <optional>

namespace {

using count_of_tasks =
    tenure::core::detail::basic_task_count<model::atomic, model::mutex, model::lock, model::condition>;

struct as_built {
    static constexpr bool counts_under_the_lock = true;     // a chain, when it is taken from its node
    static constexpr bool closer_takes_what_is_left = true; // from a node that somebody else has flagged
    static constexpr bool stop_pins_first = true;
    static constexpr bool retire_waits_for_pins = true;
};

template <class How>
struct closing {
    explicit closing(model::world& w) {
        w.thread("closer", [this] { close(); });
        w.thread("canceller", [this] { cancel(); });
        w.thread("stopper", [this] { stop(); });
        w.thread("registrar", [this] { add_another(); });
    }
    void at_end() {
        if (left != 0) model::here->fail("a callback is left");
        if (!gone) model::here->fail("close() did not end");
    }

    // The node, with one callback listed at first.
    model::mutex node;
    model::shared flagged, listed{1};
    // The runtime.
    std::optional<count_of_tasks> tasks{std::in_place};
    model::mutex table;
    model::condition unpinned;
    model::shared pins, left{1}, gone;

    bool pin() {
        const model::lock l(table);
        if (gone) return false;
        pins += 1;
        return true;
    }
    void unpin() {
        const model::lock l(table);
        pins = pins - 1;
        if (pins == 0) unpinned.notify_all();
    }
    bool flag() {
        const model::lock l(node);
        if (flagged) return false;
        flagged = 1;
        return true;
    }
    void take_and_run() {
        bool taken = false;
        {
            const model::lock l(node);
            taken = listed;
            listed = 0;
            if (taken && How::counts_under_the_lock) tasks->up();
        }
        if (!taken) return;
        if (!How::counts_under_the_lock) tasks->up();
        run();
    }
    void run() { // a worker's part: the order is the same whoever does it
        model::here->point();
        left = left - 1;
        tasks->down();
    }

    void cancel() {
        if (flag()) take_and_run();
    }
    void stop() {
        bool pinned = How::stop_pins_first && pin();
        bool mine = false;
        {
            const model::lock l(node);
            mine = listed;
            listed = 0;
        }
        if (!How::stop_pins_first) pinned = pin();
        if (mine && pinned) left = left - 1;
        if (pinned) unpin();
    }
    void add_another() {
        if (!pin()) return; // refused
        left += 1;
        bool at_once = false;
        {
            const model::lock l(node);
            at_once = flagged || listed; // one place on the list is enough for the model
            if (!at_once) listed = 1;
        }
        if (at_once) tasks->up();
        unpin();
        if (at_once) run();
    }
    void close() {
        tasks->close();
        for (bool retired = false; !retired;) {
            tasks->wait_zero(tenure::base::never);
            const bool first = flag();
            if (first || How::closer_takes_what_is_left) take_and_run();
            retired = retire();
        }
        tasks->wait_zero(tenure::base::never);
        tasks.reset();
    }
    bool retire() {
        const model::lock l(table);
        while (How::retire_waits_for_pins && pins > 0)
            unpinned.wait(table);
        if (tasks->get() > 0) return false;
        gone = 1;
        return true;
    }
};

struct counts_late : as_built {
    static constexpr bool counts_under_the_lock = false;
};
struct leaves_it_to_the_canceller : as_built {
    static constexpr bool closer_takes_what_is_left = false;
};
struct stops_unpinned : as_built {
    static constexpr bool stop_pins_first = false;
};
struct does_not_wait_for_pins : as_built {
    static constexpr bool retire_waits_for_pins = false;
};

TEST(CloseModel, NoCallbackIsLeftAndNobodyIsLate) {
    model::expect_correct<closing<as_built>>("close: cancel, stop and register race it");
}
TEST(CloseModel, CatchesAChainThatIsCountedLate) {
    model::expect_caught<closing<counts_late>>("chain counted after its lock", "after its end");
}
TEST(CloseModel, CatchesACallbackLeftToACanceller) {
    model::expect_caught<closing<leaves_it_to_the_canceller>>("callback left to the canceller",
                                                              "after its end");
}
TEST(CloseModel, CatchesAStopWithoutAPin) {
    model::expect_caught<closing<stops_unpinned>>("stop() pins after it unlists", "a callback is left");
}
TEST(CloseModel, CatchesARetirementUnderAPin) {
    model::expect_caught<closing<does_not_wait_for_pins>>("retire() does not wait for pins", "after its end");
}

} // namespace
