#include <tenure/core/detail/block_pool.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace {
using tenure::core::detail::release_block;
using tenure::core::detail::take_block;

struct taken {
    unsigned char* at;
    std::size_t size;
    unsigned char mark;
};
taken take(std::size_t size, unsigned char mark) {
    auto* const at = static_cast<unsigned char*>(take_block(size));
    std::memset(at, mark, size);
    return {at, size, mark};
}
bool untouched(const taken& t) {
    for (std::size_t i = 0; i < t.size; ++i)
        if (t.at[i] != t.mark) return false;
    return true;
}

TEST(BlockPool, BlocksOfEverySizeAreAlignedAndApart) {
    std::vector<taken> all;
    for (std::size_t size : {0U, 1U, 15U, 63U, 64U, 65U, 128U, 1000U, 2047U, 2048U, 2049U, 100'000U})
        for (unsigned char mark = 1; mark <= 3; ++mark)
            all.push_back(take(size, mark));
    for (const taken& t : all) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.at) % alignof(std::max_align_t), 0U) << t.size;
        EXPECT_TRUE(untouched(t)) << t.size;
        release_block(t.at, t.size);
    }
}

TEST(BlockPool, NoBlockIsGivenTwiceWhileItIsHeld) {
    std::set<void*> held;
    for (int round = 0; round < 3; ++round) { // the second and third from the free lists, and the depot
        for (int i = 0; i < 1000; ++i)
            EXPECT_TRUE(held.insert(take_block(200)).second);
        for (void* block : held)
            release_block(block, 200);
        held.clear();
    }
}

TEST(BlockPool, BlocksMayBeReleasedByAnotherThreadWhichThenEnds) {
    for (int round = 0; round < 20; ++round) {
        std::vector<taken> all;
        for (int i = 0; i < 500; ++i)
            all.push_back(take(std::size_t(i % 5) * 64 + 40, static_cast<unsigned char>(i)));
        std::thread([&] {
            for (const taken& t : all) {
                EXPECT_TRUE(untouched(t));
                release_block(t.at, t.size);
            }
        }).join();
    }
}

TEST(BlockPool, ThreadsThatPassBlocksAroundDoNotDisturbEachOther) {
    std::vector<std::thread> threads;
    for (unsigned char me = 1; me <= 4; ++me)
        threads.emplace_back([me] {
            std::vector<taken> mine;
            for (int i = 0; i < 20'000; ++i) {
                mine.push_back(take(std::size_t(i % 7) * 64 + 8, me));
                if (mine.size() < 200) continue;
                for (const taken& t : mine) {
                    EXPECT_TRUE(untouched(t));
                    release_block(t.at, t.size);
                }
                mine.clear();
            }
            for (const taken& t : mine)
                release_block(t.at, t.size);
        });
    for (std::thread& t : threads)
        t.join();
}

/// Released by the thread's own destructors, when its lists have been given back.
struct releases_at_the_end {
    void* block = nullptr;
    ~releases_at_the_end() {
        release_block(block, 64);
        release_block(take_block(64), 64);
    }
};
TEST(BlockPool, WorksInTheDestructorsOfAThread) {
    std::thread([] {
        static thread_local releases_at_the_end last; // constructed first: destroyed after the lists
        last.block = take_block(64);
        release_block(take_block(64), 64);
    }).join();
}

} // namespace
