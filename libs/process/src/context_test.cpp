// Context values that travel with calls into worker processes.
#include "pool_test.hpp"

#include <tenure/core/context_scope.hpp>
#include <tenure/process/detail/channel.hpp>
#include <tenure/runner/travelling_key.hpp>

#include <map>

namespace process_test {
namespace {

using core::with_value;
using tenure::runner::travelling_key;

const travelling_key<std::string> trace_id{"pool.trace_id"};
const travelling_key<std::map<std::string, int>> settings{"pool.settings"};
const core::context_key<std::string> stays{"pool.stays"};

std::map<std::string, int> level(int n) { return {{"level", n}}; }

class ContextInPools : public Pools {};

std::string trace_here() {
    const std::string* const id = this_task::value(trace_id);
    return id ? *id : "none";
}
std::string all_here(const std::string& argument) {
    const auto* const s = this_task::value(settings);
    return argument + " " + trace_here() + " " + (s ? std::to_string(s->at("level")) : "none") + " " +
           (this_task::value(stays) ? "stayed not" : "stayed") + " " +
           (core::context::current().value(trace_id) ? "seen" : "not seen");
}

TEST_P(ContextInPools, ContextValuesOfKeysThatTravelAreSeenInTheWorker) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        auto inside = [&]() -> task<> {
            EXPECT_EQ(co_await p.call(fn<&all_here>, "x"), "x a-1 3 stayed seen");
        };
        auto middle = [&]() -> task<> { co_await with_value(stays, std::string("here"), inside); };
        auto outer = [&]() -> task<> {
            co_await with_value(settings, level(3), middle);
            EXPECT_EQ(co_await p.call(fn<&all_here>, "y"), "y a-1 none stayed seen");
        };
        co_await with_value(trace_id, std::string("a-1"), outer);
        EXPECT_EQ(co_await p.call(fn<&all_here>, "z"),
                  "z none none stayed not seen"); // nothing is left there
    };
    run(body);
}

TEST_P(ContextInPools, ContextValuesTravelInTheSlotOrInTheArenaBesideTheirCall) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        for (const std::size_t value : {1u, 350u, 440u, 481u, 1000u, 3'000'000u})
            for (const std::size_t argument : {1u, 300u, 440u, 500u, 100'000u}) {
                const std::string id(value, 'i');
                const std::string sent(argument, 'a');
                auto inside = [&]() -> task<> {
                    const auto got = co_await p.call(
                        [](const std::string& s) { return s.substr(0, 5) + trace_here() + s; }, sent);
                    EXPECT_EQ(got, sent.substr(0, 5) + id + sent) << value << " " << argument;
                };
                co_await with_value(trace_id, id, inside);
            }
    };
    run(body);
}

TEST_P(ContextInPools, ContextValuesThatAreTooLargeAreRefusedWithWhatToDo) {
    pool p(rt(), {.workers = 1, .max_message = 1000});
    pool large(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        const auto refusal = [](pool& by) -> task<std::string> {
            try {
                (void)co_await by.call(fn<&add>, 1, 2);
            } catch (const usage_error& e) {
                co_return e.what();
            }
            co_return "it was taken";
        };
        auto inside = [&]() -> task<> {
            const std::string why = co_await refusal(p);
            EXPECT_NE(why.find("max_message"), std::string::npos) << why;
            EXPECT_EQ(co_await large.call(fn<&add>, 1, 2), 3);
        };
        co_await with_value(trace_id, std::string(1000, 'x'), inside);
        auto too_much = [&]() -> task<> {
            const std::string why = co_await refusal(large);
            EXPECT_NE(why.find("pass what is large as an argument"), std::string::npos) << why;
        };
        co_await with_value(trace_id, std::string(process::detail::max_context_bytes, 'x'), too_much);
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
}

TEST_P(ContextInPools, AValueThatIsBoundLaterIsNotSeen) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        auto in_group = [&](group g) -> task<> {
            auto before =
                g.spawn([&p]() -> task<std::string> { co_return co_await p.call(fn<&trace_here>); });
            auto later = [&]() -> task<> { EXPECT_EQ(co_await std::move(before), "none"); };
            co_await with_value(trace_id, std::string("later"), later);
        };
        co_await with_group(in_group);
    };
    run(body);
}

