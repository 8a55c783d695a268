#include <tenure/core/sleep.hpp>
#include <tenure/core/testing.hpp>
#include <tenure/runner/local.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace tenure::inline v0::runner {
namespace {

using namespace std::chrono_literals;
using core::runtime;
using core::task;

int add(int a, int b) { return a + b; }
std::string joined(const std::string& a, const std::string& b) { return a + b; }
std::size_t length(const wire::view<char>& text) { return text.size(); }
std::unique_ptr<int> plus_one(std::unique_ptr<int> p) {
    ++*p;
    return p;
}
void nothing() {}
void fails() { throw std::runtime_error("as told"); }
struct scaled {
    int by;
    int operator()(int x) const { return x * by; }
};

/// Runs jobs as another process would: all that passes between them is bytes.
class by_message final : public runner {
public:
    task<> run(job& j) override {
        wire::writer call;
        call.out_of_band_from(64);
        j.write_call(call);
        const std::vector<std::byte> sent(call.message().begin(), call.message().end());
        wire::reader received(sent, call.segments());
        wire::writer answer;
        wire::run_call(functions_, received, answer);
        wire::reader result(answer.message());
        j.read_result(result);
        co_return;
    }
    unsigned width() const noexcept override { return 1; }
    std::string_view kind() const noexcept override { return "by message"; }

private:
    wire::function_table functions_;
};
class forgetful final : public runner {
public:
    task<> run(job&) override { co_return; }
    unsigned width() const noexcept override { return 1; }
    std::string_view kind() const noexcept override { return "forgetful"; }
};

class Call : public ::testing::Test {
protected:
    runtime rt_{core::testing::virtual_time()};
    by_message elsewhere_;
    inline_runner here_;
    threads threads_{2};
    const std::vector<runner*> all_{&elsewhere_, &here_, &threads_};

