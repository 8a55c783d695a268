#include "map/item_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>

namespace tenure::inline v0::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Everything that `source` gives while `input` is fed in pieces of `step` bytes.
std::vector<std::string> all(item_source& source, std::string_view input, std::size_t step) {
    std::vector<std::string> items;
    for (;;) {
        while (auto next = source.next()) {
            EXPECT_EQ(next->seq, items.size() + 1);
            EXPECT_EQ(next->bytes, next->text.size());
            items.push_back(std::move(next->text));
        }
        if (source.exhausted()) return items;
        if (!source.wants_bytes()) {
            ADD_FAILURE() << "neither an item, nor exhausted, nor wanting bytes";
            return items;
        }
        if (input.empty()) {
            source.finish();
        } else {
            source.feed(input.substr(0, step));
            input.remove_prefix(std::min(step, input.size()));
        }
    }
}

std::vector<std::string> items(char separator, std::string_view input) {
    std::vector<std::string> first;
    for (std::size_t step : std::initializer_list<std::size_t>{1, 2, 3, 7, 100000}) {
        auto source = item_source::of_bytes(separator);
        auto got = all(source, input, step);
        EXPECT_EQ(source.total(), got.size());
        if (step == 1)
            first = got;
        else
            EXPECT_EQ(got, first) << "in pieces of " << step;
    }
    return first;
}

TEST(ItemLines, OneEach) {
    EXPECT_THAT(items('\n', "a\nb\nc\n"), ElementsAre("a", "b", "c"));
    EXPECT_THAT(items('\n', "a\nb\nc"), ElementsAre("a", "b", "c")) << "the last newline may be missing";
}

TEST(ItemLines, EmptyOnesAreSkipped) {
    EXPECT_THAT(items('\n', ""), IsEmpty());
    EXPECT_THAT(items('\n', "\n\n\n"), IsEmpty());
    EXPECT_THAT(items('\n', "\n\na\n\n\nb\n\n"), ElementsAre("a", "b"));
}

TEST(ItemLines, KeepEveryOtherByte) {
    EXPECT_THAT(items('\n', " a b \t\r\n'q' \"d\" \\ #\n-x\n\xff\xfe\n"),
                ElementsAre(" a b \t\r", "'q' \"d\" \\ #", "-x", "\xff\xfe"));
    EXPECT_THAT(items('\n', std::string_view("a\0b\n", 4)), ElementsAre(std::string("a\0b", 3)));
}

TEST(ItemNul, NewlinesBelongToItems) {
    EXPECT_THAT(items('\0', std::string_view("a\nb\0c\0", 6)), ElementsAre("a\nb", "c"));
    EXPECT_THAT(items('\0', std::string_view("a\0b", 3)), ElementsAre("a", "b"));
}

TEST(ItemNul, EmptyItemsAreItems) {
    EXPECT_THAT(items('\0', std::string_view("\0a\0\0", 4)), ElementsAre("", "a", ""));
    EXPECT_THAT(items('\0', ""), IsEmpty());
}

TEST(ItemList, GivesWhatItHas) {
    auto source = item_source::of_list({"a", "", "b\nc"});
    EXPECT_EQ(source.total(), 3U);
    EXPECT_FALSE(source.wants_bytes());
    EXPECT_THAT(all(source, "", 1), ElementsAre("a", "", "b\nc"));
    EXPECT_TRUE(source.exhausted());
    EXPECT_FALSE(source.next());
}

TEST(ItemList, MayBeEmpty) {
    auto source = item_source::of_list({});
    EXPECT_TRUE(source.exhausted());
    EXPECT_EQ(source.total(), 0U);
}

TEST(ItemStream, TotalIsKnownAtTheEnd) {
    auto source = item_source::of_bytes('\n');
    source.feed("a\nb\n");
    EXPECT_TRUE(source.next());
    EXPECT_FALSE(source.total());
    EXPECT_TRUE(source.next());
    EXPECT_FALSE(source.next());
    EXPECT_FALSE(source.total());
    EXPECT_TRUE(source.wants_bytes());
    source.finish();
    EXPECT_FALSE(source.wants_bytes());
    EXPECT_FALSE(source.next());
    EXPECT_EQ(source.total(), 2U);
}

