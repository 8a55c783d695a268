#include <tenure/core/sleep.hpp>
#include <tenure/core/testing.hpp>
#include <tenure/parallel/item_index.hpp>
#include <tenure/parallel/map.hpp>
#include <tenure/parallel/parallel_for.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <ranges>
#include <vector>

namespace tenure::inline v0::parallel {
namespace {

using core::runtime;
using core::task;

auto items(std::size_t n) { return std::views::iota(std::size_t{0}, n); }

TEST(ItemIndex, IsThatOfTheItemWhateverTheOrder) {
    runtime rt({.threads = 2});
    for (const order by : {order::input, order::completion})
        for (auto& one : map_outcomes(rt, items(1000), [](std::size_t) { return *item_index(); },
                                      {.timeout = std::chrono::hours(1), .order = by}))
            EXPECT_EQ(one.value(), one.index());
}

TEST(ItemIndex, OutsideOfAMapThereIsNone) {
    EXPECT_EQ(item_index(), std::nullopt);
    runtime rt({.threads = 1});
    EXPECT_EQ(rt.submit(item_index).get(), std::nullopt);
    for (auto& one : map_outcomes(rt, items(10), [](std::size_t) {})) // nothing stays behind on the worker
        EXPECT_TRUE(one);
    EXPECT_EQ(rt.submit(item_index).get(), std::nullopt);
}

TEST(ItemIndex, TasksThatTheFunctionSpawnsHaveNone) {
    for (const unsigned threads : {1u, 2u}) {
        runtime rt({.threads = threads});
        auto ask_another = [&rt](std::size_t i) {
            const bool none = !rt.submit(item_index).get(); // perhaps on this very thread
            return none && item_index() == i;
        };
        for (const bool right : map(rt, items(100), ask_another))
            EXPECT_TRUE(right);
    }
}

TEST(ItemIndex, InAMapInsideAMapItIsTheInnermost) {
    for (const unsigned threads : {1u, 2u}) {
        runtime rt({.threads = threads});
        auto row = [&rt](std::size_t n) {
            std::size_t column = 0;
            for (const std::size_t index :
                 map(rt, items(n % 7), [](std::size_t) { return *item_index(); }, {.jobs = 2}))
                if (index != column++) return false;
            return item_index() == n;
        };
        for (const bool right : map(rt, items(50), row, {.jobs = 2}))
            EXPECT_TRUE(right);
    }
}

TEST(ItemIndex, InALoopInsideAMapItIsTheItemsOnEveryThread) {
    runtime rt({.threads = 2});
    auto loop = [&rt](std::size_t n) {
        std::atomic<std::size_t> right{0};
        const loop_options on_three{.jobs = 3, .grain = 1};
        parallel_for(rt, 20, [&](std::size_t) { right += item_index() == n; }, on_three);
        const auto one = [&](std::size_t) { return item_index() == n ? 1 : 0; };
        return right == 20 && reduce(rt, 20, 0, one, std::plus<>(), on_three) == 20;
    };
    for (const bool right : map(rt, items(50), loop))
        EXPECT_TRUE(right);
    parallel_for(rt, 20, [](std::size_t) { EXPECT_EQ(item_index(), std::nullopt); });
}

TEST(ItemIndex, ACoroutineIsGivenItByWhoMakesIt) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        auto body = [](std::size_t i, std::size_t index) -> task<bool> {
            const bool none = !item_index();
            co_await core::sleep_for(std::chrono::milliseconds(i % 5));
            co_return none && !item_index() && i == index;
        };
        auto results = map(rt, items(20), [&](std::size_t i) { return body(i, *item_index()); }, {.jobs = 3});
        while (const auto right = co_await results.next())
            core::testing::require(*right);
    });
}

} // namespace
} // namespace tenure::inline v0::parallel
