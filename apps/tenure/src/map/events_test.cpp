#include "map/events.hpp"
#include "map/test_support.hpp"
#include "map/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::chrono::system_clock::time_point a_time{1738367999123ms};

// The value of a string member, unescaped as far as these tests need it.
std::string member(const std::string& line, const std::string& name) {
    const std::string begin = "\"" + name + "\":\"";
    auto at = line.find(begin);
    if (at == std::string::npos) return "(no " + name + ")";
    std::string value;
    for (at += begin.size(); line[at] != '"'; ++at) {
        if (line[at] != '\\') {
            value += line[at];
            continue;
        }
        const char c = line[++at];
        value += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
    }
    return value;
}

std::string from_base64(std::string_view text) {
    const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    unsigned group = 0;
    unsigned bits = 0;
    for (char c : text) {
        if (c == '=') break;
        group = group << 6 | static_cast<unsigned>(digits.find(c));
        bits += 6;
        if (bits >= 8) bytes += static_cast<char>(group >> (bits -= 8) & 0xFF);
    }
    return bytes;
}

TEST(Json, EscapesWhatMustBeEscaped) {
    EXPECT_EQ(json_string(""), R"("")");
    EXPECT_EQ(json_string("plain"), R"("plain")");
    EXPECT_EQ(json_string("a\"b\\c/d"), R"("a\"b\\c/d")");
    EXPECT_EQ(json_string("a\nb\tc\rd"), R"("a\nb\tc\rd")");
    EXPECT_EQ(json_string(std::string_view("\0\x01\x1f\x7f", 4)), "\"\\u0000\\u0001\\u001f\\u007f\"");
    EXPECT_EQ(json_string("ä€😀"), "\"ä€😀\"");
    EXPECT_EQ(json_string("a\xff"
                          "b\xc3"),
              "\"a\xEF\xBF\xBD"
              "b\xEF\xBF\xBD\"");
}

TEST(Json, EveryByteGivesValidUtf8OnOneLine) {
    std::string all;
    for (int i = 0; i < 256; ++i)
        all += static_cast<char>(i);
    const std::string json = json_string(all);
    EXPECT_TRUE(is_utf8(json));
    for (char c : json)
        EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20);
}

