// The ring on real threads, which stand for the two processes: many tasks, some revoked, both sides asleep now and then.
#include <tenure/process/detail/worker_ring.hpp>

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

namespace {

using namespace tenure::process::detail;

template <class T>
using real_atomic = std::atomic<T>;

std::atomic<std::uint32_t> event{0}; // as an eventfd: signals that nobody waits for are kept

struct wake {
    static void sleep(const std::atomic<std::uint32_t>& word) { word.wait(1); }
    static void worker(std::atomic<std::uint32_t>& word) { word.notify_one(); }
    static void parent() {
        event.store(1);
        event.notify_one();
    }
};

constexpr std::size_t slots = 8;
using words = basic_ring_words<real_atomic, slots>;

struct outcome_counts {
    std::uint64_t results = 0;
    std::uint64_t revoked = 0;
};

/// Runs `tasks` tasks through a ring, in bursts and with revocations drawn from the seed.
outcome_counts run(std::uint64_t tasks, std::uint32_t seed) {
    words shared;
    std::vector<std::uint64_t> bytes(slots); // not atomic: the words order each access
    event = 0;
    std::thread process([&] {
        basic_ring_worker<words, wake> worker(shared);
        for (;;) {
            while (const std::uint64_t task = worker.take()) {
                bytes[task % slots] = bytes[task % slots] * 2 + task;
                worker.finish();
            }
            if (worker.is_stopped()) return;
            worker.park();
        }
    });
    basic_ring_parent<words, wake> parent(shared);
    std::mt19937 random(seed);
    outcome_counts counts;
    const auto retire = [&] {
        bool any = false;
        for (; parent.oldest() != parent.next(); parent.retire(), any = true) {
            const std::uint64_t task = parent.oldest();
            const task_state state = parent.look(task);
            if (is_unfinished(state)) break;
            EXPECT_NE(state, task_state::broken);
            if (state == task_state::revoked) continue;
            EXPECT_EQ(bytes[task % slots], 7 * task);
            ++counts.results;
        }
        return any;
    };
    while (parent.oldest() <= tasks) {
        for (std::uint64_t burst = 1 + random() % (2 * slots);
             burst > 0 && parent.next() <= tasks && parent.has_room(); --burst) {
            const std::uint64_t task = parent.next();
            bytes[task % slots] = 3 * task;
            parent.publish();
            if (random() % 4 == 0 && parent.revoke(task)) ++counts.revoked;
        }
        parent.wake();
        if (retire()) continue;
        if (parent.oldest() == parent.next() || !parent.may_wait()) continue;
        event.wait(0);
        event = 0;
    }
    parent.stop();
    process.join();
    return counts;
}

TEST(WorkerRing, EachTaskHasOneOutcomeOnRealThreads) {
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
        const outcome_counts counts = run(5000, seed);
        EXPECT_EQ(counts.results + counts.revoked, 5000U) << seed;
        EXPECT_GT(counts.results, 0U);
    }
}

TEST(WorkerRing, AWorkerLeavesAfterTheLastTask) { EXPECT_EQ(run(0, 1).results, 0U); }

TEST(WorkerRing, WhatAWorkerCannotHaveWrittenIsBroken) {
    words shared;
    basic_ring_parent<words, wake> parent(shared);
    parent.publish();
    EXPECT_EQ(parent.look(1), task_state::ready);
    for (const std::uint64_t word : {std::uint64_t{0}, ~std::uint64_t{0}, slot_word(1, slot_state::vacant),
                                     slot_word(2, slot_state::done), slot_word(9, slot_state::ready)}) {
        shared.of(1) = word;
        EXPECT_EQ(parent.look(1), task_state::broken) << word;
        EXPECT_FALSE(parent.revoke(1));
        EXPECT_FALSE(parent.may_wait()) << "there is something to do: to end the worker";
    }
}

} // namespace
