#include "core_test.hpp"

#include <tenure/core/detail/timer_queue.hpp>

#include <algorithm>
#include <memory>
#include <random>

namespace {
using namespace core_test;
using tenure::base::never;
using tenure::base::time_point;

struct noted final : detail::timer {
    explicit noted(std::vector<int>& l, int n) : log(l), name(n) {}
    void fire(detail::held_nodes&) noexcept override { log.push_back(name); }
    std::vector<int>& log;
    int name;
};

class TimerQueue : public ::testing::Test {
protected:
    noted& make(int name, tenure::base::duration at) {
        all_.push_back(std::make_unique<noted>(fired_, name));
        all_.back()->at = time_point(at);
        return *all_.back();
    }
    void TearDown() override {
        for (auto& t : all_)
            queue_.remove(*t);
        EXPECT_EQ(queue_.size(), 0u);
    }
    detail::timer_queue queue_;
    std::vector<int> fired_;
    std::vector<std::unique_ptr<noted>> all_;
};

TEST_F(TimerQueue, EmptyQueueHasNoNext) {
    EXPECT_EQ(queue_.next(), never);
    EXPECT_EQ(queue_.expire(time_point(1h)), never);
    EXPECT_EQ(queue_.size(), 0u);
}
TEST_F(TimerQueue, FiresWhatIsDueAndSaysWhenTheNextIs) {
    EXPECT_TRUE(queue_.add(make(1, 10s)));
    EXPECT_FALSE(queue_.add(make(2, 20s)));
    EXPECT_TRUE(queue_.add(make(0, 5s))); // earlier than all before: a sleeper must be told
    EXPECT_EQ(queue_.next(), time_point(5s));
    EXPECT_EQ(queue_.expire(time_point(4s)), time_point(5s));
    EXPECT_EQ(queue_.expire(time_point(10s)), time_point(20s));
    EXPECT_EQ(fired_, (std::vector<int>{0, 1}));
    EXPECT_EQ(queue_.expire(time_point(1h)), never);
}
TEST_F(TimerQueue, RemoveSaysWhetherFiringWasPrevented) {
    auto& a = make(1, 1s);
    EXPECT_FALSE(queue_.remove(a));
    queue_.add(a);
    EXPECT_TRUE(queue_.remove(a));
    EXPECT_FALSE(queue_.remove(a));
    queue_.add(a);
    queue_.expire(time_point(1s));
    EXPECT_FALSE(queue_.remove(a));
    EXPECT_EQ(fired_, (std::vector<int>{1}));
}
TEST_F(TimerQueue, EqualTimesFireInTheOrderTheyWereArmed) {
    for (int i = 0; i < 50; ++i)
        queue_.add(make(i, 1s));
    for (int i = 0; i < 50; i += 3)
        queue_.remove(*all_[static_cast<std::size_t>(i)]);
    queue_.expire(time_point(1s));
    EXPECT_TRUE(std::is_sorted(fired_.begin(), fired_.end()));
    EXPECT_EQ(fired_.size(), 33u);
}
TEST_F(TimerQueue, BehavesLikeASortedListUnderRandomUse) {
    std::mt19937 random(7);
    for (int round = 0; round < 20; ++round) {
        std::vector<std::pair<time_point, int>> expected;
        const std::size_t base = all_.size();
        for (int i = 0; i < 500; ++i) {
            auto& t = make(i, std::chrono::milliseconds(random() % 300));
            queue_.add(t);
            expected.emplace_back(t.at, i);
        }
        for (int k = 0; k < 200; ++k) {
            const int victim = static_cast<int>(random() % 500);
            const bool was = queue_.remove(*all_[base + static_cast<std::size_t>(victim)]);
            const auto gone = std::erase_if(expected, [&](auto& e) { return e.second == victim; });
            EXPECT_EQ(was, gone == 1);
        }
        std::sort(expected.begin(), expected.end());
        fired_.clear();
        for (int ms = 0; ms <= 301; ms += 7) {
            const auto next = queue_.expire(time_point(std::chrono::milliseconds(ms)));
            EXPECT_EQ(next, queue_.next());
            ASSERT_LE(fired_.size(), expected.size());
            for (std::size_t i = 0; i < fired_.size(); ++i)
                ASSERT_EQ(fired_[i], expected[i].second);
            if (fired_.size() < expected.size()) {
                EXPECT_EQ(next, expected[fired_.size()].first);
            } else {
                EXPECT_EQ(next, never);
            }
        }
        EXPECT_EQ(fired_.size(), expected.size());
    }
}

struct Sleep : virtual_test {};

TEST_F(Sleep, SleepersWakeInTheOrderOfTheirTimes) {
    std::vector<int> order;
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            for (const int i : {5, 1, 3, 2, 4}) {
                (void)g.spawn([&order, i]() -> task<> {
                    co_await sleep_for(std::chrono::seconds(i));
                    order.push_back(i);
                });
            }
            co_return;
        });
    };
    run(parent);
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4, 5}));
    EXPECT_EQ(elapsed(), 5s);
}
TEST_F(Sleep, PastAndZeroSleepsReturnAtOnce) {
    run([&]() -> task<> {
        co_await sleep_for(0s);
        co_await sleep_for(-5s);
        co_await sleep_until(rt_.now());
        co_await sleep_until(time_point::min());
    });
    EXPECT_EQ(elapsed(), 0s);
    run([&]() -> task<> { co_await sleep_until(rt_.now() + 3s); });
    EXPECT_EQ(elapsed(), 3s);
}
TEST_F(Sleep, R061_HugeSleepNeverEndsInsteadOfEndingAtOnce) {
    for (const auto d : {std::chrono::hours::max(), std::chrono::hours(1'000'000'000)})
        EXPECT_THROW(run([d]() -> task<> { co_await sleep_for(d); }), deadlock_error);
}
TEST_F(Sleep, R089_CancelledSleepLeavesNoTimer) {
    auto f = rt_.submit(nap, 1h);
    advance(1ms);
    EXPECT_EQ(rt_.audit().timers, 1u);
    f.cancel();
    advance(0s);
    EXPECT_EQ(rt_.audit().timers, 0u);
}
TEST_F(Sleep, R024_SleepThatEndedBeforeTheCancelIsDelivered) {
    bool slept = false;
    std::optional<future<void>> target;
    auto g = rt_.submit([&]() -> task<> {
        co_await sleep_for(1s);
        target->cancel();
    });
    auto f = rt_.submit([&]() -> task<> { // fires after the other, but before that one has run
        co_await sleep_for(1s);
        slept = true;
        co_await checkpoint();
        slept = false;
    });
    target = f;
    advance(2s);
    EXPECT_EQ(g.status(), task_status::done);
    EXPECT_TRUE(slept);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
} // namespace
