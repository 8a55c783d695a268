// The life of a callback (core/detail/call_once.hpp), the real code: a worker calls it, others stop it, and its owner waits
// for the call that is under way before it frees what the call uses.
#include "report.hpp"

#include <tenure/core/detail/call_once.hpp>

namespace {

using thread_name = std::uint32_t;
using real_call =
    tenure::core::detail::basic_call_once<model::mutex, model::lock, model::condition, thread_name>;

template <class Call>
struct callback {
    explicit callback(model::world& w) {
        if constexpr (std::is_same_v<Call, real_call>) w.track_object(call);
        w.thread("worker", [this] {
            if (!call.begin(1)) return;
            take();
            captured.write(1);
            call.end();
        });
        w.thread("stops", [this] {
            if (call.stop()) take();
        });
        w.thread("owner", [this] {
            if (call.stop()) take();
            call.wait(2);
            captured.write(2); // nobody calls any more: it may be freed
        });
    }
    void take() {
        model::check(!taken, "the callable has one owner");
        taken = 1;
    }
    void at_end() {
        if (!taken) model::here->fail("nobody owned the callable");
    }
    Call call{};
    model::shared taken;
    model::plain<int> captured{0};
};

/// The thread that runs the call destroys its own handle: it must not wait for itself.
template <class Call>
struct stopped_from_inside {
    explicit stopped_from_inside(model::world& w) {
        if constexpr (std::is_same_v<Call, real_call>) w.track_object(call);
        w.thread("worker", [this] {
            if (!call.begin(1)) return;
            model::check(!call.stop(), "what runs cannot be prevented");
            call.wait(1);
            call.end();
            ended = 1;
        });
    }
    void at_end() {
        if (!ended) model::here->fail("the call never ended");
    }
    Call call{};
    model::shared ended;
};

/// Says that a call was prevented which has begun.
struct stops_what_runs {
    bool begin(thread_name) {
        const model::lock l(m);
        if (stopped) return false;
        running = 1;
        return true;
    }
    void end() {
        const model::lock l(m);
        running = 0;
        changed.notify_all();
    }
    bool stop() {
        const model::lock l(m);
        if (stopped) return false;
        stopped = 1;
        return true;
    }
    void wait(thread_name) {
        const model::lock l(m);
        while (running)
            changed.wait(m);
    }
    model::mutex m;
    model::condition changed;
    model::shared running, stopped;
};
/// Does not wait for the call that is under way.
struct does_not_wait : stops_what_runs {
    bool stop() {
        const model::lock l(m);
        if (stopped || running || begun) return false;
        stopped = 1;
        return true;
    }
    bool begin(thread_name me) {
        if (!stops_what_runs::begin(me)) return false;
        const model::lock l(m);
        begun = 1;
        return true;
    }
    void wait(thread_name) {}
    model::shared begun;
};
/// Waits even where the call itself asks.
struct waits_for_itself : stops_what_runs {
    bool stop() { return false; }
};

TEST(CallOnceModel, OneOwnsTheCallableAndTheOwnerWaitsForTheCall) {
    model::expect_correct<callback<real_call>>("callback: worker, stopper, owner");
}
TEST(CallOnceModel, TheCallItselfDoesNotWaitForItsEnd) {
    model::expect_correct<stopped_from_inside<real_call>>("callback: stopped from inside");
}
TEST(CallOnceModel, CatchesAStopOfWhatRuns) {
    model::expect_caught<callback<stops_what_runs>>("stops what runs", "one owner");
}
TEST(CallOnceModel, CatchesAnOwnerThatDoesNotWait) {
    model::expect_caught<callback<does_not_wait>>("does not wait", "data race");
}
TEST(CallOnceModel, CatchesACallThatWaitsForItself) {
    model::expect_caught<stopped_from_inside<waits_for_itself>>("waits for itself", "lost wake-up");
}

} // namespace
