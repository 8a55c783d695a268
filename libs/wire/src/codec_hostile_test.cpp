// What is not a message is refused: with an error that says where, before memory is taken, and always.
#include "random_values.hpp"

#include <tenure/wire/codec.hpp>
#include <tenure/wire/view.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace {

using namespace tenure::wire;
using namespace wire_test;
using testing::HasSubstr;

enum old_enum { first = 1, second = 2 };
enum class narrow : int { low = -1, high = 4 };

std::size_t taken = 0; // bytes that counting allocators gave out

template <class T>
struct counting {
    using value_type = T;
    counting() = default;
    template <class U>
    counting(const counting<U>&) {}
    T* allocate(std::size_t n) {
        taken += n * sizeof(T);
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) { std::allocator<T>().deallocate(p, n); }
    bool operator==(const counting&) const { return true; }
};

template <class... T>
std::vector<std::byte> message_of(const T&... values) {
    writer w;
    (write(w, values), ...);
    return {w.message().begin(), w.message().end()};
}
/// The text of the error with which T is refused; the offset that the error names is appended.
template <class T>
std::string refusal(std::span<const std::byte> message, read_limits limits = {}) {
    try {
        (void)decode<T>(message, limits);
    } catch (const wire_error& e) {
        EXPECT_THAT(e.what(), HasSubstr("at offset " + std::to_string(e.offset()) + ":"));
        return e.what();
    }
    return "no error";
}

} // namespace

template <>
inline constexpr auto tenure::wire::enum_range<old_enum> = std::pair(first, second);
template <>
inline constexpr auto tenure::wire::enum_range<narrow> = std::pair(narrow::low, narrow::high);

