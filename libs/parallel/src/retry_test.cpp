#include "map_test.hpp"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <limits>
#include <mutex>

namespace tenure::inline v0::parallel {
namespace {

/// Its what() is the number of the attempt.
struct attempt_failed : std::runtime_error {
    explicit attempt_failed(int n) : runtime_error(std::to_string(n)) {}
};
bool is_timeout(const std::exception_ptr& e) {
    try {
        std::rethrow_exception(e);
    } catch (const base::timeout_error&) {
        return true;
    } catch (...) {
        return false;
    }
}
std::vector<std::string> words(int n) {
    std::vector<std::string> all;
    for (int i = 0; i < n; ++i)
        all.push_back("a word that is too long to be copied cheaply, number " + std::to_string(i));
    return all;
}
/// How often each item was tried.
class tries {
public:
    explicit tries(std::size_t n) : of_(n) {}
    int next(std::size_t i) { return ++of_[i]; }

private:
    std::vector<std::atomic<int>> of_;
};

TEST(Retries, ManyInOneBatchComeInOrder) { // each leaves the batch, whose rest is passed on from there
    constexpr int items = 20'000;
    runtime rt({.threads = 1});
    tries of(items);
    auto f = [&](int i) {
        if (of.next(static_cast<std::size_t>(i)) == 1 && i % 2 == 0) throw attempt_failed(1);
        return i;
    };
    int n = 0;
    for (const int i : map(rt, std::views::iota(0, items), f,
                           {.jobs = 1, .retries = 1, .backoff = {.first = 0ns}, .batch_size = items}))
        EXPECT_EQ(i, n++);
    EXPECT_EQ(n, items);
}
TEST(Retries, AnItemThatFailsGetsMoreAttemptsWithTheSameItem) {
    runtime rt({.threads = 2});
    const auto given = words(1000);
    for (const order by : {order::input, order::completion}) {
        tries of(given.size());
        auto f = [&](std::string word) {
            const std::size_t i = *item_index();
            const int attempt = of.next(i);
            const bool fails = i % 10 == 3 && attempt <= static_cast<int>(i / 10 % 5);
            const std::string was = std::move(word); // what an attempt does with its item is its own affair
            if (fails) throw attempt_failed(attempt);
            return was;
        };
        std::size_t n = 0;
        for (auto& one : map_outcomes(
                 rt, given, f,
                 {.timeout = std::chrono::hours(1), .retries = 3, .backoff = {.first = 10us}, .order = by})) {
            const std::size_t i = one.index();
            if (by == order::input) {
                EXPECT_EQ(i, n);
            }
            ++n;
            const unsigned bad = i % 10 == 3 ? static_cast<unsigned>(i / 10 % 5) : 0;
            EXPECT_EQ(one.attempts(), std::min(bad + 1, 4u));
            if (bad <= 3) {
                EXPECT_EQ(one.value(), given[i]);
            } else {
                EXPECT_EQ(base::describe(one.error()), "4") << "the last failure";
            }
        }
        EXPECT_EQ(n, given.size());
    }
}

TEST(Retries, ThePausesGrowUpToTheLongest) {
    core::testing::run(1, [](runtime& rt) -> task<> {
        std::vector<base::time_point> at;
        auto f = [&](int) -> task<int> {
            at.push_back(rt.now());
            throw attempt_failed(static_cast<int>(at.size()));
            co_return 0;
        };
        const map_options o{.retries = 5, .backoff = {.first = 100ms, .factor = 3, .most = 1s}};
        auto results = map(rt, std::views::single(1), f, o);
        try {
            co_await results.next();
            require(false);
        } catch (const attempt_failed& e) {
            require(e.what() == std::string("6"), "the last failure is the one that is thrown");
        }
        require(at.size() == 6);
        const std::vector<base::duration> pauses{100ms, 300ms, 900ms, 1s, 1s};
        for (std::size_t i = 0; i < pauses.size(); ++i)
            require(at[i + 1] - at[i] == pauses[i]);
    });
}

TEST(Retries, WithoutAPauseTheNextAttemptComesAtOnce) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        const auto began = rt.now();
        tries of(30);
        auto f = [&of](std::size_t i) {
            if (const int n = of.next(i); n < 20) throw attempt_failed(n);
            return i;
        };
        const map_options o{.jobs = 2, .retries = 20, .backoff = {.first = 0s}};
        auto results = map(rt, std::views::iota(std::size_t{0}, std::size_t{30}), f, o);
        std::size_t n = 0;
        while (const auto i = co_await results.next())
            require(*i == n++);
        require(n == 30 && rt.now() == began);
    });
}

