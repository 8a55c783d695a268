// Bad use that the compiler cannot see: the error names the rule and the places, and everything goes on.
#include "core_test.hpp"

#include <optional>

namespace {
using namespace core_test;

class BadUse : public virtual_test {
protected:
    std::optional<group> kept_; // that has ended
    unsigned opened_ = 0;       // the line of its scope

    void keep_one_that_has_ended() {
        run([&]() -> task<> {
            auto body = [&](group g) -> task<> {
                kept_ = g;
                co_return;
            };
            opened_ = __LINE__ + 1;
            co_await with_group(body);
        });
    }
};

void expect_words(const std::string& text, std::initializer_list<std::string> words) {
    for (const auto& w : words)
        EXPECT_NE(text.find(w), std::string::npos) << "'" << w << "' is not in: " << text;
}
std::string place(unsigned line) { return "bad_use_test.cpp:" + std::to_string(line); }

TEST_F(BadUse, R069_LateSpawnNamesTheGroupAndItself) {
    keep_one_that_has_ended();
    unsigned late = 0;
    const std::string text = thrown_by([&] {
        late = __LINE__ + 1;
        (void)kept_->spawn(give, 1);
    });
    expect_words(text, {"spawn at " + place(late), "the group opened at " + place(opened_), "has ended",
                        "spawn before its scope is left"});
    EXPECT_THROW((void)kept_->spawn(give, 1), closed_error);
    expect_words(thrown_by([&] { (void)kept_->spawn({.name = "the last"}, give, 1); }),
                 {"spawn of 'the last' at "});
}
TEST_F(BadUse, R089_LateTimersNameTheGroupAndThemselves) {
    keep_one_that_has_ended();
    unsigned late = 0;
    const std::string later = thrown_by([&] {
        late = __LINE__ + 1;
        (void)kept_->call_later(1s, [] {});
    });
    expect_words(later, {"call_later at " + place(late), "the group opened at " + place(opened_), "has ended",
                         "arm them before its scope is left"});
    const std::string again = thrown_by([&] {
        late = __LINE__ + 1;
        (void)kept_->every(1s, [] {});
    });
    expect_words(again, {"every at " + place(late), "the group opened at " + place(opened_)});
    const std::string nobodys = thrown_by([&] {
        late = __LINE__ + 1;
        (void)call_later(1s, [] {});
    });
    expect_words(nobodys, {"call_later at " + place(late), "no task runs on this thread", "g.call_later("});
}
TEST_F(BadUse, ATaskThatAwaitsItselfIsNamed) {
    std::optional<future<void>> self;
    event may_begin;
    const std::string text = thrown_by([&] {
        run([&]() -> task<> {
            auto body = [&](group g) -> task<> {
                self = g.spawn({.name = "narcissus"}, [&]() -> task<> {
                    co_await may_begin.wait();
                    co_await *self;
                });
                may_begin.set();
                co_return;
            };
            co_await with_group(body);
        });
    });
    expect_words(text, {"cannot await itself", "'narcissus' spawned at bad_use_test.cpp:"});
}
TEST_F(BadUse, AResultThatWasTakenOrIsHeldNamesItsTask) {
    run([&]() -> task<> {
        auto body = [&](group g) -> task<> {
            auto given = g.spawn({.name = "giver"}, give, 1);
            co_await given;
            EXPECT_EQ(given.take(), 1);
            expect_words(thrown_by([&] { (void)given.take(); }), {"taken already", "take() moves it out once",
                                                                  "'giver' spawned at bad_use_test.cpp:"});
            auto lent = g.spawn({.name = "lender"}, give, 2);
            co_await lent;
            event may_end;
            auto child = g.spawn([&](const int&) -> task<> { co_await may_end.wait(); }, lent);
            co_await yield();
            expect_words(thrown_by([&] { (void)lent.take(); }),
                         {"still holds it", "'lender' spawned at bad_use_test.cpp:"});
            may_end.set();
            co_await child;
        };
        co_await with_group(body);
    });
}
TEST_F(BadUse, AwaitingATaskTwiceNamesTheTaskAndTheSecondAwait) {
    unsigned second = 0;
    const std::string text = thrown_by([&] {
        rt_.block_on({.name = "twice"}, [&]() -> task<> {
            auto t = give(1);
            (void)co_await std::move(t);
            second = __LINE__ + 1;
            (void)co_await std::move(t); // NOLINT(bugprone-use-after-move): that is what it is about
        });
    });
    expect_words(
        text, {place(second) + ": a task is awaited once", "call its function again", "'twice' spawned at"});
}
TEST_F(BadUse, TaskThatWasMovedFromFailsInEveryPlace) {
    struct shared_task { // a function that gives the same task each time
        static task<> once(std::optional<task<>>& t) { return std::move(*t); }
    };
    std::optional<task<>> used(nap(0s));
    run(shared_task::once, std::ref(used));
    const auto again = [&]() { return shared_task::once(used); };
    const auto fails = [&](auto&& body) {
        EXPECT_THROW(run(std::forward<decltype(body)>(body)), usage_error);
    };
    fails([&]() { return again(); });
    fails([&]() -> task<> { co_await with_timeout(1s, again); });
    fails([&]() -> task<> { co_await shield(1s, again); });
    fails([&]() -> task<> {
        auto body = [&](const group&) { return again(); };
        co_await with_group(body);
    });
    fails([&]() -> task<> {
        auto body = [&](group g) -> task<> {
            (void)g.spawn(again);
            co_await sleep_for(1s);
        };
        co_await with_group(body);
    });
    fails([&]() -> task<> { co_await defer(1s, shared_task::once, std::ref(used)); });
    run([&]() -> task<> {
        const auto o = co_await as_outcome(nap(0s));
        EXPECT_TRUE(o.has_value());
        bool thrown = false;
        try {
            (void)co_await as_outcome(again());
        } catch (const usage_error&) {
            thrown = true;
        }
        EXPECT_TRUE(thrown); // as_outcome had nothing to observe
    });
}

} // namespace
