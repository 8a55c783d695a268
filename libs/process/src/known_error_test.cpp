// Exceptions of the program's own that cross from workers as what they are.
#include "pool_test.hpp"

#include <tenure/process/known_error.hpp>

#include <stdexcept>
#include <string>

namespace process_test {

/// Brings its fields along.
class parse_error : public std::runtime_error {
public:
    parse_error(std::string file, int line)
        : runtime_error(file + ":" + std::to_string(line)), file_(std::move(file)), line_(line) {}
    const std::string& file() const noexcept { return file_; }
    int line() const noexcept { return line_; }

private:
    std::string file_;
    int line_;
};
struct json_error : parse_error { // known, too: the nearer one
    using parse_error::parse_error;
};
struct json_number_error final : json_error { // not known
    using json_error::json_error;
};
/// Made again from its text.
struct not_found : std::out_of_range {
    using out_of_range::out_of_range;
};
/// No std::exception: wire can send it.
struct rejected {
    int code = 0;
    std::string by;
};
struct last_word final : std::runtime_error {
    using runtime_error::runtime_error;
};
struct unknown_error : std::runtime_error {
    using runtime_error::runtime_error;
};
/// Cannot be read, or cannot be written.
struct lost : std::runtime_error {
    explicit lost(bool when_written) : runtime_error("the words"), written(when_written) {}
    bool written;
};

} // namespace process_test

template <class E>
    requires std::is_base_of_v<process_test::parse_error, E>
struct tenure::wire::codec<E> {
    static void write(writer& w, const E& e) {
        tenure::wire::write(w, e.file());
        tenure::wire::write(w, e.line());
    }
    static E read(reader& r) {
        auto file = tenure::wire::read<std::string>(r);
        return E(std::move(file), tenure::wire::read<int>(r));
    }
};
template <>
struct tenure::wire::codec<process_test::lost> {
    static void write(writer& w, const process_test::lost& e) {
        if (e.written) w.fail("lost", "on the way out");
        tenure::wire::write(w, 1);
    }
    static process_test::lost read(reader& r) { r.fail("lost", "on the way in"); }
};

namespace process_test {
namespace {

const process::known_error<parse_error> parse_error_is_known;
const process::known_error<json_error> json_error_is_known;
const process::known_error<not_found> not_found_is_known;
const process::known_error<rejected> rejected_is_known;
const process::known_error<last_word> last_word_is_known;
const process::known_error<lost> lost_is_known;

template <class E, class... A>
void throws(const A&... a) {
    throw E(a...);
}
void throws_rejected() { throw rejected{.code = 7, .by = "the lock"}; }

class KnownErrors : public Pools {
protected:
    pool pool_{rt(), {.workers = 1}};
    /// What the call throws is given to `look`, as E.
    template <class E, class F, class... A>
    void caught(F look, A... a) {
        auto body = [&]() -> task<> {
            try {
                co_await pool_.call(std::move(a)...);
                ADD_FAILURE() << "nothing was thrown";
            } catch (const E& e) {
                look(e);
            }
        };
        run(body);
    }
    ~KnownErrors() override { pool_.close(); }
};

template <class E>
std::string type_of(const E& e) {
    const auto* const from = dynamic_cast<const process::remote_info*>(&e);
    return from ? from->type() : "not from elsewhere";
}

TEST_P(KnownErrors, ArriveAsThemselvesWithTheirFields) {
    const auto look = [](const parse_error& e) {
        EXPECT_EQ(e.file(), "a.txt");
        EXPECT_EQ(e.line(), 12);
        EXPECT_STREQ(e.what(), "a.txt:12");
        EXPECT_EQ(type_of(e), "process_test::parse_error");
    };
    caught<parse_error>(look, fn<&throws<parse_error, std::string, int>>, "a.txt", 12);
    const auto code = [](const rejected& e) {
        EXPECT_EQ(e.code, 7);
        EXPECT_EQ(e.by, "the lock");
    };
    caught<rejected>(code, fn<&throws_rejected>);
}
TEST_P(KnownErrors, ArriveAsThemselvesMadeFromTheirText) {
    const auto look = [](const not_found& e) {
        EXPECT_STREQ(e.what(), "no key x");
        EXPECT_EQ(type_of(e), "process_test::not_found");
    };
    caught<not_found>(look, fn<&throws<not_found, std::string>>, "no key x");
    const auto last = [](const last_word& e) { EXPECT_STREQ(e.what(), "bye"); };
    caught<last_word>(last, fn<&throws<last_word, std::string>>, "bye");
}
TEST_P(KnownErrors, WhatIsDerivedFromThemArrivesAsTheNearest) {
    const auto look = [](const json_error& e) {
        EXPECT_EQ(e.line(), 3);
        EXPECT_EQ(type_of(e), "process_test::json_number_error");
        EXPECT_EQ(dynamic_cast<const json_number_error*>(&e), nullptr);
    };
    caught<json_error>(look, fn<&throws<json_number_error, std::string, int>>, "b.json", 3);
    caught<json_error>([](const json_error& e) { EXPECT_EQ(e.file(), "c.json"); },
                       fn<&throws<json_error, std::string, int>>, "c.json", 1);
}
TEST_P(KnownErrors, WhatIsNotKnownArrivesAsText) {
    const auto look = [](const tenure::runner::remote_error& e) {
        EXPECT_EQ(e.type(), "process_test::unknown_error");
        EXPECT_EQ(e.message(), "dark");
    };
    caught<tenure::runner::remote_error>(look, fn<&throws<unknown_error, std::string>>, "dark");
}
TEST_P(KnownErrors, WhatCannotBeSentOrMadeAgainArrivesAsTextThatSaysWhy) {
    for (const bool written : {false, true}) {
        const auto look = [&](const tenure::runner::remote_error& e) {
            EXPECT_EQ(e.type(), "process_test::lost");
            EXPECT_TRUE(e.message().starts_with("the words (")) << e.message();
            EXPECT_NE(e.message().find(written ? "on the way out" : "on the way in"), std::string::npos)
                << e.message();
        };
        caught<tenure::runner::remote_error>(look, fn<&throws<lost, bool>>, written);
    }
}

/// Two types of one name, each known where it was thrown.
void throws_a_twin(bool first) {
    if (first) {
        struct twin : std::runtime_error {
            using runtime_error::runtime_error;
        };
        static const process::known_error<twin> is_known;
        throw twin("the first");
    }
    struct twin : std::runtime_error {
        using runtime_error::runtime_error;
    };
    static const process::known_error<twin> is_known;
    throw twin("the second");
}
TEST_P(KnownErrors, TwoTypesOfOneNameArriveAsTextThatSaysSo) {
    for (const bool first : {true, false})
        EXPECT_THROW(throws_a_twin(first), std::runtime_error);
    for (const bool first : {true, false}) {
        const auto look = [&](const tenure::runner::remote_error& e) {
            EXPECT_TRUE(e.message().starts_with(first ? "the first" : "the second")) << e.message();
            EXPECT_NE(e.message().find("two types are called"), std::string::npos) << e.message();
        };
        caught<tenure::runner::remote_error>(look, fn<&throws_a_twin>, first);
    }
}

INSTANTIATE_TEST_SUITE_P(Workers, KnownErrors, testing::Values(1u, 4u));

} // namespace
} // namespace process_test
