// What is written is read again, in the bytes that docs/reference/wire_format.md promises.
#include "random_values.hpp"

#include <tenure/wire/codec.hpp>
#include <tenure/wire/view.hpp>

#include <gtest/gtest.h>

#include <filesystem>

namespace {

using namespace std::chrono_literals;
using namespace tenure::wire;
using namespace wire_test;

std::string hex(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte b : bytes) {
        constexpr char digits[] = "0123456789abcdef";
        text += digits[static_cast<unsigned>(b) >> 4];
        text += digits[static_cast<unsigned>(b) & 15];
    }
    return text;
}
template <class T>
std::string hex_of(const T& v) {
    return hex(encode(v));
}
template <class T>
T again(const T& v) {
    return decode<T>(encode(v));
}
template <class T>
void expect_again(const T& v) {
    EXPECT_EQ(again(v), v) << detail::name_of<T>;
}

class money {
public:
    explicit money(std::int64_t cents) : cents_(cents) {}
    std::int64_t cents() const { return cents_; }

private:
    std::int64_t cents_;
};
/// Its codec writes what dies before the message is sent.
struct shouted {
    std::string text;
    explicit shouted(std::string t) : text(std::move(t)) {}
};
struct silent {
    explicit silent(int) {}
};

} // namespace

template <>
struct tenure::wire::codec<money> {
    static void write(writer& w, const money& m) { tenure::wire::write(w, m.cents()); }
    static money read(reader& r) { return money(tenure::wire::read<std::int64_t>(r)); }
    static constexpr std::size_t min_size = 8;
};
template <>
struct tenure::wire::codec<shouted> {
    static void write(writer& w, const shouted& s) {
        const std::string loud = s.text + "!";
        tenure::wire::write(w, loud);
    }
    static shouted read(reader& r) { return shouted(tenure::wire::read<std::string>(r)); }
};
template <>
struct tenure::wire::codec<silent> {
    static void write(writer&, const silent&) {}
    static silent read(reader&) { return silent(0); }
};

