#include "pool_test.hpp"

#include <tenure/runner/local.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <numeric>

namespace process_test {
namespace {

using process::shared_buffer;

shared_buffer<double> doubled(shared_buffer<double> b) {
    for (double& d : b)
        d *= 2;
    return b;
}
double sum(const shared_buffer<double>& b) { return std::accumulate(b.begin(), b.end(), 0.0); }
shared_buffer<int> counted(int n) {
    shared_buffer<int> b(static_cast<std::size_t>(n));
    std::iota(b.begin(), b.end(), 0);
    return b;
}
shared_buffer<double> filled(pool& p, std::size_t n) {
    auto b = p.buffer<double>(n);
    std::iota(b.begin(), b.end(), 0.0);
    return b;
}

TEST_P(Pools, ABufferIsHandedOverAndComesBackAsTheSameMemory) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{3'000'000}}) {
            auto b = filled(p, n);
            EXPECT_EQ(b.size(), n);
            const double* const at = b.data();
            auto got = co_await p.call(fn<&doubled>, std::move(b));
            EXPECT_FALSE(b); // NOLINT(bugprone-use-after-move): that is the question
            EXPECT_TRUE(got);
            EXPECT_EQ(got.data(), at);
            EXPECT_EQ(got.size(), n);
            if (n != 0) {
                EXPECT_EQ(got[n - 1], 2.0 * static_cast<double>(n - 1));
            }
            EXPECT_EQ(co_await p.call(fn<&sum>, std::move(got)),
                      static_cast<double>(n) * (static_cast<double>(n) - 1.0 + (n == 0 ? 1.0 : 0.0)));
        }
    };
    run(body);
}

struct pair_of_buffers {
    shared_buffer<double> first, second;
};
/// The second one goes back, and a vector with it that is large, too.
std::pair<shared_buffer<double>, std::vector<double>> second_of(pair_of_buffers both,
                                                                const std::vector<double>& v) {
    both.second[0] = both.first[1] + v.back();
    return {std::move(both.second), v};
}
TEST_P(Pools, BuffersTravelInsideOfValuesAndBesideLargeOnes) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        pair_of_buffers both{filled(p, 1000), filled(p, 2000)};
        const std::vector<double> v(100'000, 0.5);
        const auto [second, same] = co_await p.call(fn<&second_of>, std::move(both), v);
        EXPECT_FALSE(both.first); // NOLINT(bugprone-use-after-move)
        EXPECT_EQ(second.size(), 2000u);
        EXPECT_EQ(second[0], 1.5);
        EXPECT_EQ(second[1999], 1999.0);
        EXPECT_EQ(same, v);
    };
    run(body);
}

