// Groups and futures under several workers and foreign threads.
#include "stress.hpp"

#include <memory>
#include <set>

namespace {
using namespace stress;

struct numbered : std::runtime_error {
    explicit numbered(int k) : std::runtime_error("numbered"), number(k) {}
    int number;
};

TEST(GroupStress, R065_EveryFailureIsCountedOnce) {
    runtime rt({.threads = 3});
    for_a_while([&](int n) {
        dice d(static_cast<unsigned>(n));
        const int failing = 1 + static_cast<int>(d(12));
        auto child = [](int k) -> task<> {
            co_await shield(
                1min, [](int us) -> task<> { co_await sleep_for(std::chrono::microseconds(us)); }, k % 3);
            throw numbered(k);
        };
        auto parent = [&]() -> task<> {
            auto body = [&](group g) -> task<> {
                std::vector<future<void>> all;
                for (int k = 0; k < failing; ++k)
                    all.push_back(g.spawn(child, k));
                for (auto& f : all) { // siblings that read the same failures and let them pass
                    (void)g.spawn([](future<void> x) -> task<> { co_await x; }, as_handle(f));
                }
                co_return;
            };
            co_await with_group(body);
        };
        std::multiset<int> found;
        auto note = [&](const std::exception_ptr& e) {
            try {
                std::rethrow_exception(e);
            } catch (const numbered& x) {
                found.insert(x.number);
            }
        };
        try {
            rt.block_on(parent);
        } catch (const tenure::base::group_error& e) {
            for (const auto& x : e.errors())
                note(x);
        } catch (const numbered& e) {
            found.insert(e.number);
        }
        EXPECT_FALSE(found.empty());
        for (const int k : found)
            EXPECT_EQ(found.count(k), 1u);
        EXPECT_LE(found.size(), static_cast<std::size_t>(failing));
    });
}

// A failure that was caught dies with the handler, also when the last child is slow to let go of the group.
TEST(GroupStress, R102_CaughtFailureDiesWithItsHandler) {
    runtime rt({.threads = 3});
    struct holding : std::runtime_error {
        explicit holding(std::atomic<int>& n) : std::runtime_error("holding"), alive(n) {}
        counted alive;
    };
    for_a_while([&](int) {
        std::atomic<int> alive{0};
        auto parent = [&]() -> task<> {
            auto body = [&](group g) -> task<> {
                for (int i = 0; i < 4; ++i)
                    (void)g.spawn([&alive] { throw holding(alive); });
                co_return;
            };
            try {
                co_await with_group(body);
            } catch (const std::exception&) {}
            EXPECT_EQ(alive, 0);
        };
        rt.block_on(parent);
    });
}

task<int> tree(unsigned depth, unsigned salt) {
    dice d(salt);
    int sum = 1;
    auto body = [&](group g) -> task<int> {
        std::vector<future<int>> below;
        for (unsigned i = 0; i < 3; ++i)
            below.push_back(g.spawn(tree, depth - 1, salt * 3 + i));
        int s = 0;
        for (auto& f : below)
            s += co_await f;
        co_return s;
    };
    if (depth > 0) {
        auto grouped = [&]() -> task<int> { co_return co_await with_group(body); };
        if (d(8) == 0) {
            const auto in_time = co_await move_on_after(d.upto(50us), grouped);
            sum += in_time.value_or(0);
        } else {
            sum += co_await grouped();
        }
    }
    if (d(40) == 0) throw numbered(1);
    co_return sum;
}
TEST(GroupStress, R063_RandomTreesLeaveNothingBehind) {
    runtime rt({.threads = 4});
    for_a_while([&](int n) {
        try {
            (void)rt.block_on(tree, 4u, seed() + static_cast<unsigned>(n));
        } catch (const numbered&) {
        } catch (const tenure::base::group_error&) {}
    });
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_TRUE(rt.audit().clean());
}

TEST(GroupStress, R069_StrangersSpawnUntilTheGroupHasEnded) {
    runtime rt({.threads = 2});
    for_a_while([&](int n) {
        std::atomic<int> spawned{0}, ended{0};
        std::atomic<bool> open{false}, refused{false};
        std::optional<group> handle;
        auto f = rt.submit([&]() -> task<int> {
            auto body = [&](group g) -> task<> {
                handle = g;
                open = true;
                co_await sleep_for(20us);
            };
            co_await with_group(body);
            co_return ended; // whatever was spawned has ended by now
        });
        std::vector<std::thread> strangers;
        for (int t = 0; t < 3; ++t) {
            strangers.emplace_back([&] {
                while (!open)
                    std::this_thread::yield();
                group g = *handle;
                for (int i = 0; i < 200; ++i) {
                    try {
                        (void)g.spawn([&ended]() -> task<> {
                            co_await yield();
                            ++ended;
                        });
                        ++spawned;
                    } catch (const tenure::base::closed_error&) {
                        refused = true;
                        return;
                    }
                }
            });
        }
        const int seen = f.get();
        for (auto& t : strangers)
            t.join();
        EXPECT_EQ(seen, spawned) << n;
        EXPECT_EQ(seen, ended) << n;
    });
}

TEST(GroupStress, R004_OneOfManyTakersGetsTheValue) {
    runtime rt({.threads = 2});
    for_a_while([&](int) {
        auto f = rt.submit([]() -> task<std::unique_ptr<int>> {
            co_await yield();
            co_return std::make_unique<int>(1);
        });
        std::atomic<int> got{0}, refused{0};
        auto take = [&](future<std::unique_ptr<int>> x) -> task<> {
            try {
                auto p = co_await std::move(x);
                got += p != nullptr;
            } catch (const tenure::base::usage_error&) {
                ++refused;
            }
        };
        std::vector<future<void>> takers;
        for (int i = 0; i < 8; ++i)
            takers.push_back(rt.submit(take, as_handle(f)));
        for (auto& t : takers)
            t.get();
        EXPECT_EQ(got, 1);
        EXPECT_EQ(refused, 7);
    });
}
} // namespace