namespace {

TEST(Codec, TheBytesOfEachKind) {
    EXPECT_EQ(hex_of(true), "01");
    EXPECT_EQ(hex_of(std::int32_t{-2}), "feffffff");
    EXPECT_EQ(hex_of(std::uint64_t{0x0102030405060708}), "0807060504030201");
    EXPECT_EQ(hex_of(1.5), "000000000000f83f");
    EXPECT_EQ(hex_of(-0.0F), "00000080");
    EXPECT_EQ(hex_of(color::blue), "02");
    EXPECT_EQ(hex_of(std::string("abc")), "0300000000000000616263");
    EXPECT_EQ(hex_of(std::string_view("abc")), hex_of(std::string("abc")));
    EXPECT_EQ(hex_of(std::vector<std::uint16_t>{1, 2}), "020000000000000001000200");
    EXPECT_EQ(hex_of(std::list<std::uint16_t>{1, 2}), hex_of(std::vector<std::uint16_t>{1, 2}));
    EXPECT_EQ(hex_of(std::vector<bool>{true, false}), "02000000000000000100");
    EXPECT_EQ(hex_of(std::vector<std::string>{"a"}), "0100000000000000010000000000000061");
    EXPECT_EQ(hex_of(std::map<std::uint8_t, bool>{{7, true}}), "01000000000000000701");
    EXPECT_EQ(hex_of(std::set<std::uint8_t>{7}), "010000000000000007");
    EXPECT_EQ(hex_of(std::array<std::uint8_t, 3>{1, 2, 3}), "010203");
    EXPECT_EQ(hex_of(std::pair<std::uint8_t, bool>(9, true)), "0901");
    EXPECT_EQ(hex_of(std::tuple<std::uint8_t, bool, std::string>(9, true, "z")), "0901"
                                                                                 "01000000000000007a");
    EXPECT_EQ(hex_of(std::optional<std::uint8_t>()), "00");
    EXPECT_EQ(hex_of(std::optional<std::uint8_t>(5)), "0105");
    EXPECT_EQ(hex_of(std::make_unique<std::uint8_t>(std::uint8_t{5})), "0105");
    EXPECT_EQ(hex_of(std::variant<bool, std::uint8_t>(std::uint8_t{6})), "0106");
    EXPECT_EQ(hex_of(std::monostate()), "00");
    EXPECT_EQ(hex_of(std::tuple<>()), "00");
    EXPECT_EQ(hex_of(2ms), "0200000000000000");
    EXPECT_EQ(hex_of(std::chrono::system_clock::time_point(3ns)), "0300000000000000");
    EXPECT_EQ(hex_of(std::filesystem::path("/a")), "02000000000000002f61");
    // Members follow each other without padding.
    EXPECT_EQ(hex_of(padded{1, 2, 3}), "01"
                                       "02000000"
                                       "03");
    EXPECT_EQ(hex_of(money(258)), "0201000000000000");
}

TEST(Codec, WhatIsWrittenIsRead) {
    expect_again(false);
    expect_again('x');
    expect_again(std::numeric_limits<double>::infinity());
    expect_again(std::byte{7});
    expect_again(u'\u00e9');
    expect_again(std::string(100'000, 'y'));
    expect_again(std::wstring(L"wide"));
    expect_again(std::vector<padded>{{1, 2, 3}, {4, 5, 6}});
    expect_again(std::vector<point>{{1, 2}, {3, 4}});
    expect_again(std::deque<std::string>{"a", ""});
    expect_again(std::unordered_map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
    expect_again(std::unordered_set<int>{3, 1, 2});
    expect_again(std::multimap<int, int>{{1, 2}, {1, 3}});
    expect_again(std::array<std::string, 2>{"p", "q"});
    expect_again(std::array<int, 0>());
    expect_again(std::optional<std::optional<int>>(std::optional<int>()));
    expect_again(std::variant<std::monostate, int, std::string>("text"));
    expect_again(std::chrono::duration<float, std::milli>(1.5F));
    expect_again(std::filesystem::path("dir") / "file");
    expect_again(std::map<std::string, std::map<int, std::vector<double>>>{{"k", {{1, {1, 2}}}}});
    EXPECT_EQ(again(money(-5)).cents(), -5);
    EXPECT_EQ(*again(std::make_unique<std::string>("owned")), "owned");
    EXPECT_EQ(again(std::unique_ptr<int>()), nullptr);
}

TEST(Codec, FloatsKeepEachBit) {
    const auto nan = std::bit_cast<double>(std::uint64_t{0x7ff0dead0000beef});
    EXPECT_EQ(std::bit_cast<std::uint64_t>(again(nan)), 0x7ff0dead0000beefU);
}

TEST(Codec, MembersNeedNoDefaultConstructor) {
    struct bill {
        const int number;
        money amount;
    };
    const auto b = again(bill{3, money(99)});
    EXPECT_EQ(b.number, 3);
    EXPECT_EQ(b.amount.cents(), 99);
    EXPECT_EQ(decode<std::vector<money>>(encode(std::vector<money>{money(1), money(2)})).at(1).cents(), 2);
}

TEST(Codec, ATreeIsReadToAnyShape) {
    tree t{1, {}, nullptr};
    t.children.push_back(tree{2, {}, std::make_unique<tree>(tree{3, {}, nullptr})});
    const tree read = decode<tree>(encode(t));
    EXPECT_EQ(read.children.at(0).next->value, 3);
}

TEST(Codec, RandomValuesOfEverySeed) {
    for (std::uint32_t seed = 1; seed <= 200; ++seed) {
        source random(seed);
        const auto v = random.make<everything>();
        EXPECT_EQ(again(v), v) << "seed " << seed;
    }
}

TEST(Codec, SeveralValuesInOneMessage) {
    writer w;
    write(w, 1);
    write(w, std::string("two"));
    reader r(w.message());
    EXPECT_EQ(read<int>(r), 1);
    EXPECT_EQ(read<std::string>(r), "two");
    r.finish();
}

TEST(Codec, AWriterBeginsInTheMemoryThatItWasGiven) {
    alignas(8) std::byte place[64];
    writer w(place);
    write(w, std::string(40, 'a'));
    EXPECT_EQ(w.message().data(), place);
    write(w, std::string(40, 'b'));
    EXPECT_NE(w.message().data(), place);
    reader r(w.message());
    EXPECT_EQ(read<std::string>(r), std::string(40, 'a'));
    EXPECT_EQ(read<std::string>(r), std::string(40, 'b'));
    w.clear();
    EXPECT_EQ(w.size(), 0U);
}

TEST(Codec, AValueThatWritesNothingIsNoticed) {
    writer w;
    EXPECT_THROW(write(w, silent(1)), wire_error);
}

TEST(OutOfBand, LargeBlocksStayWhereTheyAre) {
    const std::vector<double> large{1, 2, 3, 4};
    const std::string text(32, 't');
    const std::vector<int> small{1};
    writer w;
    w.out_of_band_from(32);
    write(w, large);
    write(w, small);
    write(w, text);
    ASSERT_EQ(w.segments().size(), 2U);
    EXPECT_EQ(static_cast<const void*>(w.segments()[0].data()), large.data());
    EXPECT_EQ(hex(w.message()), "0400000000000080"
                                "0100000000000000"
                                "01000000"
                                "2000000000000080");

    reader r(w.message(), w.segments());
    EXPECT_EQ(read<std::vector<double>>(r), large);
    EXPECT_EQ(read<std::vector<int>>(r), small);
    EXPECT_EQ(read<std::string>(r), text);
    r.finish();
}

TEST(OutOfBand, AViewReadsASegmentInPlace) {
    const std::vector<double> large{1, 2, 3, 4};
    writer w;
    w.out_of_band_from(1);
    write(w, large);
    reader r(w.message(), w.segments());
    const auto v = read<view<double>>(r);
    EXPECT_EQ(v.data(), large.data());
    EXPECT_EQ(v.size(), 4U);
}

TEST(OutOfBand, AViewOfMisalignedElementsIsACopy) {
    writer w;
    write(w, std::uint8_t{1});
    write(w, std::vector<double>{1.5, 2.5});
    write(w, std::string("chars"));
    reader r(w.message());
    (void)read<std::uint8_t>(r);
    view<double> v = read<view<double>>(r);
    const view<double> copy = v;
    const view<double> moved = std::move(v);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(moved.data()) % alignof(double), 0U);
    EXPECT_NE(copy.data(), moved.data());
    EXPECT_EQ(copy[1], 2.5);
    EXPECT_EQ(moved[1], 2.5);
    const auto chars = read<view<char>>(r);
    EXPECT_EQ(std::string_view(chars), "chars");
    EXPECT_EQ(static_cast<const void*>(chars.data()), w.message().data() + w.size() - 5);
}

/// A container that makes its elements as they are asked for.
struct lines {
    using value_type = std::string;
    std::size_t n = 0;
    struct iterator {
        std::size_t i;
        std::string operator*() const { return std::string(100, static_cast<char>('a' + i)); }
        iterator& operator++() { return ++i, *this; }
        bool operator==(const iterator&) const = default;
    };
    std::size_t size() const { return n; }
    iterator begin() const { return {0}; }
    iterator end() const { return {n}; }
    void push_back(const std::string&) { ++n; }
};

TEST(OutOfBand, ElementsThatAContainerMakesAreCopied) {
    writer w;
    w.out_of_band_from(1);
    const lines three{3};
    write(w, three);
    EXPECT_TRUE(w.segments().empty());
    EXPECT_EQ(decode<std::vector<std::string>>(w.message()).at(2), std::string(100, 'c'));
}

TEST(OutOfBand, TemporariesAreCopied) {
    writer w;
    w.out_of_band_from(1);
    write(w, std::string("temporary"));
    const shouted s("what a codec makes is temporary");
    write(w, s);
    EXPECT_TRUE(w.segments().empty());
    const std::string lasting("lasting");
    write(w, lasting);
    EXPECT_EQ(w.segments().size(), 1U);
}

} // namespace
