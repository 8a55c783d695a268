// The shapes that GCC 12 miscompiles in coroutines, and what to write instead (docs/guide/compilers.md). What to write
// instead must work on every compiler; what GCC 12 does to the others is pinned here, so that a cure is noticed.
#include "core_test.hpp"

#include <functional>
#include <optional>

namespace {
using namespace core_test;

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
constexpr bool gcc12 = true;
#else
constexpr bool gcc12 = false;
#endif
constexpr int destroyed_twice = gcc12 ? -1 : 0; // how many live at the end

task<bool> yes() { co_return true; }
task<int> one() { co_return 1; }
int ran = 0; // how often a body was entered: a local would cure what is shown

// 1. A condition that awaits, in a coroutine without any local variable.
task<> if_without_local() {
    if (co_await yes()) ++ran;
}
task<> while_without_local() {
    while (co_await yes()) {
        ++ran;
        co_return;
    }
}
task<> for_without_local() {
    for (; co_await yes();) {
        ++ran;
        co_return;
    }
}
task<> do_without_local() {
    do
        ++ran;
    while (ran < 3 && co_await yes());
}
task<> switch_without_local() {
    switch (co_await one()) {
    case 1: ++ran; break;
    default: ran = -1;
    }
}
task<> parameter_is_no_local(int n) {
    if (co_await yes()) ran += n;
}
task<> awaited_before_the_condition() {
    const bool b = co_await yes();
    if (b) ++ran;
}
task<> any_local_cures() {
    const int n = 1;
    if (co_await yes()) ran += n;
}

class Traps : public virtual_test {
protected:
    void SetUp() override { ran = 0; }
    /// How many counted objects live when the coroutine has ended: 0, unless one was destroyed twice or never.
    template <class F, class... A>
    int left_by(F f, A... a) {
        ran = 0;
        run(f, std::ref(objects_), a...);
        return objects_.alive.exchange(0);
    }
};

TEST_F(Traps, ConditionThatAwaitsAfterALocal) {
    run(awaited_before_the_condition);
    EXPECT_EQ(ran, 1);
    run(any_local_cures);
    EXPECT_EQ(ran, 2);
}
TEST_F(Traps, ConditionThatAwaitsWithoutALocal) {
    if constexpr (gcc12) {
        EXPECT_DEATH(run(if_without_local), "");
        EXPECT_DEATH(run(while_without_local), "");
        EXPECT_DEATH(run(for_without_local), "");
        EXPECT_DEATH(run(do_without_local), "");
        EXPECT_DEATH(run(switch_without_local), "");
        EXPECT_DEATH(run(parameter_is_no_local, 1), "");
    } else {
        run(if_without_local);
        run(while_without_local);
        run(for_without_local);
        run(switch_without_local);
        run(parameter_is_no_local, 1);
        EXPECT_EQ(ran, 5);
        ran = 0;
        run(do_without_local);
        EXPECT_EQ(ran, 3);
    }
}

// 2. A temporary closure with captures, or a temporary aggregate, in an expression that awaits.
template <class F>
task<> call(F f) {
    f();
    ++ran;
    co_return;
}
struct pair_of {
    counted object;
    int number;
};
task<> take_pair(pair_of p) {
    ran += p.number;
    co_return;
}
task<> take_object(counted) {
    ++ran;
    co_return;
}

TEST_F(Traps, NamedClosure) {
    EXPECT_EQ(left_by([](tally& t) -> task<> {
                  const counted c(t);
                  auto f = [c] { (void)c; };
                  co_await call(f);
              }),
              0);
    EXPECT_EQ(ran, 1);
}
TEST_F(Traps, ClosureThatCapturesByReference) {
    EXPECT_EQ(left_by([](tally& t) -> task<> {
                  const counted c(t);
                  co_await call([&] { (void)c; });
              }),
              0);
    EXPECT_EQ(ran, 1);
}
TEST_F(Traps, TaskMadeInOneStatementAndAwaitedInTheNext) {
    EXPECT_EQ(left_by([](tally& t) -> task<> {
                  const counted c(t);
                  auto made = call([c] { (void)c; });
                  co_await std::move(made);
              }),
              0);
    EXPECT_EQ(ran, 1);
}
TEST_F(Traps, TemporaryOfATypeWithConstructors) {
    EXPECT_EQ(left_by([](tally& t) -> task<> { co_await take_object(counted(t)); }), 0);
    EXPECT_EQ(ran, 1);
}
TEST_F(Traps, TemporaryClosureWithCaptures) {
    EXPECT_EQ(left_by([](tally& t) -> task<> {
                  const counted c(t);
                  co_await call([c] { (void)c; });
              }),
              destroyed_twice);
    EXPECT_EQ(left_by([](tally& t) -> task<> {
                  const counted c(t);
                  co_await call(std::function<void()>([c] { (void)c; }));
              }),
              destroyed_twice);
}
TEST_F(Traps, TemporaryAggregate) {
    EXPECT_EQ(left_by([](tally& t) -> task<> { co_await take_pair(pair_of{counted(t), 1}); }),
              destroyed_twice);
    EXPECT_EQ(left_by([](tally& t) -> task<> { co_await take_pair({counted(t), 1}); }), destroyed_twice);
}

// 3. co_await inside ?: or inside the braces of an aggregate.
task<counted> make(tally& t) { co_return counted(t); }

TEST_F(Traps, IfInsteadOfTheConditionalOperator) {
    EXPECT_EQ(left_by([](tally& t) -> task<> {
                  std::optional<counted> c;
                  if (ran == 0)
                      c.emplace(co_await make(t));
                  else
                      c.emplace(t);
                  ++ran;
              }),
              0);
    EXPECT_EQ(ran, 1);
}
TEST_F(Traps, AggregateOfWhatWasAwaitedBefore) {
    EXPECT_EQ(left_by([](tally& t) -> task<> {
                  const counted c = co_await make(t);
                  const pair_of p{c, 1};
                  ran += p.number;
              }),
              0);
    EXPECT_EQ(ran, 1);
}
TEST_F(Traps, ConditionalOperatorThatAwaits) {
    for (const bool first : {true, false})
        EXPECT_EQ(left_by(
                      [](tally& t, bool b) -> task<> {
                          const counted c = b ? co_await make(t) : counted(t);
                          (void)c;
                      },
                      first),
                  destroyed_twice);
}
TEST_F(Traps, AggregateWhoseBracesAwait) {
    EXPECT_EQ(left_by([](tally& t) -> task<> {
                  const pair_of p{co_await make(t), 1};
                  ran += p.number;
              }),
              destroyed_twice);
    EXPECT_EQ(left_by([](tally& t) -> task<> {
                  const pair_of p{counted(t), co_await one()};
                  ran += p.number;
              }),
              destroyed_twice);
}

} // namespace