TEST(Retries, AnItemThatWaitsTakesNoJobAndHoldsUpNobody) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        const auto began = rt.now();
        tries of(100);
        auto f = [&of](std::size_t i) -> task<std::size_t> {
            co_await sleep_for(1ms);
            if (const int n = of.next(i); i % 10 == 0 && n == 1) throw attempt_failed(n);
            co_return i;
        };
        const map_options o{
            .jobs = 1, .retries = 1, .backoff = {.first = 1s}, .batch_size = 20, .order = order::completion};
        auto results = map(rt, std::views::iota(std::size_t{0}, std::size_t{100}), f, o);
        for (int n = 0; n < 90; ++n) {
            const auto i = co_await results.next();
            require(*i % 10 != 0, "those of its own batch come first, too");
        }
        require(rt.now() - began < 200ms);
        for (int n = 0; n < 10; ++n)
            require(*co_await results.next() % 10 == 0);
        require(!co_await results.next() && rt.now() - began < 1200ms);
    });
}

TEST(Retries, InOrderOnlyWhatComesAfterWaits) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        const auto began = rt.now();
        tries of(10);
        auto f = [&of](std::size_t i) {
            if (const int n = of.next(i); i == 4 && n == 1) throw attempt_failed(n);
            return i;
        };
        const map_options o{.retries = 1, .backoff = {.first = 1s}, .batch_size = 10};
        auto results = map(rt, std::views::iota(std::size_t{0}, std::size_t{10}), f, o);
        for (std::size_t i = 0; i < 10; ++i) {
            require(co_await results.next() == i);
            require(rt.now() - began == (i < 4 ? 0s : 1s));
        }
    });
}

TEST(Retries, AFailureForGoodEndsTheOthersWhileTheyWait) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        const auto began = rt.now();
        auto f = [](int i) -> task<int> {
            co_await sleep_for(1ms);
            if (i == 7) throw std::logic_error("hopeless");
            throw attempt_failed(i);
            co_return i;
        };
        const auto hopeful = [](const std::exception_ptr& e) { return base::describe(e) != "hopeless"; };
        const map_options o{
            .retries = 5, .backoff = {.first = std::chrono::hours(1)}, .retry_if = hopeful, .batch_size = 5};
        auto results = map(rt, std::views::iota(0, 10), f, o);
        try {
            co_await results.next();
            require(false);
        } catch (const std::logic_error&) {
            require(rt.now() - began < 1s);
        }
    });
}

TEST(Retries, TimeoutsAreTriedAgainIfThePredicateSaysSo) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        for (const bool with_timeouts : {false, true}) {
            tries of(10);
            auto f = [&of](std::size_t i) -> task<int> {
                const int n = of.next(i);
                if (i == 3 && n < 3) co_await sleep_for(std::chrono::hours(1));
                co_return n;
            };
            map_options o{.jobs = 2, .timeout = 1s, .retries = 5};
            if (with_timeouts) o.retry_if = is_timeout;
            auto results = map_outcomes(rt, std::views::iota(std::size_t{0}, std::size_t{10}), f, o);
            while (auto one = co_await results.next()) {
                if (one->index() != 3) {
                    require(one->value() == 1 && one->attempts() == 1);
                } else if (with_timeouts) {
                    require(one->value() == 3 && one->attempts() == 3);
                } else {
                    require(one->status() == item_status::timed_out && one->attempts() == 1);
                }
            }
        }
    });
}

TEST(Retries, ATimeoutSaysInWhichAttempt) {
    core::testing::run(1, [](runtime& rt) -> task<> {
        auto f = [](int) -> task<int> {
            co_await sleep_for(std::chrono::hours(1));
            co_return 0;
        };
        const map_options o{.timeout = 1s, .retries = 2, .retry_if = is_timeout};
        auto results = map_outcomes(rt, std::views::single(1), f, o);
        const auto one = co_await results.next();
        require(one->status() == item_status::timed_out && one->attempts() == 3);
        require(base::describe(one->error()) == "map: item 0 has taken more than 1 s, in attempt 3");
    });
}