namespace {

TEST(HostileMessage, ErrorsNameTypeOffsetAndReason) {
    EXPECT_EQ(refusal<std::int32_t>(message_of(std::uint8_t{1})),
              "cannot read int at offset 0: it takes 4 bytes, and 1 are left");
    EXPECT_THAT(
        (refusal<std::tuple<bool, std::vector<std::uint16_t>>>(message_of(true, std::uint64_t{3}, 7))),
        HasSubstr("at offset 9: 3 elements of at least 2 bytes do not fit into the 4 bytes that are left"));
    EXPECT_THAT(refusal<bool>(message_of(std::uint8_t{2})),
                HasSubstr("bool at offset 1: the byte before is neither"));
    EXPECT_THAT(refusal<std::optional<int>>(message_of(std::uint8_t{2}, 1)), HasSubstr("std::optional<int>"));
    EXPECT_THAT((refusal<std::variant<int, bool>>(message_of(std::uint8_t{2}, 1))),
                HasSubstr("index of no alternative"));
    EXPECT_THAT(refusal<std::monostate>(message_of(std::uint8_t{1})), HasSubstr("is not 0"));
    EXPECT_THAT(refusal<int>(message_of(1, 2)), HasSubstr("4 bytes are left that nobody asked for"));
    EXPECT_THAT((refusal<std::set<int>>(message_of(std::uint64_t{2}, 5, 5))), HasSubstr("occurs twice"));
    EXPECT_THAT((refusal<std::unordered_map<int, bool>>(message_of(std::uint64_t{2}, 5, true, 5, true))),
                HasSubstr("occurs twice"));
}

TEST(HostileMessage, EnumsOutsideOfTheirRange) {
    EXPECT_EQ(decode<old_enum>(encode(second)), second);
    EXPECT_THAT(refusal<old_enum>(encode(std::underlying_type_t<old_enum>{3})),
                HasSubstr("outside of its range"));
    EXPECT_EQ(decode<narrow>(encode(-1)), narrow::low);
    EXPECT_THAT(refusal<narrow>(encode(-2)), HasSubstr("outside of its range"));
    EXPECT_THAT(refusal<std::vector<narrow>>(message_of(std::uint64_t{1}, 5)),
                HasSubstr("outside of its range"));
}

TEST(HostileMessage, ACountTakesNoMemoryBeforeItIsChecked) {
    taken = 0;
    for (const std::uint64_t count :
         {std::uint64_t{2}, std::uint64_t{1} << 40, std::uint64_t{1} << 61, (std::uint64_t{1} << 63) - 1,
          std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
        const auto message = message_of(count);
        EXPECT_NE((refusal<std::vector<int, counting<int>>>(message)), "no error");
        EXPECT_NE((refusal<std::vector<std::string, counting<std::string>>>(message)), "no error");
        EXPECT_NE((refusal<std::list<std::monostate, counting<std::monostate>>>(message)), "no error");
        EXPECT_NE(refusal<std::string>(message), "no error");
        EXPECT_NE(refusal<view<double>>(message), "no error");
        EXPECT_NE((refusal<std::map<std::tuple<>, std::monostate>>(message)), "no error");
    }
    EXPECT_EQ(taken, 0U);
}

TEST(HostileMessage, ElementsOfEmptyTypesTakeAByteEach) {
    const std::vector<std::monostate> five(5);
    EXPECT_EQ(encode(five).size(), 8U + 5U);
    EXPECT_EQ(decode<std::vector<std::monostate>>(encode(five)).size(), 5U);
    EXPECT_EQ((encode(std::vector<std::array<int, 0>>(5)).size()), 8U + 5U);
}

TEST(HostileMessage, ALimitOfMemoryBoundsLargeElements) {
    using large = std::optional<std::array<char, 1000>>;
    const std::vector<large> many(1000); // a byte each in the message
    const auto message = encode(many);
    EXPECT_EQ(decode<std::vector<large>>(message), many);
    EXPECT_THAT(refusal<std::vector<large>>(message, {.memory = 100'000}),
                HasSubstr("may still take in memory"));
    EXPECT_THAT(refusal<std::string>(encode(std::string(11, 'a')), {.memory = 10}),
                HasSubstr("may still take"));
}

TEST(HostileMessage, NestingEndsBeforeTheStackDoes) {
    // A list of one tree, which has a list of one tree, ...
    std::vector<std::byte> message;
    for (int i = 0; i < 100'000; ++i) {
        const auto one = message_of(1, std::uint64_t{1});
        message.insert(message.end(), one.begin(), one.end());
    }
    EXPECT_THAT(refusal<tree>(message), HasSubstr("nested too deeply"));
}

TEST(HostileMessage, WhatIsNestedTooDeeplyIsNotWritten) {
    tree deep{0, {}, nullptr};
    for (int i = 1; i < max_depth; ++i)
        deep = tree{i, {}, std::make_unique<tree>(std::move(deep))};
    EXPECT_EQ(decode<tree>(encode(deep)).value, max_depth - 1);
    deep = tree{0, {}, std::make_unique<tree>(std::move(deep))};
    EXPECT_THROW((void)encode(deep), wire_error);
}

TEST(HostileMessage, SegmentsAreCounted) {
    const std::vector<std::uint32_t> values{1, 2, 3};
    writer w;
    w.out_of_band_from(1);
    write(w, values);
    const auto read_with = [&](std::span<const segment> segments) -> std::string {
        try {
            reader r(w.message(), segments);
            (void)read<std::vector<std::uint32_t>>(r);
            r.finish();
        } catch (const wire_error& e) {
            return e.what();
        }
        return "no error";
    };
    const segment whole = w.segments().at(0);
    EXPECT_EQ(read_with(w.segments()), "no error");
    EXPECT_THAT(read_with({}), HasSubstr("no segment is left"));
    EXPECT_THAT(read_with(std::vector{whole.first(11)}), HasSubstr("segment of 11 bytes"));
    EXPECT_THAT(read_with(std::vector{whole.first(8)}), HasSubstr("segment of 8 bytes"));
    EXPECT_THAT(read_with(std::vector{whole, whole}), HasSubstr("1 segments are left"));
}

TEST(HostileMessage, AVariantWithoutValueIsNotWritten) {
    std::variant<int, std::deque<char>> v;
    EXPECT_THROW(v.emplace<std::deque<char>>(v.index() - 1), std::length_error);
    ASSERT_TRUE(v.valueless_by_exception());
    EXPECT_THROW((void)encode(v), wire_error);
}

// Each change of a valid message either gives a value or an error, and nothing else happens (under the sanitizers).
TEST(HostileMessage, ChangedMessagesOfEverySeed) {
    std::size_t refused = 0;
    for (std::uint32_t seed = 1; seed <= 2000; ++seed) {
        source random(seed);
        auto message = encode(random.make<everything>());
        for (std::size_t n = 1 + random.below(3); n > 0; --n)
            message[random.below(message.size())] ^= static_cast<std::byte>(1 + random.below(255));
        if (random.below(2) == 0) message.resize(random.below(message.size()));
        refused += refusal<everything>(message, {.memory = 1 << 20}) != "no error" ? 1 : 0;
    }
    EXPECT_GT(refused, 1000U);
}

} // namespace