    void TearDown() override {
        (void)rt_.close();
        EXPECT_TRUE(rt_.audit().clean());
    }
};

TEST_F(Call, IsTheSameOnEveryRunner) {
    for (runner* r : all_) {
        SCOPED_TRACE(r->kind());
        rt_.block_on([r]() -> task<> {
            EXPECT_EQ(co_await call(*r, fn<&add>, 3, 4), 7);
            EXPECT_EQ(co_await call(*r, fn<&joined>, "a", std::string("b")), "ab");
            const auto product = [](int a, int b) { return a * b; };
            EXPECT_EQ(co_await call(*r, product, 3, 4), 12);
            const scaled twice{.by = 2};
            EXPECT_EQ(co_await call(*r, twice, 4), 8);
            EXPECT_EQ(*co_await call(*r, fn<&plus_one>, std::make_unique<int>(1)), 2);
            const std::string text(1000, 'x');
            EXPECT_EQ(co_await call(*r, fn<&length>, text), 1000u);
            co_await call(*r, fn<&nothing>);
        });
    }
}
TEST_F(Call, ArgumentsAreConvertedAtOnce) {
    for (runner* r : all_) {
        SCOPED_TRACE(r->kind());
        rt_.block_on([r]() -> task<> {
            std::string a = "a";
            auto later = call(*r, fn<&joined>, a.c_str(), a);
            a = "changed";
            EXPECT_EQ(co_await std::move(later), "aa");
        });
    }
}
TEST_F(Call, RunnerThatForgetsTheJobIsNamed) {
    forgetful r;
    try {
        rt_.block_on([&r]() -> task<> { (void)co_await call(r, fn<&add>, 3, 4); });
        FAIL();
    } catch (const base::usage_error& e) {
        EXPECT_NE(std::string_view(e.what()).find("add"), std::string_view::npos) << e.what();
    }
}

class Submit : public Call {};

TEST_F(Submit, IsATaskOfAGroupOrRuntime) {
    for (runner* r : all_) {
        SCOPED_TRACE(r->kind());
        auto of_runtime = submit(rt_, *r, fn<&add>, 3, 4);
        rt_.block_on([r]() -> task<> {
            auto body = [r](core::group g) -> task<> {
                auto sum = submit(g, *r, fn<&add>, 3, 4);
                EXPECT_EQ(co_await sum, 7);
                co_await submit(g, *r, fn<&nothing>);
            };
            co_await core::with_group(body);
        });
        rt_.block_on([&]() -> task<> { EXPECT_EQ(co_await of_runtime, 7); });
    }
}
TEST_F(Submit, TaskIsNamedAfterTheFunctionAndThePlaceOfTheCall) {
    const auto sum = submit(rt_, here_, fn<&add>, 3, 4);
    EXPECT_NE(sum.label().name.find("add"), std::string::npos) << sum.label().name;
    EXPECT_EQ(sum.label().name.find("function_constant"), std::string::npos) << sum.label().name;
    EXPECT_NE(base::to_string(sum.label()).find("runner_test.cpp:"), std::string::npos);
    EXPECT_EQ(submit(rt_, here_, fn<&add>, 3, 4).label().name, sum.label().name);
    rt_.block_on([&]() -> task<> { (void)co_await sum; });
}
TEST_F(Submit, KeepsWhatAViewWillShow) {
    for (runner* r : all_) {
        SCOPED_TRACE(r->kind());
        auto n = submit(rt_, *r, fn<&length>, std::string(1000, 'x'));
        auto m = submit(rt_, *r, fn<&length>, std::vector<char>(500));
        rt_.block_on([&]() -> task<> {
            EXPECT_EQ(co_await n, 1000u);
            EXPECT_EQ(co_await m, 500u);
        });
    }
}
TEST_F(Submit, FutureAsAnArgumentBecomesItsValue) {
    for (runner* r : all_) {
        SCOPED_TRACE(r->kind());
        auto sum = submit(rt_, *r, fn<&add>, 3, 4);
        auto first = submit(rt_, *r, fn<&nothing>);
        auto both = submit(rt_, *r, fn<&add>, sum, 1);
        auto after = submit(rt_, *r, fn<&add>, first, 1, 2);
        rt_.block_on([&]() -> task<> {
            EXPECT_EQ(co_await both, 8);
            EXPECT_EQ(co_await after, 3);
        });
    }
}
TEST_F(Submit, DroppedHandleLosesNothing) {
    std::vector<std::string> unread;
    runtime rt({.threads = 1, .on_unread_failure = [&unread](const core::unread_failure& f) {
                    unread.push_back(base::describe(f.error));
                }});
    (void)submit(rt, here_, fn<&fails>);
    (void)submit(rt, threads_, fn<&fails>);
    (void)rt.close();
    EXPECT_EQ(unread, (std::vector<std::string>{"as told", "as told"}));
}

TEST(RemoteError, TellsTypeAndMessage) {
    const remote_error e("ns::my_error", "no such file");
    EXPECT_EQ(e.type(), "ns::my_error");
    EXPECT_EQ(e.message(), "no such file");
    EXPECT_STREQ(e.what(), "ns::my_error: no such file");
}
TEST(Threads, CancelledAtEveryPointLosesNoPlace) {
    threads one(1);
    const auto calls = [&one]() -> task<> {
        auto body = [&one](core::group g) -> task<> {
            auto first = submit(g, one, fn<&add>, 1, 2);
            auto second = submit(g, one, fn<&joined>, "a", "b"); // waits for the place
            EXPECT_EQ(co_await first, 3);
            EXPECT_EQ(co_await second, "ab");
        };
        co_await core::with_group(body);
    };
    const auto place_is_free = [&one] {
        runtime rt(core::testing::virtual_time());
        rt.block_on([&one]() -> task<> { EXPECT_EQ(co_await call(one, fn<&add>, 3, 4), 7); });
    };
    EXPECT_GT(core::testing::cancel_at_every_point(calls, place_is_free), 3u);
}
TEST(Threads, NoneIsRefused) { EXPECT_THROW(threads(0), base::usage_error); }

} // namespace
} // namespace tenure::inline v0::runner