TEST_P(Pools, EveryRunnerTakesBuffersAndOtherPoolsCopyThem) {
    pool p(rt(), {.workers = 1});
    pool other(rt(), {.workers = 1});
    runner::inline_runner here;
    auto body = [&]() -> task<> {
        for (runner::runner* const r :
             {static_cast<runner::runner*>(&p), static_cast<runner::runner*>(&other),
              static_cast<runner::runner*>(&here)}) {
            auto b = filled(p, 50'000);
            const double* const at = b.data();
            const auto got = co_await runner::call(*r, fn<&doubled>, std::move(b));
            EXPECT_EQ(got.data() == at, r != &other);
            EXPECT_EQ(got.size(), 50'000u);
            EXPECT_EQ(got[49'999], 2.0 * 49'999);
            const auto made = co_await runner::call(*r, fn<&counted>, 30'000);
            EXPECT_EQ(made.size(), 30'000u);
            EXPECT_EQ(made[29'999], 29'999);
            EXPECT_EQ(co_await runner::call(*r, fn<&sum>, shared_buffer<double>(0)), 0.0);
        }
    };
    run(body);
}

TEST_P(Pools, BuffersThatCannotBeMadeOrPassedAreRefusedWithWhatToDo) {
    pool p(rt(), {.workers = 1, .max_message = 1 << 20});
    EXPECT_THROW((void)p.buffer<double>((1 << 17) + 1), usage_error);
    EXPECT_THROW((void)p.buffer<double>(std::numeric_limits<std::size_t>::max()), usage_error);
    EXPECT_THROW((void)shared_buffer<double>(std::numeric_limits<std::size_t>::max() / 4), std::bad_alloc);
    {
        std::vector<shared_buffer<double>> held;
        EXPECT_THROW(for (;;) held.push_back(p.buffer<double>(1 << 17)), std::length_error);
        EXPECT_EQ(held.size(), 4u);
    }
    auto b = p.buffer<double>(1 << 17); // there is room again
    auto body = [&]() -> task<> {
        EXPECT_EQ(co_await p.call([](const shared_buffer<double>& s) { return s.size(); }, std::move(b)),
                  1u << 17);
        try {
            (void)co_await p.call(fn<&sum>, std::move(b)); // NOLINT(bugprone-use-after-move)
            ADD_FAILURE();
        } catch (const usage_error& e) {
            EXPECT_NE(std::string(e.what()).find("pool::buffer"), std::string::npos);
        }
    };
    run(body);
}

shared_buffer<double> kept; // in a worker
std::size_t keeps(shared_buffer<double> b) {
    kept = std::move(b);
    return kept.size();
}
std::size_t size_of_kept() { return kept.size(); }
TEST_P(Pools, ABufferThatAWorkerKeepsBeyondItsCallIsEmpty) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        EXPECT_EQ(co_await p.call(fn<&keeps>, filled(p, 10)), 10u);
        EXPECT_EQ(co_await p.call(fn<&size_of_kept>), 0u);
    };
    run(body);
}

struct scales {
    shared_buffer<double> by;
    double operator()(double x) const { return x * by[0]; }
};
double sum_of_all(const std::vector<shared_buffer<double>>& all) {
    return std::accumulate(all.begin(), all.end(), 0.0, [](double s, const auto& b) { return s + sum(b); });
}
TEST_P(Pools, ABufferThatSomebodyElseHasIsNotHandedOver) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        std::vector<shared_buffer<double>> mine;
        mine.push_back(filled(p, 3));
        EXPECT_THROW((void)p.call(fn<&sum_of_all>, mine), base::usage_error);
        EXPECT_EQ(mine[0][2], 2.0);
        EXPECT_EQ(co_await p.call(fn<&sum_of_all>, std::move(mine)), 3.0);
        const scales f{filled(p, 2)};
        EXPECT_THROW((void)p.call(f, 2.0), base::usage_error);
        EXPECT_EQ(f.by[1], 1.0);
    };
    run(body);
}

TEST_P(Pools, CallsThatAreWithdrawnKeepNoBuffers) {
    pool p(rt(), {.workers = 1, .grace = 0s, .max_message = 1 << 20});
    const auto of_a_mebibyte = [&] { return p.buffer<double>(1 << 17); };
    auto hang = [&]() -> task<> { (void)co_await p.call(fn<&hangs>); };
    auto call = [&]() -> task<> { (void)co_await p.call(fn<&sum>, of_a_mebibyte()); };
    auto in_group = [&](group g) -> task<> {
        const auto busy = g.spawn(std::ref(hang));
        for (int i = 0; i < 8; ++i) { // the memory has room for four
            try {
                co_await with_timeout(10ms, std::ref(call));
                EXPECT_EQ(i, 0); // before the one that hangs
            } catch (const timeout_error&) {}
        }
        busy.cancel("not wanted");
    };
    auto body = [&]() -> task<> { co_await with_group(std::ref(in_group)); };
    run(body);
}

std::size_t sum_of_list(const std::list<int>& l) {
    return std::accumulate(l.begin(), l.end(), std::size_t{0});
}
TEST_P(Pools, CallsThatGrowStepByStepBeyondTheSharedMemoryArriveWhole) {
    pool p(rt(), {.workers = 2, .max_message = 1 << 20});
    auto body = [&]() -> task<> {
        std::vector<std::list<int>> lists;
        for (int i = 0; i < 16; ++i)
            lists.emplace_back(std::size_t{240'000}, i);
        std::vector<decltype(p.call(fn<&sum_of_list>, lists[0]))>
            calls; // all at once: there is not room for all
        for (const auto& each : lists)
            calls.push_back(p.call(fn<&sum_of_list>, each));
        for (std::size_t i = 0; i < calls.size(); ++i)
            EXPECT_EQ(co_await std::move(calls[i]), 240'000 * i);
    };
    run(body);
}

TEST_P(Pools, ABufferOutlivesItsPool) {
    shared_buffer<double> b;
    {
        pool p(rt(), {.workers = 1});
        b = filled(p, 100'000);
        p.close();
        auto body = [&]() -> task<> {
            try {
                (void)co_await p.call(fn<&sum>, filled(p, 10));
                ADD_FAILURE();
            } catch (const closed_error&) {}
        };
        run(body);
    }
    EXPECT_EQ(count_channels(), 1u); // its mapping
    EXPECT_EQ(b[99'999], 99'999.0);
    pool other(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        EXPECT_EQ(co_await other.call(fn<&sum>, std::move(b)), 99'999.0 * 50'000);
    };
    run(body);
}

/// Goes on writing, whatever is asked of it, until it is killed.
double scribbles_until_killed(shared_buffer<double> b, int victim) {
    if (victim == 1) ::kill(::getppid(), SIGKILL); // the supervisor
    for (;;)
        for (double& d : b)
            reinterpret_cast<volatile double&>(d) = -1;
}
TEST_P(Pools, WhatAWorkerStillWritesToIsGivenToNobodyElse) {
    pool p(rt(), {.workers = 1, .grace = 1ms, .max_message = 1 << 20}); // room for four buffers
    auto body = [&]() -> task<> {
        for (int i = 0; i < 9; ++i) {
            const int how = i % 3; // killed after its time, with its supervisor, or cancelled
            auto wrong = [&]() -> task<> {
                try {
                    const call_options o{.timeout = how == 0 ? 2ms : base::duration::max()};
                    (void)co_await p.call(o, fn<&scribbles_until_killed>, filled(p, 1 << 17), how);
                    ADD_FAILURE();
                } catch (const timeout_error&) {
                    EXPECT_EQ(how, 0);
                } catch (const worker_died&) {
                    EXPECT_EQ(how, 1);
                }
            };
            if (how == 2) {
                EXPECT_FALSE(co_await move_on_after(5ms, wrong));
            } else {
                co_await wrong();
            }
            auto b = filled(p, 1 << 17);
            const double want = 131'071.0 * 65'536;
            EXPECT_EQ(co_await p.call([](shared_buffer<double> s) { return sum(s); }, std::move(b)), want);
        }
    };
    run(body);
}

int holds_it(const shared_buffer<double>&, const std::string& file) {
    note_pid(file);
    return hangs();
}
TEST_P(Pools, AWorkerThatIsKilledFromOutsideGivesBackTheBufferThatItHeld) {
    const std::string file = testing::TempDir() + "tenure-held-" + std::to_string(::getpid());
    pool p(rt(), {.workers = 2, .max_message = 1 << 20});
    auto body = [&]() -> task<> {
        for (std::size_t round = 0; round < 6; ++round) { // there is room for four at once
            auto held = rt().submit([&]() -> task<std::string> {
                co_return co_await message_of_death(p.call(fn<&holds_it>, filled(p, 1 << 17), file));
            });
            while (pids_in(file).size() <= round)
                co_await sleep_for(1ms);
            const pid_t worker = pids_in(file).back();
            EXPECT_GT(worker, 0);
            if (worker > 0) ::kill(worker, SIGKILL);
            EXPECT_NE((co_await held).find("SIGKILL"), std::string::npos);
        }
        std::vector<shared_buffer<double>> all; // each of them again
        for (int i = 0; i < 4; ++i)
            all.push_back(p.buffer<double>(1 << 17));
        EXPECT_EQ(all.back().size(), 1u << 17);
    };
    run(body);
    ::unlink(file.c_str());
}

} // namespace
} // namespace process_test
