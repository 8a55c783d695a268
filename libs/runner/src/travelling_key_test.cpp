#include <tenure/core/context_scope.hpp>
#include <tenure/core/runtime.hpp>
#include <tenure/runner/travelling_key.hpp>
#include <tenure/wire/wire_error.hpp>

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace tenure;
using core::task;
using core::with_value;
using runner::travelling_key;

const travelling_key<std::string> trace_id{"test.trace_id"};
const travelling_key<std::map<std::string, int>> settings{"test.settings"};
const std::map<std::string, int> one{{"a", 1}};
const core::context_key<int> stays{"test.stays"};

std::vector<std::byte> written() {
    const auto* const s = core::detail::current_strand();
    wire::writer w;
    runner::write_travelling_values(w, *s);
    EXPECT_EQ(w.size() != 0, runner::has_travelling_values(*s));
    return {w.message().begin(), w.message().end()};
}
template <class T>
std::optional<T> value_in(const std::vector<std::byte>& message, const core::context_key<T>& key) {
    const auto bound = runner::read_travelling_values(message);
    const auto* const v = bound ? static_cast<const T*>(bound->find(&key)) : nullptr;
    return v ? std::optional(*v) : std::nullopt;
}
template <class F>
void run(F body) {
    core::runtime rt({.threads = 0});
    rt.block_on(body);
}

TEST(TravellingKey, WithoutAValueNothingIsWritten) {
    run([]() -> task<> {
        EXPECT_TRUE(written().empty());
        auto body = []() -> task<> {
            EXPECT_TRUE(written().empty());
            co_return;
        };
        co_await with_value(stays, 7, body);
    });
    EXPECT_FALSE(runner::read_travelling_values({}));
}
TEST(TravellingKey, TheNearestValueOfEachKeyArrives) {
    run([]() -> task<> {
        auto inside = []() -> task<> {
            const auto message = written();
            EXPECT_EQ(value_in(message, trace_id), "inner");
            EXPECT_EQ(value_in(message, settings), one);
            EXPECT_EQ(value_in(message, stays), std::nullopt);
            std::string all(reinterpret_cast<const char*>(message.data()), message.size());
            EXPECT_EQ(all.find("outer"), std::string::npos);
            co_return;
        };
        auto inner = [&]() -> task<> { co_await with_value(trace_id, std::string("inner"), inside); };
        auto other = [&]() -> task<> { co_await with_value(stays, 7, inner); };
        auto middle = [&]() -> task<> { co_await with_value(settings, one, other); };
        co_await with_value(trace_id, std::string("outer"), middle);
    });
}
TEST(TravellingKey, AMessageThatIsNotRightIsRefused) {
    run([]() -> task<> {
        auto body = []() -> task<> {
            auto message = written();
            const std::size_t name_ends = 8 + std::string("test.trace_id").size();
            for (std::size_t n = 1; n < message.size(); ++n)
                EXPECT_THROW((void)runner::read_travelling_values(std::span(message).first(n)),
                             wire::wire_error)
                    << n;
            auto longer = message; // the value has a byte more than the string in it
            longer.push_back(std::byte{});
            longer[name_ends] = std::byte{8 + 3 + 1};
            EXPECT_THROW((void)runner::read_travelling_values(longer), wire::wire_error);
            auto huge = message;
            std::fill_n(huge.begin() + static_cast<std::ptrdiff_t>(name_ends), 8, std::byte{0xFF});
            EXPECT_THROW((void)runner::read_travelling_values(huge), wire::wire_error);
            auto unknown = message; // of a program that has other keys
            unknown[8] = std::byte{'T'};
            EXPECT_EQ(value_in(unknown, trace_id), std::nullopt);
            unknown.insert(unknown.end(), message.begin(), message.end());
            EXPECT_EQ(value_in(unknown, trace_id), "a-1");
            co_return;
        };
        co_await with_value(trace_id, std::string("a-1"), body);
    });
}
TEST(TravellingKey, TwoKeysOfOneNameAreTold) {
    run([]() -> task<> {
        auto body = []() -> task<> {
            const auto message = written();
            {
                const travelling_key<int> same{"test.trace_id"};
                for (const bool reads : {false, true})
                    try {
                        (void)(reads ? value_in(message, trace_id).has_value() : written().empty());
                        ADD_FAILURE();
                    } catch (const base::usage_error& e) {
                        EXPECT_NE(std::string(e.what()).find("two keys of the name \"test.trace_id\""),
                                  std::string::npos)
                            << e.what();
                    }
            }
            EXPECT_EQ(value_in(written(), trace_id), "a-1"); // it is alone again
            co_return;
        };
        co_await with_value(trace_id, std::string("a-1"), body);
    });
}
TEST(TravellingKey, TheValueOfAKeyThatHasGoneIsLeftBehind) {
    run([]() -> task<> {
        std::unique_ptr<travelling_key<int>> key(new travelling_key<int>("test.gone"));
        auto body = [&]() -> task<> {
            const auto message = written();
            EXPECT_EQ(value_in(message, *key), 7);
            key.reset();
            wire::writer w;
            runner::write_travelling_values(w, *core::detail::current_strand());
            EXPECT_EQ(w.size(), 0u);
            EXPECT_FALSE(runner::read_travelling_values(message));
            co_return;
        };
        co_await with_value(*key, 7, body);
    });
}

} // namespace
