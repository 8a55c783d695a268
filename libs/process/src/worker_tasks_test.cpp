// The tasks in worker processes, in the tree of the parent: what they say, and what stands there when they do not.
#include "pool_test.hpp"
#include "worker_tasks.hpp"

#include <tenure/core/observe.hpp>

#include <algorithm>
#include <atomic>
#include <poll.h>
#include <sys/syscall.h>
#include <thread>

namespace process_test {
namespace {

using core::process_answer;
using process::detail::most_tree_bytes;
using process::detail::printable;

// ---- calls

void wait_until_cancelled() {
    while (!this_task::cancel_requested())
        ::poll(nullptr, 0, 1);
}
/// Tasks in a runtime of its own, until it is cancelled.
void has_tasks(const std::string& file, int n, const std::string& name) {
    runtime rt(on_epoll(1));
    auto waits = [](std::string f) -> task<> {
        note_pid(f);
        co_await sleep_for(1h);
    };
    std::vector<future<void>> all;
    for (int i = 0; i < n; ++i)
        all.push_back(rt.submit({.name = name}, waits, file));
    wait_until_cancelled();
    for (auto& f : all)
        f.cancel("not wanted");
}
/// One task, which hears of nothing.
void has_a_stuck_task(const std::string& file) {
    runtime rt(on_epoll(1));
    auto stuck = rt.submit({.name = "stuck"}, [&] {
        note_pid(file);
        wait_until_cancelled();
    });
    wait_until_cancelled();
    stuck.cancel("not wanted");
}
void has_no_runtime(const std::string& file) {
    note_pid(file);
    wait_until_cancelled();
}
/// A task in this process that waits for one in a process below, and so on.
void nests(int levels, const std::string& file) {
    runtime rt(on_epoll(1));
    auto work = [&]() -> task<> {
        if (levels == 0) {
            note_pid(file);
            co_await sleep_for(1h);
        } else {
            pool p({.workers = 1, .grace = long_enough});
            co_await p.call(fn<&nests>, levels - 1, file);
        }
    };
    auto f = rt.submit({.name = "level " + std::to_string(levels)}, work);
    wait_until_cancelled();
    f.cancel("not wanted");
}
int brief(int n) {
    runtime rt(on_epoll(1));
    auto body = [](int k) -> task<int> {
        co_await yield();
        co_return k;
    };
    return rt.block_on({.name = "brief"}, body, n);
}

// ---- what the tests share

bool contains(const std::string& text, std::string_view what) { return text.find(what) != std::string::npos; }

char state_in(const std::string& stat_file) {
    std::ifstream stat(stat_file);
    std::string line;
    std::getline(stat, line);
    const auto at = line.rfind(')');
    return at == std::string::npos ? 'X' : line[at + 2];
}
bool has_thread(pid_t process, const std::string& name) {
    const std::string tasks = "/proc/" + std::to_string(process) + "/task";
    DIR* d = ::opendir(tasks.c_str());
    bool found = false;
    while (const dirent* e = ::readdir(d)) {
        std::ifstream comm(tasks + "/" + e->d_name + "/comm");
        std::string line;
        found |= std::getline(comm, line) && line == name;
    }
    ::closedir(d);
    return found;
}
task<> stopped(pid_t pid) {
    ::kill(pid, SIGSTOP);
    while (state_in("/proc/" + std::to_string(pid) + "/stat") != 'T')
        co_await sleep_for(1ms);
}

class WorkerTasks : public Pools {
protected:
    WorkerTasks() { ::unlink(file_.c_str()); }
    ~WorkerTasks() override { ::unlink(file_.c_str()); }
    const std::string& file() const { return file_; }

