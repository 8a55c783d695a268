// A call for which there is no memory fails, or gets its result; the runtime and the pool are as good as before.
#include <tenure/core/scope.hpp>
#include <tenure/io/epoll_driver.hpp>
#include <tenure/process/enter_worker.hpp>
#include <tenure/process/pool.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

namespace {
thread_local int good_allocations = -1; // until they fail; below 0: none does

void* allocate(std::size_t n, std::size_t alignment) {
    if (good_allocations == 0) throw std::bad_alloc();
    if (good_allocations > 0) --good_allocations;
    void* const at = std::aligned_alloc(alignment, (n + alignment - 1) / alignment * alignment);
    if (!at) throw std::bad_alloc();
    return at;
}
} // namespace

void* operator new(std::size_t n) { return allocate(n, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t n, std::align_val_t alignment) {
    return allocate(n, static_cast<std::size_t>(alignment));
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }
void operator delete(void* at, std::align_val_t) noexcept { std::free(at); }
void operator delete(void* at, std::size_t, std::align_val_t) noexcept { std::free(at); }

namespace {
using namespace tenure;
using namespace std::chrono_literals;

int is_slow(int i) {
    const auto until = std::chrono::steady_clock::now() + 1ms;
    while (std::chrono::steady_clock::now() < until) {}
    return i;
}

TEST(AllocationFailure, EndsTheCallAndNothingElse) {
    int failed = 0;
    for (int n = 0; n < 12; ++n) {
        core::runtime rt({.threads = 0, .io = std::make_unique<io::epoll_driver>()});
        {
            process::pool p(rt, {.workers = 1});
            auto calls = [&]() -> core::task<> {
                auto call = p.call(wire::fn<&is_slow>, 3);
                good_allocations = n;
                try {
                    EXPECT_EQ(co_await std::move(call), 3);
                } catch (const std::bad_alloc&) {
                    ++failed;
                }
                good_allocations = -1;
                EXPECT_EQ(co_await p.call(wire::fn<&is_slow>, 4), 4);
            };
            auto bounded = [&]() -> core::task<> { co_await core::with_timeout(20s, calls); };
            rt.block_on(bounded);
        }
        EXPECT_TRUE(rt.audit().clean());
    }
    EXPECT_GT(failed, 0);
    EXPECT_LT(failed, 12);
}

} // namespace

int main(int argc, char** argv) {
    if (const auto status = process::enter_worker()) return *status;
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
