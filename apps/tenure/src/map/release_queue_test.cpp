#include "map/release_queue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace tenure::inline v0::app {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<int> pop_all(release_queue<int>& queue) {
    std::vector<int> popped;
    while (auto value = queue.pop())
        popped.push_back(*value);
    return popped;
}

TEST(ReleaseQueue, InOrderOfCompletion) {
    release_queue<int> queue(item_order::done, {});
    EXPECT_FALSE(queue.pop());
    queue.push(3, 30);
    queue.push(1, 10);
    EXPECT_THAT(pop_all(queue), ElementsAre(30, 10));
    EXPECT_TRUE(queue.may_start(1'000'000'000));
}

TEST(ReleaseQueue, InOrderOfInput) {
    release_queue<int> queue(item_order::input, {});
    queue.push(3, 30);
    queue.push(2, 20);
    EXPECT_THAT(pop_all(queue), IsEmpty());
    queue.push(1, 10);
    EXPECT_THAT(pop_all(queue), ElementsAre(10, 20, 30));
    queue.push(4, 40);
    EXPECT_THAT(pop_all(queue), ElementsAre(40));
}

TEST(ReleaseQueue, WindowHoldsStartsBackButNeverTheNextInTurn) {
    release_queue<int> queue(item_order::input, {.window = 4, .memory = 1000, .files = 10});
    for (std::uint64_t seq = 1; seq <= 4; ++seq)
        EXPECT_TRUE(queue.may_start(seq));
    EXPECT_FALSE(queue.may_start(5));
    for (int seq = 2; seq <= 4; ++seq)
        queue.push(static_cast<std::uint64_t>(seq), seq);
    EXPECT_FALSE(queue.may_start(5));
    EXPECT_TRUE(queue.may_start(1)) << "a repeated attempt of the one that all wait for";
    queue.push(1, 1);
    EXPECT_FALSE(queue.may_start(5)) << "nothing has been released yet";
    pop_all(queue);
    EXPECT_TRUE(queue.may_start(5));
    EXPECT_TRUE(queue.may_start(8));
    EXPECT_FALSE(queue.may_start(9));
}

TEST(ReleaseQueue, DescriptorsHoldStartsBack) {
    release_queue<int> queue(item_order::input, {.window = 100, .memory = 1000, .files = 4});
    queue.push(2, 2, {.memory = 0, .files = 2});
    EXPECT_TRUE(queue.may_start(5));
    queue.push(3, 3, {.memory = 0, .files = 2});
    EXPECT_FALSE(queue.may_start(5));
    EXPECT_TRUE(queue.may_start(1));
    queue.push(1, 1);
    pop_all(queue);
    EXPECT_EQ(queue.held_files(), 0U);
    EXPECT_TRUE(queue.may_start(5));
}

TEST(ReleaseQueue, TooMuchMemoryIsParked) {
    release_queue<int> queue(item_order::input, {.window = 100, .memory = 1000, .files = 4});
    EXPECT_FALSE(queue.should_park(2, {.memory = 600, .files = 0}));
    queue.push(2, 2, {.memory = 600, .files = 0});
    EXPECT_TRUE(queue.should_park(3, {.memory = 600, .files = 0}));
    EXPECT_FALSE(queue.should_park(1, {.memory = 600, .files = 0})) << "it goes out at once";
    EXPECT_EQ(queue.held_memory(), 600U);
    queue.push(1, 1, {.memory = 600, .files = 0});
    pop_all(queue);
    EXPECT_EQ(queue.held_memory(), 0U);
    release_queue<int> as_done(item_order::done, {.window = 1, .memory = 0, .files = 0});
    EXPECT_FALSE(as_done.should_park(9, {.memory = 600, .files = 0}));
}

TEST(ReleaseQueue, StoppedRunReleasesWhatThereIsInOrder) {
    release_queue<int> queue(item_order::input, {});
    queue.push(7, 7);
    queue.push(3, 3);
    queue.push(5, 5);
    EXPECT_FALSE(queue.pop());
    EXPECT_EQ(queue.pop_any(), 3);
    EXPECT_EQ(queue.pop_any(), 5);
    EXPECT_EQ(queue.size(), 1U);
    EXPECT_EQ(queue.pop_any(), 7);
    EXPECT_FALSE(queue.pop_any());
    release_queue<int> as_done(item_order::done, {});
    as_done.push(2, 2);
    EXPECT_EQ(as_done.pop_any(), 2);
    EXPECT_FALSE(as_done.pop_any());
}

TEST(ReleaseQueue, TakesWhatCanOnlyBeMoved) {
    release_queue<std::unique_ptr<int>> queue(item_order::input, {});
    queue.push(1, std::make_unique<int>(1));
    auto value = queue.pop();
    ASSERT_TRUE(value);
    EXPECT_EQ(**value, 1);
}

TEST(ReleaseLimits, FollowJobsAndDescriptors) {
    EXPECT_EQ(release_limits::for_jobs(2).window, 1024U);
    EXPECT_EQ(release_limits::for_jobs(1000).window, 8000U);
    EXPECT_GE(release_limits::for_jobs(2).files, 64U);
}

} // namespace
} // namespace tenure::inline v0::app