TEST(Base64, IsTheUsualOne) { // RFC 4648, section 10
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
    EXPECT_EQ(base64("foob"), "Zm9vYg==");
    EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

TEST(Events, Start) {
    EXPECT_EQ(events::start(7, 2, a_time, "a \"b\"\n"),
              "{\"event\":\"start\",\"seq\":7,\"attempt\":2,\"time\":\"2025-01-31T23:59:59.123Z\","
              "\"item\":\"a \\\"b\\\"\\n\"}\n");
    EXPECT_THAT(events::start(7, 1, a_time, "caf\xe9"), HasSubstr("\"item_base64\":\"Y2Fm6Q==\"}"));
}

TEST(Events, EndOfATimeoutSaysHowLateItWas) {
    item_result r;
    r.seq = 7;
    r.state = item_state::timed_out;
    EXPECT_THAT(events::end(r), Not(HasSubstr("term_late_ms")));
    r.term_late = 250us;
    EXPECT_THAT(events::end(r), HasSubstr(",\"term_late_ms\":0.250,"));
}

TEST(Events, Retry) {
    EXPECT_EQ(
        events::retry(7, 1, "exit status 3", 93'500us),
        "{\"event\":\"retry\",\"seq\":7,\"attempt\":1,\"reason\":\"exit status 3\",\"delay_ms\":93.500}\n");
}

TEST(Events, EndOfASuccess) {
    item_result r;
    r.seq = 7;
    r.exit_code = 0;
    r.started = a_time;
    r.ended = a_time + 1s;
    r.wall = 1s;
    r.cpu = 1'234'567ns;
    EXPECT_EQ(
        events::end(r),
        "{\"event\":\"end\",\"seq\":7,\"status\":\"succeeded\",\"exit\":0,\"signal\":null,\"timed_out\":"
        "false,"
        "\"attempts\":1,\"started\":\"2025-01-31T23:59:59.123Z\",\"ended\":\"2025-02-01T00:00:00.123Z\","
        "\"wall_ms\":1000.000,\"cpu_ms\":1.235}\n");
}

TEST(Events, EndOfAFailure) {
    item_result r;
    r.state = item_state::timed_out;
    r.signal = SIGTERM;
    r.attempts = 3;
    EXPECT_THAT(events::end(r), HasSubstr("\"status\":\"timed_out\",\"exit\":null,\"signal\":\"SIGTERM\","
                                          "\"timed_out\":true,\"attempts\":3"));
    EXPECT_THAT(events::end(r), HasSubstr("\"reason\":\"timed out\"}"));
    r.state = item_state::failed;
    r.reason = "too long";
    r.detail = "5 bytes";
    EXPECT_THAT(events::end(r), HasSubstr("\"reason\":\"too long\",\"detail\":\"5 bytes\"}"));
}

TEST(Events, Summary) {
    run_counts counts{.done = 5, .failed = 1, .timed_out = 2, .stopped = 3, .retried = 4, .not_started = 9};
    EXPECT_EQ(events::summary(counts, run_ending::deadline, 2s, 1s),
              "{\"event\":\"summary\",\"ending\":\"deadline\",\"exit_status\":124,\"done\":5,\"failed\":1,"
              "\"timed_out\":2,\"stopped\":3,\"retried\":4,\"not_started\":9,\"wall_ms\":2000.000,"
              "\"cpu_ms\":1000.000}\n");
    counts.not_started = std::nullopt;
    EXPECT_THAT(events::summary(counts, run_ending::interrupted, 2s, 1s), HasSubstr("\"not_started\":null"));
}

TEST(Events, Audit) {
    EXPECT_EQ(events::audit({}),
              "{\"event\":\"audit\",\"tasks\":0,\"timers\":0,\"processes\":0,\"descriptors\":0}\n");
    EXPECT_THAT(events::audit({.tasks = 1, .where = {"a", "b\"c"}}),
                HasSubstr(",\"where\":[\"a\",\"b\\\"c\"]}"));
}

class OutputEvents : public testing::Test {
protected:
    std::vector<std::string> lines(const item_output& output) const {
        std::vector<std::string> all;
        output_events events(3, output);
        for (std::string line = events.next(); !line.empty(); line = events.next()) {
            EXPECT_TRUE(is_utf8(line));
            EXPECT_EQ(line.find('\n'), line.size() - 1);
            all.push_back(std::move(line));
        }
        EXPECT_EQ(events.next(), "");
        return all;
    }
    // All data of one stream, put together again.
    std::string data(const std::vector<std::string>& all, const std::string& stream) const {
        std::string bytes;
        for (const std::string& line : all) {
            if (member(line, "stream") != stream) continue;
            bytes += line.find("\"data\":") != std::string::npos ? member(line, "data")
                                                                 : from_base64(member(line, "data_base64"));
        }
        return bytes;
    }

    test::test_folder folder_;
    spill_place place_{folder_.path(), [this] { return open_nameless(folder_.path(), 0600); }};
};

TEST_F(OutputEvents, NoneForNoOutput) {
    item_output output(place_);
    EXPECT_THAT(lines(output), IsEmpty());
}

TEST_F(OutputEvents, StandardOutputFirst) {
    item_output output(place_);
    output.append(stream::err, "oh\n");
    output.append(stream::out, "hello\n");
    EXPECT_THAT(lines(output),
                ElementsAre("{\"event\":\"output\",\"seq\":3,\"stream\":\"stdout\",\"data\":\"hello\\n\"}\n",
                            "{\"event\":\"output\",\"seq\":3,\"stream\":\"stderr\",\"data\":\"oh\\n\"}\n"));
}

TEST_F(OutputEvents, BytesThatAreNoTextAreKept) {
    item_output output(place_);
    output.append(stream::out, std::string_view("\x1f\x8b\x00\xff", 4));
    EXPECT_THAT(lines(output), ElementsAre(HasSubstr("\"data_base64\":\"H4sA/w==\"")));
}

TEST_F(OutputEvents, TextStaysTextWhereverItIsCut) {
    for (std::size_t shift = 0; shift < 4; ++shift) {
        for (bool spilled : {false, true}) {
            std::string text(shift, '-');
            while (text.size() < (spilled ? 300'000U : 60'000U))
                text += "😀ä€";
            item_output output(place_);
            output.append(stream::out, text);
            ASSERT_EQ(output.file(stream::out) >= 0, spilled);
            const auto all = lines(output);
            EXPECT_GT(all.size(), 1U);
            for (const std::string& line : all) {
                EXPECT_THAT(line, Not(HasSubstr("base64")));
                EXPECT_LE(line.size(), output_events::piece_bytes + 100);
            }
            EXPECT_EQ(data(all, "stdout"), text);
        }
    }
}

TEST_F(OutputEvents, AnUnfinishedSequenceAtTheEndIsKept) {
    item_output output(place_);
    output.append(stream::out, "caf\xc3");
    EXPECT_EQ(data(lines(output), "stdout"), "caf\xc3");
}

TEST_F(OutputEvents, BinaryIsKeptToTheByte) {
    std::string bytes;
    unsigned x = 1;
    for (int i = 0; i < 200'000; ++i)
        bytes += static_cast<char>((x = x * 1103515245U + 12345U) >> 16);
    item_output output(place_);
    output.append(stream::err, bytes);
    EXPECT_EQ(data(lines(output), "stderr"), bytes);
}

} // namespace
} // namespace tenure::inline v0::app
