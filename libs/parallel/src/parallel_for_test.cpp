#include <tenure/core/testing.hpp>
#include <tenure/core/this_task.hpp>
#include <tenure/parallel/parallel_for.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <numeric>

namespace tenure::inline v0::parallel {
namespace {

using core::runtime;
using core::task;

TEST(ParallelFor, CallsEachIndexOnce) {
    runtime rt({.threads = 2});
    for (const std::size_t n : {0u, 1u, 2u, 3u, 7u, 64u, 1000u, 100'000u})
        for (const int jobs : {1, 2, 5, -1})
            for (const std::size_t grain : {0u, 1u, 10u, 1'000'000u}) {
                std::vector<std::atomic<int>> calls(n);
                parallel_for(rt, n, [&](std::size_t i) { ++calls[i]; }, {.jobs = jobs, .grain = grain});
                for (const auto& c : calls)
                    ASSERT_EQ(c, 1) << n << ' ' << jobs << ' ' << grain;
            }
    rt.close();
    EXPECT_TRUE(rt.audit().clean());
}

TEST(ParallelFor, TakesARange) {
    runtime rt({.threads = 2});
    std::vector<int> v(1000);
    std::iota(v.begin(), v.end(), 0);
    parallel_for(rt, v, [](int& i) { i *= 2; });
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(v[static_cast<std::size_t>(i)], 2 * i);
}

TEST(ParallelFor, ThrowsTheFirstFailureWhenAllHaveEnded) {
    runtime rt({.threads = 2});
    std::atomic<int> inside{0};
    const auto body = [&](std::size_t i) {
        ++inside;
        if (i == 5000) {
            --inside;
            throw std::runtime_error("5000");
        }
        --inside;
    };
    for (int round = 0; round < 100; ++round) {
        EXPECT_THROW(parallel_for(rt, 10'000, body, {.grain = 10}), std::runtime_error);
        EXPECT_EQ(inside, 0);
    }
}

TEST(ParallelFor, InATaskAndInItselfEndsWithAnyNumberOfWorkers) {
    for (const unsigned threads : {0u, 1u, 2u}) {
        runtime rt({.threads = threads});
        std::atomic<int> calls{0};
        rt.block_on([&] {
            parallel_for(rt, 20, [&](std::size_t) { parallel_for(rt, 20, [&](std::size_t) { ++calls; }); });
        });
        EXPECT_EQ(calls, 400);
    }
}

TEST(ParallelFor, InACoroutineIsRefused) {
    runtime rt({.threads = 2});
    rt.block_on([&]() -> task<> {
        EXPECT_THROW(parallel_for(rt, 10, [](std::size_t) {}), base::usage_error);
        co_return;
    });
}

TEST(ParallelFor, OfACancelledTaskBeginsNoMore) {
    runtime rt({.threads = 2});
    std::atomic<std::size_t> calls{0};
    auto f = rt.submit(
        [&] { parallel_for(rt, std::size_t{1} << 40, [&](std::size_t) { ++calls; }, {.grain = 1}); });
    while (calls == 0)
        std::this_thread::yield();
    f.cancel();
    EXPECT_FALSE(f.wait_for(std::chrono::seconds(0)) && f.status() != core::task_status::cancelled);
    EXPECT_THROW(f.get(), base::task_cancelled);
}

TEST(ParallelFor, IsCutShortByTheCloseOfTheRuntimeThatHelps) {
    runtime rt({.threads = 2});
    std::atomic<bool> helped{false};
    std::thread loops([&] {
        const auto me = std::this_thread::get_id();
        const auto body = [&](std::size_t) {
            if (std::this_thread::get_id() != me) helped = true;
        };
        EXPECT_THROW(parallel_for(rt, std::size_t{1} << 40, body, {.jobs = 3}), base::task_cancelled);
    });
    while (!helped)
        std::this_thread::yield();
    core::close_options now;
    now.drain = {};
    rt.close(now);
    loops.join();
    EXPECT_TRUE(rt.audit().clean());
}

TEST(ParallelFor, OptionsThatCannotBeMeantAreRefused) {
    runtime rt({.threads = 2});
    EXPECT_THROW(parallel_for(rt, 1, [](std::size_t) {}, {.jobs = 0}), base::usage_error);
}

TEST(Reduce, IsTheSameToTheLastBitWithAnyNumberOfWorkers) {
    const auto term = [](std::size_t i) {
        return std::sin(static_cast<double>(i)) / static_cast<double>(i + 1);
    };
    for (const std::size_t n : {0u, 1u, 2u, 1000u, 1025u, 300'000u}) {
        std::vector<double> sums;
        for (const unsigned threads : {1u, 2u, 4u}) {
            runtime rt({.threads = threads});
            for (int jobs = 1; jobs < 6; ++jobs)
                sums.push_back(reduce(rt, n, 0.5, term, std::plus<>(), {.jobs = jobs}));
        }
        for (const double s : sums)
            EXPECT_EQ(s, sums[0]);
    }
}

TEST(Reduce, KeepsTheOrderOfWhatDoesNotCommute) {
    runtime rt({.threads = 2});
    const auto digit = [](std::size_t i) { return std::to_string(i % 10); };
    const std::string all = reduce(rt, 5000, std::string(">"), digit, std::plus<>());
    ASSERT_EQ(all.size(), 5001u);
    for (std::size_t i = 0; i < 5000; ++i)
        ASSERT_EQ(all[i + 1], '0' + static_cast<char>(i % 10));
}

TEST(Reduce, OfWhatCanOnlyBeMoved) {
    runtime rt({.threads = 2});
    const auto sum = reduce(
        rt, 1000, std::make_unique<int>(1),
        [](std::size_t i) { return std::make_unique<int>(static_cast<int>(i)); },
        [](std::unique_ptr<int> a, const std::unique_ptr<int>& b) {
            *a += *b;
            return a;
        });
    EXPECT_EQ(*sum, 1 + 999 * 500);
}

} // namespace
} // namespace tenure::inline v0::parallel
