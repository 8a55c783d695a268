#include "core_test.hpp"

#include <tenure/core/detail/state_word.hpp>
#include <tenure/core/operation.hpp>

#include <thread>

namespace {
using namespace core_test;
using detail::state_word;
using park_result = state_word::park_result;

TEST(StateWord, ParkedThenCompletedIsEnqueuedOnceAndDelivered) {
    state_word w;
    EXPECT_EQ(w.try_park(false), park_result::parked);
    EXPECT_TRUE(w.complete());
    EXPECT_FALSE(w.poke());
    EXPECT_EQ(w.try_park(false), park_result::completed);
}
TEST(StateWord, CompletedBeforeParkingIsDeliveredWithoutAPush) {
    state_word w;
    EXPECT_FALSE(w.complete());
    EXPECT_EQ(w.try_park(false), park_result::completed);
    EXPECT_EQ(w.try_park(false), park_result::parked);
}
TEST(StateWord, PokeEnqueuesAParkedStrandAndLeavesAHintOtherwise) {
    state_word w;
    EXPECT_FALSE(w.poke());
    EXPECT_EQ(w.try_park(false), park_result::look);
    EXPECT_EQ(w.try_park(false), park_result::parked);
    EXPECT_TRUE(w.poke());
    EXPECT_FALSE(w.poke());
    EXPECT_EQ(w.try_park(false), park_result::look);
}
TEST(StateWord, WaitThatCannotBeCancelledIsNotEnqueuedByAPoke) {
    state_word w;
    EXPECT_EQ(w.try_park(true), park_result::parked);
    EXPECT_FALSE(w.poke());
    EXPECT_TRUE(w.complete());
    EXPECT_EQ(w.try_park(false), park_result::completed);
}
TEST(StateWord, CompletionIsDeliveredBeforeTheHintIsLookedAt) {
    state_word w;
    EXPECT_EQ(w.try_park(false), park_result::parked);
    EXPECT_TRUE(w.poke());
    EXPECT_FALSE(w.complete());
    EXPECT_EQ(w.try_park(false), park_result::completed);
}
TEST(StateWord, WithdrawnWaitLeavesNothing) {
    state_word w;
    w.poke();
    EXPECT_EQ(w.try_park(false), park_result::look);
    w.poke();
    w.withdrawn();
    EXPECT_EQ(w.try_park(false), park_result::parked);
}

/// An operation as layers above write them: completed by hand, withdrawable or not.
class by_hand final : public detail::operation {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    struct control {
        detail::strand* waiting = nullptr;
        bool cancellable = true;
        bool complete_at_once = false;
        int asked = 0;
        int results = 0;
        void complete() { std::exchange(waiting, nullptr)->complete(); }
    };
    explicit by_hand(control& c) : control_(c) {}
    bool ready() const noexcept { return false; }
    void start(detail::strand& s, detail::frame&) {
        control_.waiting = &s;
        s.wait(this);
        if (control_.complete_at_once) control_.complete();
    }
    bool try_cancel() noexcept override {
        ++control_.asked;
        if (control_.cancellable) control_.waiting = nullptr;
        return control_.cancellable;
    }
    int result() const noexcept { return ++control_.results; }

private:
    control& control_;
};

struct Strand : virtual_test {};

TEST_F(Strand, OperationMayCompleteBeforeItsStartReturns) {
    by_hand::control c{.complete_at_once = true};
    EXPECT_EQ(run([&]() -> task<int> { co_return co_await by_hand(c); }), 1);
}
TEST_F(Strand, R025_OperationThatCannotBeWithdrawnRunsToItsEndAndIsDelivered) {
    by_hand::control c{.cancellable = false};
    int got = 0;
    bool after = false;
    auto f = rt_.submit([&]() -> task<> {
        got = co_await by_hand(c);
        co_await checkpoint();
        after = true;
    });
    advance(1ms);
    f.cancel();
    advance(1ms);
    EXPECT_EQ(c.asked, 1);
    EXPECT_EQ(f.status(), task_status::pending);
    c.complete();
    advance(1ms);
    EXPECT_EQ(got, 1);
    EXPECT_FALSE(after);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Strand, R023_WithdrawnOperationIsNeverResumed) {
    by_hand::control c;
    auto f = rt_.submit([&]() -> task<> { (void)co_await by_hand(c); });
    advance(1ms);
    f.cancel();
    advance(1ms);
    EXPECT_EQ(c.asked, 1);
    EXPECT_EQ(c.results, 0);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Strand, R024_OperationCompletedBeforeTheCancelIsDelivered) {
    by_hand::control c;
    auto f = rt_.submit([&]() -> task<int> { co_return co_await by_hand(c); });
    advance(1ms);
    c.complete();
    f.cancel();
    advance(1ms);
    EXPECT_EQ(c.asked, 0);
    EXPECT_EQ(f.get(), 1);
}
TEST_F(Strand, R017_CancelRunsNothingOfTheTaskOnTheCallersStack) {
    by_hand::control c;
    auto f = rt_.submit([&](const counted&) -> task<> { (void)co_await by_hand(c); }, object());
    advance(1ms);
    f.cancel();
    EXPECT_EQ(c.asked, 0);
    EXPECT_EQ(objects_.alive, 1);
    advance(1ms);
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Strand, R020_CancelDuringAShieldedWaitIsSeenAtTheNextOne) {
    by_hand::control c;
    std::string log;
    auto f = rt_.submit([&]() -> task<> {
        co_await shield(1h, [&]() -> task<> { (void)co_await by_hand(c); });
        log += "shielded";
        co_await sleep_for(1h);
        log += "!";
    });
    advance(1ms);
    f.cancel();
    advance(1ms);
    EXPECT_EQ(c.asked, 0);
    c.complete();
    advance(1ms);
    EXPECT_EQ(log, "shielded");
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Strand, WaitThatFinishesItsShieldIsCancelledByTheShieldsDeadline) {
    by_hand::control c;
    auto f =
        rt_.submit([&]() -> task<> { co_await shield(1s, [&]() -> task<> { (void)co_await by_hand(c); }); });
    advance(2s);
    EXPECT_EQ(c.asked, 1);
    EXPECT_THROW(f.get(), timeout_error);
}
TEST_F(Strand, ForeignThreadCompletes) {
    runtime rt({.threads = 1});
    by_hand::control c;
    event started;
    auto f = rt.submit([&]() -> task<int> {
        started.set();
        co_return co_await by_hand(c);
    });
    rt.block_on([&]() -> task<> { co_await started.wait(); });
    rt.block_on([] {}); // one worker: the strand above has parked by now
    std::thread foreign([&] { c.complete(); });
    EXPECT_EQ(f.get(), 1);
    foreign.join();
}
} // namespace
