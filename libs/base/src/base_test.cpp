#include <tenure/base/clock.hpp>
#include <tenure/base/error.hpp>
#include <tenure/base/outcome.hpp>
#include <tenure/base/ref.hpp>

#include <gtest/gtest.h>

#include <string>

namespace {
using namespace tenure::base;
using namespace std::chrono_literals;

TEST(Clock, ConvertsAndSaturates) {
    EXPECT_EQ(to_duration(3ms), duration(3'000'000));
    EXPECT_EQ(to_duration(std::chrono::hours::max()), duration::max());
    EXPECT_EQ(to_duration(std::chrono::hours::min()), duration::min());
    EXPECT_EQ(to_duration(std::chrono::duration<double>(1e300)), duration::max());
    EXPECT_EQ(to_duration(std::chrono::duration<double>(0.5)), duration(500ms));
    EXPECT_EQ(to_duration(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())),
              duration::zero());
}
TEST(Clock, AddingNeverWraps) {
    const time_point t{1s};
    EXPECT_EQ(saturating_add(t, 1s), time_point{2s});
    EXPECT_EQ(saturating_add(t, duration::max()), never);
    EXPECT_EQ(saturating_add(never, 1ns), never);
    EXPECT_EQ(saturating_add(time_point::min(), -1ns), time_point::min());
    EXPECT_EQ(saturating_add(t, -3s), time_point{-2s});
}

task_label label() { return {7, "fetch", spawn_site::current()}; }

TEST(Error, NamesTheTaskAndItsSpawnSite) {
    const timeout_error e("no answer within 3 s", label());
    const std::string what = e.what();
    EXPECT_NE(what.find("no answer within 3 s (task 7 'fetch' spawned at base_test.cpp:"), std::string::npos)
        << what;
    EXPECT_EQ(e.task().id, 7u);
    EXPECT_EQ(error("plain").what(), std::string("plain"));
}
TEST(Error, GroupErrorPrintsEveryFailure) {
    const group_error e({std::make_exception_ptr(error("one")), std::make_exception_ptr(3)});
    EXPECT_EQ(e.errors().size(), 2u);
    EXPECT_EQ(std::string(e.what()),
              "2 tasks of the group failed:\n  one\n  an exception that is no std::exception");
}
TEST(Error, CancelledIsNoStdException) {
    EXPECT_FALSE((std::is_base_of_v<std::exception, cancelled>));
    EXPECT_EQ(describe(std::make_exception_ptr(cancelled{})), "cancelled");
    EXPECT_EQ(describe(nullptr), "no error");
}

TEST(Outcome, IsExactlyOneOfThree) {
    const auto v = outcome<int>::success(7);
    EXPECT_TRUE(v.has_value() && !v.has_failed() && !v.was_cancelled());
    EXPECT_EQ(v.value(), 7);
    EXPECT_EQ(v.error(), nullptr);
    const auto f = outcome<int>::failure(std::make_exception_ptr(error("bad")));
    EXPECT_TRUE(f.has_failed());
    EXPECT_THROW((void)f.value(), error);
    const auto c = outcome<void>::cancelled(std::make_shared<cause>(cause{reason::deadline, "too late"}));
    EXPECT_TRUE(c.was_cancelled());
    EXPECT_EQ(c.why()->kind, reason::deadline);
    try {
        (void)c.value();
        FAIL() << "value() of a cancelled outcome must throw";
    } catch (const task_cancelled& e) {
        EXPECT_EQ(std::string(e.what()), "cancelled: too late");
    }
    EXPECT_TRUE(outcome<void>::success().has_value());
}
TEST(Outcome, MovesItsValueOut) {
    auto o = outcome<std::unique_ptr<int>>::success(std::make_unique<int>(5));
    const std::unique_ptr<int> p = std::move(o).value();
    EXPECT_EQ(*p, 5);
}

struct counted final : ref_counted {
    explicit counted(int& n) : alive(n) { ++alive; }
    ~counted() override { --alive; }
    int& alive;
};
TEST(Ref, LastOneOutDisposes) {
    int alive = 0;
    {
        auto a = ref<counted>::adopt(new counted(alive));
        auto b = a;
        auto c = std::move(a);
        EXPECT_FALSE(a); // NOLINT(bugprone-use-after-move): a moved-from ref is empty, which is promised
        EXPECT_EQ(b.get(), c.get());
        b = nullptr;
        EXPECT_EQ(alive, 1);
        auto d = ref<ref_counted>(c);
        c = nullptr;
        EXPECT_EQ(alive, 1);
    }
    EXPECT_EQ(alive, 0);
}
} // namespace