std::string trace_in_nested_pool(int depth) {
    if (depth == 0) return trace_here();
    runtime rt(on_epoll(1));
    pool p(rt, {.workers = 1});
    auto body = [&]() -> task<std::string> {
        co_return co_await p.call(fn<&trace_in_nested_pool>, depth - 1);
    };
    return rt.block_on(body);
}
TEST_P(ContextInPools, ContextValuesTravelOnIntoNestedPools) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        auto inside = [&]() -> task<> { EXPECT_EQ(co_await p.call(fn<&trace_in_nested_pool>, 2), "a-1"); };
        co_await with_value(trace_id, std::string("a-1"), inside);
    };
    run(body);
}

TEST_P(ContextInPools, ContextValuesGoWithACallThatRunsElsewhereAfterADeath) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        auto in_group = [&](group g) -> task<> {
            auto dies = [&p]() -> task<> { (void)co_await message_of_death(p.call(fn<&dies_by>, SIGKILL)); };
            (void)g.spawn(dies);
            for (int i = 0; i < 8; ++i) {
                auto one = [&p, id = std::to_string(i)]() -> task<> {
                    auto inside = [&]() -> task<> { EXPECT_EQ(co_await p.call(fn<&trace_here>), id); };
                    co_await with_value(trace_id, id, inside);
                };
                (void)g.spawn(one);
            }
            co_return;
        };
        co_await with_group(in_group);
    };
    run(body);
}

/// Is read from what it has not written.
struct misread {
    int value = 0;
};

} // namespace
} // namespace process_test

template <>
struct tenure::wire::codec<process_test::misread> {
    static void write(writer& w, const process_test::misread& m) { tenure::wire::write(w, m.value); }
    static process_test::misread read(reader& r) {
        return {static_cast<int>(tenure::wire::read<std::int64_t>(r))};
    }
};

namespace process_test {
namespace {

const travelling_key<misread> bad{"pool.misread"};

TEST_P(ContextInPools, AContextValueThatCannotBeReadFailsItsCallAlone) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        auto inside = [&]() -> task<> {
            try {
                (void)co_await p.call(fn<&add>, 1, 2);
                ADD_FAILURE();
            } catch (const wire::wire_error&) {}
        };
        const pid_t before = co_await p.call(fn<&who>);
        co_await with_value(bad, misread{.value = 7}, inside);
        EXPECT_EQ(co_await p.call(fn<&who>), before);
    };
    run(body);
}

TEST_P(ContextInPools, AWorkerOfAnotherProgramMayReadContextValuesOrLeaveThemAlone) {
    pool p(rt(), {.workers = 1, .program = {std::string(TENURE_TEST_BIN_DIR) + "/foreign_worker"}});
    const auto ask = [&p](std::string question) -> task<std::string> {
        const auto got = co_await p.request(std::as_bytes(std::span(question)));
        co_return std::string(reinterpret_cast<const char*>(got.data()), got.size());
    };
    auto body = [&]() -> task<> {
        for (const std::size_t length : {3u, 460u, 10'000u}) {
            const std::string id(length, 'i');
            const std::uint64_t n = length;
            const std::string as_sent = std::string(reinterpret_cast<const char*>(&n), 8) + id;
            auto inside = [&]() -> task<> {
                EXPECT_EQ(co_await ask("context pool.trace_id"), as_sent);
                EXPECT_EQ(co_await ask("context of nobody"), "");
                EXPECT_EQ(co_await ask("upper hello"), "HELLO");
                EXPECT_EQ(co_await ask("upper " + std::string(5000, 'x')), std::string(5000, 'X'));
            };
            auto outer = [&]() -> task<> { co_await with_value(settings, level(3), inside); };
            co_await with_value(trace_id, id, outer);
        }
    };
    run(body);
}

INSTANTIATE_TEST_SUITE_P(Workers, ContextInPools, testing::Values(1u, 4u));

} // namespace
} // namespace process_test