TEST(ItemStream, LongItemIsCutButMeasured) {
    auto source = item_source::of_bytes('\n');
    const std::string chunk(item_source::buffer_bytes, 'x');
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(source.wants_bytes());
        source.feed(chunk);
        ASSERT_FALSE(source.next());
    }
    source.feed("\nafter\n");
    auto longest = source.next();
    ASSERT_TRUE(longest);
    EXPECT_EQ(longest->bytes, 1000 * chunk.size());
    EXPECT_EQ(longest->text, std::string(item_source::keep_bytes, 'x'));
    auto after = source.next();
    ASSERT_TRUE(after);
    EXPECT_EQ(after->text, "after");
    EXPECT_EQ(after->bytes, 5U);
}

TEST(ItemStream, LongestKeptItemIsWhole) {
    auto source = item_source::of_bytes('\n');
    source.feed(std::string(item_source::keep_bytes, 'x'));
    EXPECT_FALSE(source.next());
    source.finish();
    auto whole = source.next();
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->bytes, whole->text.size());
}

TEST(ItemStream, AMillionItems) {
    auto source = item_source::of_bytes('\n');
    std::uint64_t fed = 0;
    std::uint64_t taken = 0;
    while (!source.exhausted()) {
        if (auto next = source.next()) {
            ASSERT_EQ(next->text, std::to_string(++taken));
            continue;
        }
        if (!source.wants_bytes()) continue;
        std::string chunk;
        while (chunk.size() < item_source::buffer_bytes - 8 && fed < 1'000'000)
            chunk += std::to_string(++fed) + "\n";
        if (chunk.empty())
            source.finish();
        else
            source.feed(chunk);
    }
    EXPECT_EQ(taken, 1'000'000U);
}

TEST(ItemSource, FollowsTheOptions) {
    map_options options;
    options.nul_separated = true;
    auto by_nul = item_source::of(options);
    EXPECT_THAT(all(by_nul, std::string_view("a\nb\0", 4), 9), ElementsAre("a\nb"));
    options.nul_separated = false;
    auto by_line = item_source::of(options);
    EXPECT_THAT(all(by_line, "a\nb", 9), ElementsAre("a", "b"));
    options.origin = item_origin::list;
    options.items = {"x"};
    auto list = item_source::of(options);
    EXPECT_THAT(all(list, "", 1), ElementsAre("x"));
}

TEST(OpenItems, ReadsTheFile) {
    map_options options;
    options.origin = item_origin::file;
    options.from = testing::TempDir() + "tenure_items";
    std::ofstream(options.from) << "abc";
    auto fd = open_items(options);
    ASSERT_TRUE(fd) << fd.why();
    char text[8] = {};
    EXPECT_EQ(::read(fd->get(), text, sizeof text), 3);
    ::unlink(options.from.c_str());
}

TEST(OpenItems, SaysWhyItCannot) {
    map_options options;
    options.origin = item_origin::file;
    options.from = "/nowhere/at all";
    auto missing = open_items(options);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.why(), "cannot read items from /nowhere/at all: No such file or directory");
    options.from = "/";
    auto folder = open_items(options);
    ASSERT_FALSE(folder);
    EXPECT_THAT(folder.why(), HasSubstr("Is a directory"));
    options.from = "a\nb";
    auto odd = open_items(options);
    ASSERT_FALSE(odd);
    EXPECT_THAT(odd.why(), HasSubstr("a\\nb"));
}

TEST(OpenItems, StandardInputThatCannotBeRead) {
    const owned_fd before(::dup(STDIN_FILENO));
    const owned_fd write_only(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::dup2(write_only.get(), STDIN_FILENO), STDIN_FILENO);
    auto fd = open_items({});
    ASSERT_EQ(::dup2(before.get(), STDIN_FILENO), STDIN_FILENO);
    ASSERT_FALSE(fd);
    EXPECT_EQ(fd.why(), "cannot read items from standard input: Bad file descriptor");
}

TEST(OpenItems, StandardInputStaysOpen) {
    map_options options;
    {
        auto fd = open_items(options);
        ASSERT_TRUE(fd);
        EXPECT_GT(fd->get(), 2);
    }
    struct stat about{};
    EXPECT_EQ(::fstat(STDIN_FILENO, &about), 0);
}

} // namespace
} // namespace tenure::inline v0::app
