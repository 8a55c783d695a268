#include <tenure/core/runtime.hpp>
#include <tenure/core/stand_in.hpp>
#include <tenure/core/this_task.hpp>

#include <gtest/gtest.h>

#include <future>

namespace tenure::inline v0::core {
namespace {

TEST(StandIn, WorksInPlaceOfAWorkerThatIsStuck) {
    runtime rt({.threads = 1});
    stand_in worker;
    std::promise<void> stuck, let_go;
    auto first = rt.submit([&] {
        worker.begin();
        stuck.set_value();
        let_go.get_future().wait();
        worker.end();
    });
    stuck.get_future().wait();
    auto second = rt.submit([] { return 2; });
    EXPECT_FALSE(second.wait_for(std::chrono::milliseconds(1)));
    EXPECT_TRUE(worker.call());
    EXPECT_FALSE(worker.call()); // one is enough
    EXPECT_EQ(second.get(), 2);  // although the only worker is stuck
    EXPECT_EQ(rt.audit().lent_workers, 1u);
    let_go.set_value();
    first.get();
    EXPECT_EQ(rt.audit().lent_workers, 0u);
    EXPECT_FALSE(worker.call()); // nothing is stuck any more
    rt.close();
    EXPECT_TRUE(rt.audit().clean());
}

TEST(StandIn, IsNotCalledWhereThereIsNoWorkerToReplace) {
    stand_in worker;
    worker.begin(); // outside of a task
    EXPECT_FALSE(worker.call());
    worker.end();
    for (const unsigned threads : {0u, 1u}) {
        runtime rt({.threads = threads});
        if (threads == 0)
            rt.block_on([&] { // a worker that nobody could replace
                worker.begin();
                EXPECT_FALSE(worker.call());
                worker.end();
            });
        rt.block_on([&]() -> task<> { // a coroutine does not block its worker
            worker.begin();
            EXPECT_FALSE(worker.call());
            worker.end();
            co_return;
        });
    }
}

TEST(MayBlock, EverywhereButInACoroutine) {
    EXPECT_TRUE(this_task::may_block());
    runtime rt({.threads = 1});
    EXPECT_TRUE(rt.submit([] { return this_task::may_block(); }).get());
    EXPECT_FALSE(rt.block_on([]() -> task<bool> { co_return this_task::may_block(); }));
}

} // namespace
} // namespace tenure::inline v0::core
