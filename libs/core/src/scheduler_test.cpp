#include "core_test.hpp"

#include <tenure/core/detail/scheduler.hpp>

#include <condition_variable>
#include <functional>
#include <latch>
#include <thread>

namespace {
using namespace core_test;

/// A driver whose sleepers wake only when the test lets them: that is how a slow wake-up looks.
class slow_driver final : public driver {
public:
    tenure::base::time_point now() noexcept override { return tenure::base::time_point(1h); }
    void park(tenure::base::time_point until) override {
        std::unique_lock l(m_);
        if (until == tenure::base::time_point::min()) { // a busy worker looks; it may eat the unpark
            l.unlock();
            if (auto f = std::exchange(during_look, {})) f();
            l.lock();
            unparked_ = false;
            return;
        }
        ++parked_;
        ++parks_;
        changed_.notify_all();
        changed_.wait(l, [&] { return all_ || (unparked_ && (let_go_ > 0 || let_go_with_ == until)); });
        if (let_go_ > 0) --let_go_;
        let_go_with_ = tenure::base::time_point::min();
        --parked_;
        unparked_ = false;
    }
    void unpark() noexcept override {
        const std::lock_guard l(m_);
        unparked_ = true;
        ++unparks_;
        changed_.notify_all();
    }
    std::function<void()> during_look;
    void wait_until_parked(int n) {
        std::unique_lock l(m_);
        changed_.wait(l, [&] { return parked_ == n; });
    }
    void let_go(int n) {
        const std::lock_guard l(m_);
        let_go_ += n;
        changed_.notify_all();
    }
    void let_go_the_one_with(tenure::base::time_point until) {
        const std::lock_guard l(m_);
        let_go_with_ = until;
    }
    void let_all_go() {
        const std::lock_guard l(m_);
        all_ = true;
        changed_.notify_all();
    }
    void wait_for_parks(int n) {
        std::unique_lock l(m_);
        changed_.wait(l, [&] { return parks_ == n; });
    }
    bool unparked() {
        const std::lock_guard l(m_);
        return unparked_;
    }
    int unparks() {
        const std::lock_guard l(m_);
        return unparks_;
    }

private:
    std::mutex m_;
    std::condition_variable changed_;
    int parked_ = 0, parks_ = 0, let_go_ = 0, unparks_ = 0;
    tenure::base::time_point let_go_with_ = tenure::base::time_point::min();
    bool all_ = false;
    bool unparked_ = false;
};

/// A strand that ends at once.
struct errand final : detail::strand {
    explicit errand(std::function<void()> f = {}) : work(std::move(f)) {}
    bool start_root() noexcept override {
        if (work) work();
        return false;
    }
    tenure::base::task_label label() const override { return {}; }
    std::function<void()> work;
};
struct idle_timer final : detail::timer {
    void fire(detail::held_nodes&) noexcept override {}
};

struct Scheduler : ::testing::Test {
    Scheduler() {
        auto d = std::make_unique<slow_driver>();
        io = d.get();
        sched = std::make_unique<detail::scheduler>(std::move(d), 0, unread_failure_hook{});
    }
    std::thread worker() {
        return std::thread(
            [this] { sched->work_until([this] { return stop.load(); }, tenure::base::never); });
    }
    slow_driver* io = nullptr;
    std::unique_ptr<detail::scheduler> sched;
    std::atomic<bool> stop{false};
};

// A busy worker that looks for events between strands may consume the unpark() that was meant for one that has parked
// since.
TEST_F(Scheduler, UnparkEatenByABusyWorkersLookIsSentAgain) {
    std::thread idle;
    errand late;
    bool looked = false;
    io->during_look = [&] {
        idle = worker();
        io->wait_until_parked(1);
        sched->push(late);
        EXPECT_TRUE(io->unparked());
        looked = true;
    };
    std::vector<errand> many(64); // a worker looks after so many strands
    for (auto& e : many)
        sched->push(e);
    sched->work_until([&] { return looked; }, tenure::base::never);
    EXPECT_TRUE(io->unparked());
    stop = true;
    io->let_all_go();
    idle.join();
}
// Two idle workers, a timer, and an errand that notes how many unparks there had been when it ran.
struct SchedulerOfTwo : Scheduler {
    SchedulerOfTwo() {
        t.at = tenure::base::time_point(2h);
        io->wait_until_parked(2);
    }
    void TearDown() override {
        EXPECT_TRUE(sched->disarm(t));
        stop = true;
        io->let_all_go();
        a.join();
        b.join();
    }
    int unparks_when_run() {
        ran.wait();
        return unparks;
    }
    std::thread a = worker(), b = worker();
    idle_timer t;
    int unparks = 0;
    std::latch ran{1};
    errand e{[this] {
        unparks = io->unparks();
        ran.count_down();
    }};
};

// One unpark() served a push and a new earliest timer. Whoever takes the strand may be long busy with it: the other idle
// worker has to be told of the timer.
TEST_F(SchedulerOfTwo, TimerArmedDuringAWakeUpIsPassedOnToTheNextIdleWorker) {
    sched->push(e);
    sched->arm(t);
    EXPECT_EQ(io->unparks(), 1); // merged
    io->let_go(1);
    EXPECT_EQ(unparks_when_run(), 2);
}
// The worker that would have woken for the timer takes a strand instead: the one that parked before the timer was armed
// has to take over.
TEST_F(SchedulerOfTwo, WorkerThatWatchedTheTimerHandsItOverBeforeItRunsAStrand) {
    sched->arm(t); // one of the two is woken, and parks again until then
    io->let_go(1);
    io->wait_for_parks(3);
    EXPECT_EQ(io->unparks(), 1);
    io->let_go_the_one_with(t.at);
    sched->push(e);
    EXPECT_EQ(unparks_when_run(), 3);
}
// The other way round the timer stays watched, and nobody is woken for nothing.
TEST_F(SchedulerOfTwo, WorkerThatDidNotWatchTheTimerWakesNobody) {
    sched->arm(t);
    io->let_go(1);
    io->wait_for_parks(3);
    io->let_go_the_one_with(tenure::base::never);
    sched->push(e);
    EXPECT_EQ(unparks_when_run(), 2);
}
} // namespace