TEST(Retries, APlainFunctionThatIsStuckIsTriedAgainBesideIt) {
    std::mutex m;
    std::condition_variable over;
    bool is_over = false;
    for (const order by : {order::input, order::completion}) {
        runtime rt({.threads = 2});
        tries of(100);
        is_over = false;
        auto f = [&](std::size_t i) {
            if (i % 30 == 7 && of.next(i) == 1) {
                std::unique_lock l(m);
                over.wait(l, [&] { return is_over; });
            }
            return i;
        };
        std::size_t sum = 0;
        for (const std::size_t i : map(rt, std::views::iota(std::size_t{0}, std::size_t{100}), f,
                                       {.timeout = 20ms,
                                        .retries = 1,
                                        .backoff = {.first = 1ms},
                                        .retry_if = is_timeout,
                                        .order = by}))
            sum += i;
        EXPECT_EQ(sum, 4950u);
        {
            const std::lock_guard l(m);
            is_over = true;
        }
        over.notify_all();
        rt.close();
        EXPECT_TRUE(rt.audit().clean());
    }
}

TEST(Retries, WhatThePredicateThrowsIsTheItemsFailure) {
    runtime rt({.threads = 2});
    auto f = [](int i) -> int { throw attempt_failed(i); };
    const auto broken = [](const std::exception_ptr&) -> bool { throw std::logic_error("no idea"); };
    for (auto& one : map_outcomes(rt, std::views::iota(0, 10), f, {.retries = 2, .retry_if = broken})) {
        EXPECT_EQ(one.attempts(), 1u);
        EXPECT_EQ(base::describe(one.error()), "no idea");
    }
}

TEST(Retries, APauseEndsWithItsMap) {
    core::testing::explore(50, [](runtime& rt) -> task<> {
        const auto began = rt.now();
        auto f = [](int i) {
            if (i >= 3) throw attempt_failed(i);
            return i;
        };
        const auto use = [&](core::group g) -> task<> {
            const map_options o{.deadline = 2s,
                                .retries = 9,
                                .backoff = {.first = std::chrono::hours(1), .most = std::chrono::hours(1)}};
            {
                auto dropped = map(g, std::views::iota(0), f, o);
                for (int i = 0; i < 3; ++i)
                    require(co_await dropped.next() == i);
                co_await sleep_for(1s);
            }
            auto late = map(g, std::views::iota(3, 10), f, o);
            try {
                co_await late.next();
                require(false);
            } catch (const base::timeout_error&) {
                require(rt.now() - began < 3100ms);
            }
        };
        co_await core::with_group(std::ref(use));
        require(rt.now() - began < 3100ms, "nothing waits for a pause");
    });
}

TEST(Retries, CancelledAtEveryPointLeavesNothing) {
    const auto points = core::testing::cancel_at_every_point([]() -> task<> {
        tries of(6);
        auto f = [&of](std::size_t i) -> task<std::size_t> {
            co_await sleep_for(1ms);
            if (const int n = of.next(i); n <= static_cast<int>(i % 3)) throw attempt_failed(n);
            co_return i;
        };
        auto use = [&f](core::group g) -> task<> {
            const map_options o{.jobs = 2, .timeout = 1s, .retries = 3, .backoff = {.first = 1ms}};
            auto results = map(g, std::views::iota(std::size_t{0}, std::size_t{6}), f, o);
            while (co_await results.next()) {}
        };
        co_await core::with_group(std::ref(use));
    });
    EXPECT_GT(points, 20u);
}

TEST(Retries, MoveOnlyItemsAndOptionsThatCannotBeMeantAreRefused) {
    static_assert(can_be_tried_again<std::string> && can_be_tried_again<std::filesystem::path> &&
                  can_be_tried_again<std::vector<std::vector<int>>> &&
                  !can_be_tried_again<std::vector<std::vector<std::unique_ptr<int>>>>);
    runtime rt({.threads = 1});
    const auto with = [&](map_options o) {
        (void)map(rt, std::views::iota(0, 3), [](int i) { return i; }, std::move(o));
    };
    EXPECT_THROW(with({.retries = -1}), base::usage_error);
    EXPECT_THROW(with({.backoff = {.first = -1s}}), base::usage_error);
    EXPECT_THROW(with({.backoff = {.most = -1s}}), base::usage_error);
    EXPECT_THROW(with({.backoff = {.factor = 0.5}}), base::usage_error);
    EXPECT_THROW(with({.backoff = {.factor = std::numeric_limits<double>::quiet_NaN()}}), base::usage_error);

    using parts = std::vector<std::unique_ptr<int>>;
    const auto count = [](const parts& p) { return p.size(); };
    EXPECT_THROW((void)map(rt, std::vector<parts>(3), count, {.retries = 1}), base::usage_error);
    for (const std::size_t n : map(rt, std::vector<parts>(3), count))
        EXPECT_EQ(n, 0u);
}

} // namespace
} // namespace tenure::inline v0::parallel
