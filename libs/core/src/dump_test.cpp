#include "core_test.hpp"

#include <tenure/core/detail/state_word.hpp>

#include <algorithm>
#include <thread>

namespace {
using namespace core_test;
using kind_of = tree_entry::kind_of;

constexpr unsigned line_of_nap = __LINE__ + 1;
task<> nap_here(tenure::base::duration d) { co_await sleep_for(d); }
constexpr unsigned line_of_middle = __LINE__ + 1;
task<> middle(tenure::base::duration d) { co_await nap_here(d); }

/// The entry of the task with that name.
const tree_entry& find(const task_tree& t, const std::string& name) {
    const auto it = std::find_if(t.entries.begin(), t.entries.end(), [&](const tree_entry& e) {
        return e.kind == kind_of::task && e.task.name == name;
    });
    if (it == t.entries.end()) throw std::runtime_error("no task '" + name + "' in\n" + to_string(t));
    return *it;
}
std::vector<unsigned> lines(const tree_entry& e) {
    std::vector<unsigned> v;
    for (const auto& at : e.awaits)
        v.push_back(at.line());
    return v;
}

class Dump : public virtual_test {};

TEST_F(Dump, R008_OfNothingIsTheRuntimeAlone) {
    const task_tree t = rt_.dump();
    ASSERT_EQ(t.entries.size(), 1u);
    EXPECT_EQ(t.entries[0].kind, kind_of::runtime);
    EXPECT_EQ(t.tasks(), 0u);
    EXPECT_EQ(to_string(t), "no task lives\n");
    EXPECT_EQ(to_string(task_tree{}), "no task lives\n");
}
TEST_F(Dump, R008_WaitingTaskIsShownWithItsChainOfAwaits) {
    const spawn_options o{.name = "waits"};
    auto f = rt_.submit(o, middle, 5s);
    advance(1s);
    const task_tree t = rt_.dump();
    ASSERT_EQ(t.tasks(), 1u);
    const tree_entry& e = find(t, "waits");
    EXPECT_EQ(e.task.id, f.label().id);
    EXPECT_EQ(e.task.site.line(), o.site.line());
    EXPECT_EQ(e.doing, task_activity::waiting);
    EXPECT_EQ(e.parent, 0u);
    EXPECT_EQ(lines(e), (std::vector{line_of_nap, line_of_middle}));
    advance(5s);
    EXPECT_EQ(f.status(), task_status::done); // looking at it did not disturb it
}
TEST_F(Dump, R008_ChildrenStandUnderTheirGroupAndScope) {
    auto f = rt_.submit({.name = "app"}, []() -> task<> {
        auto body = []() -> task<> {
            co_await with_group([](group g) -> task<> {
                (void)g.spawn({.name = "first"}, nap, 9s);
                (void)g.spawn({.name = "second"}, nap, 9s);
                co_return;
            });
        };
        co_await with_timeout(30s, body);
    });
    advance(1s);
    const task_tree t = rt_.dump();
    std::vector<std::pair<kind_of, std::size_t>> shape;
    for (const auto& e : t.entries)
        shape.emplace_back(e.kind, e.depth);
    EXPECT_EQ(shape, (std::vector<std::pair<kind_of, std::size_t>>{{kind_of::runtime, 0},
                                                                   {kind_of::task, 1},
                                                                   {kind_of::scope, 2},
                                                                   {kind_of::group, 3},
                                                                   {kind_of::task, 4},
                                                                   {kind_of::task, 4}}));
    EXPECT_EQ(t.entries[4].task.name, "first");
    EXPECT_EQ(t.entries[5].task.name, "second");
    EXPECT_EQ(t.entries[4].parent, 3u);
    EXPECT_EQ(t.entries[5].parent, 3u);
    EXPECT_EQ(t.entries[3].task.name, "app");
    EXPECT_EQ(t.entries[4].deadline, t.taken + 29s);
    EXPECT_EQ(find(t, "app").deadline, tenure::base::never);
    advance(10s);
}
TEST_F(Dump, R008_RunningReadyAndUnbegunTasksAreToldApart) {
    task_tree t;
    auto yields = rt_.submit({.name = "yields"}, []() -> task<> { co_await yield(); });
    auto looks = rt_.submit({.name = "looks"}, [&]() -> task<> {
        auto later = rt_.submit({.name = "later"}, give, 1);
        t = rt_.dump();
        co_await later;
    });
    advance(1s);
    EXPECT_EQ(find(t, "looks").doing, task_activity::running);
    EXPECT_TRUE(find(t, "looks").awaits.empty());
    EXPECT_EQ(find(t, "yields").doing, task_activity::ready);
    EXPECT_EQ(find(t, "yields").awaits.size(), 1u);
    EXPECT_EQ(find(t, "later").doing, task_activity::ready);
    EXPECT_TRUE(find(t, "later").awaits.empty());
    EXPECT_NE(to_string(t).find("has not begun"), std::string::npos);
}
TEST(TaskTree, R008_WhatAnotherProcessSaysStandsUnderItsCall) {
    task_tree t;
    t.entries.resize(3);
    t.entries[1] = {
        .kind = kind_of::task, .depth = 1, .task = {7, "waits", {}}, .doing = task_activity::waiting};
    t.entries[2] = {.kind = kind_of::call,
                    .depth = 2,
                    .parent = 1,
                    .task = {1, "call", {}},
                    .process = 4711,
                    .answer = process_answer::given,
                    .tasks = "1 task lives\n  task 3\ntask 9 is not ours"};
    const std::string text = to_string(t);
    EXPECT_TRUE(text.ends_with("    call 1 in process 4711, running\n"
                               "      1 task lives\n"
                               "        task 3\n"
                               "      task 9 is not ours\n"))
        << text;
    t.entries[2].tasks = "";
    t.entries[2].answer = process_answer::missing;
    EXPECT_TRUE(to_string(t).ends_with(
        "    call 1 in process 4711, running, its tasks are not known: it did not answer\n"))
        << to_string(t);
    t.entries[2].process = 0; // it is not known yet
    EXPECT_TRUE(to_string(t).ends_with("    call 1, running, its tasks are not known: it did not answer\n"))
        << to_string(t);
    t.entries[2].doing = task_activity::ready;
    EXPECT_TRUE(to_string(t).ends_with("    call, queued\n")) << to_string(t);
}
TEST_F(Dump, R008_CancelledTaskInItsCleanupSaysWhy) {
    auto f = rt_.submit({.name = "cleans"}, []() -> task<> {
        co_await defer(10s, middle, 5s);
        co_await sleep_for(1h);
    });
    advance(1s);
    f.cancel("not needed");
    advance(1s);
    const task_tree t = rt_.dump();
    const tree_entry& e = find(t, "cleans");
    ASSERT_TRUE(e.why);
    EXPECT_EQ(e.why->message, "not needed");
    EXPECT_EQ(lines(e), (std::vector{line_of_nap, line_of_middle})); // the frame that deferred it is gone
    ASSERT_EQ(t.entries.size(), 3u);
    EXPECT_EQ(t.entries[2].kind, kind_of::shield);
    EXPECT_EQ(t.entries[2].deadline, t.taken + 9s);
    advance(10s);
}
TEST_F(Dump, R008_DeepChainIsWholeAsDataAndShortAsText) {
    struct deep {
        static task<> down(int n) {
            if (n == 0)
                co_await sleep_for(5s);
            else
                co_await down(n - 1);
        }
    };
    auto f = rt_.submit({.name = "deep"}, deep::down, 9'999);
    advance(1s);
    const task_tree t = rt_.dump();
    EXPECT_EQ(find(t, "deep").awaits.size(), 10'000u);
    const std::string text = to_string(t);
    EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 25);
    EXPECT_NE(text.find("9984 more"), std::string::npos) << text;
    advance(5s);
}
TEST_F(Dump, R008_ManyEntriesAreCountedInTheText) {
    for (int i = 0; i < 300; ++i)
        (void)rt_.submit(nap, 5s);
    advance(1s);
    const task_tree t = rt_.dump();
    EXPECT_EQ(t.tasks(), 300u);
    const std::string text = to_string(t, 10);
    EXPECT_NE(text.find("300 tasks live\n"), std::string::npos) << text;
    EXPECT_NE(text.find("and 290 more\n"), std::string::npos) << text;
    advance(5s);
}
TEST_F(Dump, TextIsReadable) {
    auto app = [](runtime& rt, std::string& text) -> task<> {
        auto body = [&](group g) -> task<> {
            (void)g.spawn({.name = "fetch"}, middle, 9s);
            (void)g.spawn(nap, 9s);
            co_await sleep_for(500ms);
            text = to_string(rt.dump());
            g.cancel("enough seen");
            co_await sleep_for(1s);
        };
        co_await with_group(body);
    };
    std::string text;
    (void)rt_.submit({.name = "app"}, app, std::ref(rt_), std::ref(text));
    advance(1s);
    // Numbers of lines and tasks are left out; what is called how depends on the compiler.
    for (const char* line :
         {"4 tasks live\n", "  task 1 'app' spawned at dump_test.cpp:", ", running\n", "\n    group\n",
          "\n      task 3 'fetch' spawned at dump_test.cpp:", ", waiting\n", "nap_here\n", " middle\n",
          "\n      task 4 spawned at dump_test.cpp:"})
        EXPECT_NE(text.find(line), std::string::npos) << line << " is not in\n" << text;
    EXPECT_NE(text.find("\n          at dump_test.cpp:" + std::to_string(line_of_nap) +
                        " nap_here\n          in " + "dump_test.cpp:" + std::to_string(line_of_middle) +
                        " middle\n"),
              std::string::npos)
        << text;
}
TEST_F(Dump, DeadlockPrintsTheTree) {
    event never_set;
    const std::string text = thrown_by([&] {
        run([&]() -> task<> {
            auto body = [&](group g) -> task<> {
                (void)g.spawn({.name = "stuck"}, [&]() -> task<> { co_await never_set.wait(); });
                co_return;
            };
            co_await with_group(body);
        });
    });
    EXPECT_NE(text.find("deadlock"), std::string::npos) << text;
    EXPECT_NE(text.find("'stuck' spawned at dump_test.cpp:"), std::string::npos) << text;
    EXPECT_NE(text.find("at dump_test.cpp:"), std::string::npos) << text;
    EXPECT_EQ(text.find("runtime.hpp"), std::string::npos) << text; // block_on() names its caller
}
/// Waits for ever, and cannot be cancelled.
struct deaf {
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    bool ready() const noexcept { return false; }
    void start(detail::strand& s, detail::frame&) { s.wait(nullptr); }
    void result() const noexcept {}
};
TEST(DumpAtClose, R086_AbandonedWorkIsShownInTheTree) {
    runtime rt(tenure::core::testing::virtual_time());
    (void)rt.submit({.name = "deaf"}, []() -> task<> { co_await deaf{}; });
    const close_report r = rt.close();
    ASSERT_EQ(r.abandoned.size(), 1u);
    EXPECT_EQ(find(r.tree, "deaf").awaits.size(), 1u);
    EXPECT_EQ(find(r.tree, "deaf").why->kind, reason::shutdown);
}

// A reader and the others that want the strand (the rest of the orders: tests/model).
TEST(StateWordClaim, IsRefusedUnlessParked) {
    detail::state_word w;
    EXPECT_FALSE(w.claim());
    EXPECT_EQ(w.try_park(false), detail::state_word::park_result::parked);
    EXPECT_TRUE(w.claim());
    EXPECT_FALSE(w.claim()); // one reader at a time
    EXPECT_FALSE(w.unclaim());
    EXPECT_TRUE(w.claim()); // parked again
}
TEST(StateWordClaim, CompletionMeanwhileIsPushedByTheReader) {
    detail::state_word w;
    (void)w.try_park(true);
    EXPECT_TRUE(w.claim());
    EXPECT_FALSE(w.complete());
    EXPECT_FALSE(w.poke());
    EXPECT_TRUE(w.unclaim());
    EXPECT_EQ(w.try_park(false), detail::state_word::park_result::completed);
}
TEST(StateWordClaim, CancelMeanwhileIsPushedByTheReader) {
    detail::state_word w;
    (void)w.try_park(false);
    EXPECT_TRUE(w.claim());
    EXPECT_FALSE(w.poke());
    EXPECT_TRUE(w.unclaim());
    EXPECT_EQ(w.try_park(false), detail::state_word::park_result::look);
}
TEST(StateWordClaim, CancelThatMustNotWakeLeavesItParked) {
    detail::state_word w;
    (void)w.try_park(true);
    EXPECT_TRUE(w.claim());
    EXPECT_FALSE(w.poke());
    EXPECT_FALSE(w.unclaim());
    EXPECT_TRUE(w.complete()); // still parked: whoever completes pushes
}

// Readers beside workers, timers, completions and cancels: everything still ends, once.
TEST(DumpOfThreads, R008_LooksAtTasksThatRunMeanwhile) {
    for (const unsigned threads : {1u, 4u}) {
        runtime rt{{.threads = threads}};
        std::atomic<int> ended{0};
        std::atomic<bool> stop{false};
        std::atomic<std::size_t> most{0};
        std::thread reader([&] {
            while (!stop) {
                const task_tree t = rt.dump();
                most = std::max(most.load(), t.tasks());
                for (std::size_t i = 1; i < t.entries.size(); ++i) {
                    EXPECT_LT(t.entries[i].parent, i);
                    EXPECT_EQ(t.entries[i].depth, t.entries[t.entries[i].parent].depth + 1);
                }
            }
        });
        auto child = [&](int i) -> task<> {
            event e;
            auto setter = [&e]() -> task<> {
                co_await yield();
                e.set();
            };
            auto body = [&](group g) -> task<> {
                (void)g.spawn(setter);
                co_await e.wait();
                if (i % 3 == 0) g.cancel();
                co_await move_on_after(100us, middle, tenure::base::duration(i * 1us));
            };
            co_await with_group(body);
            ++ended;
        };
        auto app = [&](group g) -> task<> {
            for (int i = 0; i < 100; ++i)
                (void)g.spawn({.name = "child"}, child, i);
            co_return;
        };
        int rounds = 0; // until the reader has come to see tasks, too, however busy the machine is
        for (; rounds < 5 || (most == 0 && rounds < 2000); ++rounds)
            rt.block_on([&]() -> task<> { co_await with_group(app); });
        stop = true;
        reader.join();
        EXPECT_EQ(ended, rounds * 100);
        EXPECT_GT(most, 0u);
        EXPECT_TRUE(rt.close().abandoned.empty());
        EXPECT_TRUE(rt.audit().clean());
    }
}

} // namespace