    /// Runs `body` beside a task named "calls" that awaits `call()`, and cancels that afterwards.
    template <class Call, class Body>
    void run_beside(Call call, Body body) {
        run([&]() -> task<> {
            auto calls = rt().submit({.name = "calls"}, [&]() -> task<> { (void)co_await call(); });
            co_await body();
            calls.cancel("seen");
            (void)co_await as_outcome(calls);
        });
    }
    /// The call, as soon as it is as wanted. So much patience that an answer is not missed on a busy machine.
    template <class Wanted>
    task<tree_entry> call_when(Wanted wanted, base::duration patience = long_enough) {
        for (;;) {
            tree_entry e = call_of(rt().dump(patience), "calls");
            if (e.process != 0 && wanted(e)) co_return e; // its supervisor has told who it is
            co_await sleep_for(1ms);
        }
    }

private:
    const std::string file_ = testing::TempDir() + "tenure-tasks-" + std::to_string(::getpid());
};

// ---- what they say

TEST_P(WorkerTasks, R008_TasksThatACallHasStartedStandUnderIt) {
    pool p(rt(), {.workers = 1, .grace = long_enough});
    run_beside([&] { return p.call(fn<&has_tasks>, file(), 2, "inner"); },
               [&]() -> task<> {
                   const tree_entry e = co_await call_when([](const tree_entry& c) {
                       return std::ranges::count(c.tasks, '\n') > 4 && !contains(c.tasks, "running");
                   });
                   EXPECT_EQ(e.answer, process_answer::given);
                   EXPECT_TRUE(e.tasks.starts_with("2 tasks live\n")) << e.tasks;
                   EXPECT_TRUE(contains(e.tasks, "'inner' spawned at ")) << e.tasks;
                   EXPECT_TRUE(contains(e.tasks, "worker_tasks_test.cpp")) << e.tasks;
                   EXPECT_TRUE(has_thread(e.process, "tenure-teller"));
                   const std::string text = to_string(rt().dump(long_enough));
                   EXPECT_TRUE(contains(text, "running, begun ")) << text;
                   EXPECT_TRUE(contains(text, "\n      2 tasks live\n        task ")) << text;
               });
}
TEST_P(WorkerTasks, R008_ARuntimeWhoseWorkersAreStuckIsShown) {
    pool p(rt(), {.workers = 1, .grace = long_enough});
    run_beside([&] { return p.call(fn<&has_a_stuck_task>, file()); },
               [&]() -> task<> {
                   const pid_t worker = co_await noted(file());
                   const tree_entry e =
                       co_await call_when([](const tree_entry& c) { return contains(c.tasks, "running"); });
                   EXPECT_EQ(e.process, worker);
                   EXPECT_TRUE(contains(e.tasks, "'stuck'")) << e.tasks;
               });
}
TEST_P(WorkerTasks, R008_ATreeThatIsTooLongIsCutAtALine) {
    pool p(rt(), {.workers = 1, .grace = long_enough});
    const std::string name(1000, 'n');
    run_beside([&] { return p.call(fn<&has_tasks>, file(), 150, name); },
               [&]() -> task<> {
                   const tree_entry e = co_await call_when(
                       [](const tree_entry& c) { return c.tasks.starts_with("150 tasks live\n"); });
                   EXPECT_LE(e.tasks.size(), most_tree_bytes);
                   EXPECT_GT(e.tasks.size(), most_tree_bytes - 2000);
                   const std::string last = e.tasks.substr(e.tasks.rfind('\n', e.tasks.size() - 2) + 1);
                   EXPECT_TRUE(last.starts_with("cut here: there are 1")) << last;
               });
}
TEST_P(WorkerTasks, R008_ProcessesBelowProcessesAreShownAndOneThatIsStoppedHidesNoOther) {
    pool p(rt(), {.workers = 1, .grace = long_enough});
    run_beside(
        [&] { return p.call(fn<&nests>, 2, file()); },
        [&]() -> task<> {
            const pid_t lowest = co_await noted(file());
            (void)co_await call_when([](const tree_entry& c) { return contains(c.tasks, "'level 0'"); });
            const std::string text = to_string(rt().dump(long_enough));
            std::size_t depth = 0;
            for (const auto name : {"'calls'", "'level 2'", "'level 1'", "'level 0'"}) {
                const auto at = text.find(name);
                if (at == std::string::npos) {
                    ADD_FAILURE() << "no " << name << " in\n" << text;
                    continue;
                }
                const auto line = text.rfind('\n', at) + 1;
                const auto indent = text.find_first_not_of(' ', line) - line;
                EXPECT_GT(indent, depth) << text;
                depth = indent;
            }
            co_await stopped(lowest);
            const auto before = std::chrono::steady_clock::now();
            const tree_entry e = call_of(rt().dump(4s), "calls");
            EXPECT_LT(std::chrono::steady_clock::now() - before, 4s); // each below has a part of that
            EXPECT_EQ(e.answer, process_answer::given);
            EXPECT_TRUE(contains(e.tasks, "it did not answer")) << e.tasks;
            EXPECT_TRUE(contains(e.tasks, "'level 2'")) << e.tasks;
            EXPECT_TRUE(contains(e.tasks, "'level 1'")) << e.tasks;
            EXPECT_FALSE(contains(e.tasks, "'level 0'")) << e.tasks;
            ::kill(lowest, SIGCONT);
            (void)co_await call_when([](const tree_entry& c) { return contains(c.tasks, "'level 0'"); });
        });
}

// ---- and when they do not

TEST_P(WorkerTasks, R008_AStoppedWorkerHoldsUpNobodyAndAnswersWhenItGoesOn) {
    pool p(rt(), {.workers = 1, .grace = long_enough});
    const auto is_given = [](const tree_entry& c) { return contains(c.tasks, "'inner'"); };
    run_beside([&] { return p.call(fn<&has_tasks>, file(), 1, "inner"); },
               [&]() -> task<> {
                   const pid_t worker = co_await noted(file());
                   (void)co_await call_when(is_given);
                   co_await stopped(worker);
                   for (int i = 0; i < 3; ++i) { // whatever was asked before
                       const auto before = std::chrono::steady_clock::now();
                       const task_tree t = rt().dump();
                       const auto took = std::chrono::steady_clock::now() - before;
                       EXPECT_GE(took, core::dump_patience);
                       EXPECT_LT(took, long_enough / 4);
                       const tree_entry e = call_of(t, "calls");
                       EXPECT_EQ(e.answer, process_answer::missing);
                       EXPECT_EQ(e.tasks, "");
                       EXPECT_TRUE(contains(to_string(t), ", its tasks are not known: it did not answer\n"))
                           << to_string(t);
                   }
                   EXPECT_EQ(call_of(rt().dump(0s), "calls").answer, process_answer::none); // it is not asked
                   ::kill(worker, SIGCONT);
                   (void)co_await call_when(is_given);
               });
}
TEST_P(WorkerTasks, R008_AWorkerWithoutARuntimeIsNotAsked) {
    pool p(rt(), {.workers = 1, .grace = long_enough});
    run_beside([&] { return p.call(fn<&has_no_runtime>, file()); },
               [&]() -> task<> {
                   const pid_t worker = co_await noted(file());
                   co_await stopped(worker);
                   const tree_entry e = co_await call_when( // at once
                       [](const tree_entry& c) { return c.kind == tree_entry::kind_of::call; }, 1h);
                   EXPECT_EQ(e.doing, task_activity::running);
                   EXPECT_EQ(e.answer, process_answer::none);
                   EXPECT_FALSE(has_thread(worker, "tenure-teller"));
                   ::kill(worker, SIGCONT);
               });
}
TEST_P(WorkerTasks, R008_AWorkerThatIsKilledWhileItIsAskedEndsTheWait) {
    pool p(rt(), {.workers = 1, .grace = long_enough});
    run_beside([&] { return p.call(fn<&has_tasks>, file(), 1, "inner"); },
               [&]() -> task<> {
                   const pid_t worker = co_await noted(file());
                   (void)co_await call_when([](const tree_entry& c) { return contains(c.tasks, "'inner'"); });
                   co_await stopped(worker);
                   std::atomic<long> tid{0};
                   tree_entry e;
                   std::thread asks([&] {
                       tid = ::syscall(SYS_gettid);
                       e = call_of(rt().dump(1h), "calls");
                   });
                   while (tid == 0 ||
                          state_in("/proc/self/task/" + std::to_string(tid.load()) + "/stat") != 'S')
                       co_await sleep_for(1ms);
                   ::kill(worker, SIGKILL);
                   asks.join();
                   EXPECT_EQ(e.answer, process_answer::missing);
                   EXPECT_EQ(e.process, worker);
               });
}
TEST_P(WorkerTasks, R008_TreesAreReadWhileRuntimesComeAndGoInWorkers) {
    constexpr int calls = 60;
    pool p(rt(), {.workers = 2});
    std::atomic<bool> stop{false};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) // several at once, who are not to be in each other's way
        readers.emplace_back([&] {
            while (!stop)
                for (const tree_entry& e : rt().dump(long_enough).entries) {
                    EXPECT_NE(e.answer, process_answer::missing);
                    EXPECT_EQ(e.answer == process_answer::given, !e.tasks.empty());
                    if (!e.tasks.empty()) {
                        EXPECT_TRUE(e.tasks.starts_with("no task lives") ||
                                    e.tasks.starts_with("1 task lives"))
                            << e.tasks;
                    }
                }
        });
    run([&]() -> task<> {
        co_await with_group([&p](group g) -> task<> {
            for (int i = 0; i < calls; ++i)
                (void)g.spawn([&p, i]() -> task<> { EXPECT_EQ(co_await p.call(fn<&brief>, i), i); });
            co_return;
        });
    });
    stop = true;
    for (std::thread& t : readers)
        t.join();
}

// ---- other programs

class ForeignTasks : public WorkerTasks {
protected:
    /// The call of a worker that tells in that way, and the text of the whole.
    template <class Wanted>
    std::pair<tree_entry, std::string> told(const std::string& how, Wanted wanted,
                                            base::duration patience = long_enough) {
        pool p(rt(), {.workers = 1,
                      .program = {std::string(TENURE_TEST_BIN_DIR) + "/foreign_worker"},
                      .grace = long_enough});
        const std::string message = "tell " + how;
        std::pair<tree_entry, std::string> seen;
        run_beside([&] { return p.request(std::as_bytes(std::span(message))); },
                   [&]() -> task<> {
                       seen.first = co_await call_when(wanted, patience);
                       seen.second = to_string(rt().dump(patience));
                   });
        return seen;
    }
    static bool is_given(const tree_entry& e) { return e.answer == process_answer::given; }
};

TEST_P(ForeignTasks, AnotherProgramMayTellWhatItDoes) {
    const auto [call, text] = told("well", is_given);
    EXPECT_EQ(call.tasks, "reads the second page\n");
    EXPECT_TRUE(contains(text, "\n      reads the second page\n")) << text;
}
TEST_P(ForeignTasks, OnlyWhatCanBePrintedIsShown) {
    const auto [call, text] = told("garbage", is_given);
    EXPECT_EQ(call.tasks, "?[31mred?\n???, \xc3\xbc?end\n");
}
TEST_P(ForeignTasks, OneThatSaysTooMuchIsCut) {
    const auto [call, text] = told("too much", is_given);
    EXPECT_EQ(call.tasks,
              std::string(most_tree_bytes, 'x') + "\ncut here: it says that there are 4000000000 bytes\n");
}
TEST_P(ForeignTasks, OneThatPromisesToTellAndDoesNotIsNotWaitedForTooLong) {
    const auto [call, text] =
        told("nothing", [](const tree_entry& e) { return e.answer == process_answer::missing; }, 1ms);
    EXPECT_EQ(call.tasks, "");
}

TEST(PrintableText, HasWholeCharactersAndNoEmptyLines) {
    EXPECT_EQ(printable(""), "");
    EXPECT_EQ(printable("\n\n"), "");
    EXPECT_EQ(printable("a"), "a\n");
    EXPECT_EQ(printable("\n a\n\nb\n"), " a\nb\n");
    EXPECT_EQ(printable("\t\r\x7f"), "???\n");
    EXPECT_EQ(printable("\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80"),
              "\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80\n");
    EXPECT_EQ(printable("\xc3"), "?\n");                  // half of one
    EXPECT_EQ(printable("\xc0\xaf"), "??\n");             // too long for what it is
    EXPECT_EQ(printable("\xe0\x80\xaf"), "???\n");        // the same
    EXPECT_EQ(printable("\xed\xa0\x80"), "???\n");        // half of a pair
    EXPECT_EQ(printable("\xf4\x90\x80\x80"), "????\n");   // beyond the last
    EXPECT_EQ(printable("\xc2\x9b"), "??\n");             // a control character
    EXPECT_EQ(printable("\xf5\x80\x80\x80z"), "????z\n"); // no first byte
}

INSTANTIATE_TEST_SUITE_P(Workers, WorkerTasks, testing::Values(1u, 4u));
INSTANTIATE_TEST_SUITE_P(Workers, ForeignTasks, testing::Values(1u, 4u));

} // namespace
} // namespace process_test
