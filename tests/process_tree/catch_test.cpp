// The catch matrix: every kind of runaway is ended within two seconds, and its neighbour is not hurt.
#include "proc/warden.hpp"
#include "test_engine.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <ostream>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app::testing {
namespace {

enum class way { warden, cgroup, isolate };

struct matrix_cell {
    const char* kind;
    way how;
    bool item_gone = false; ///< the item itself ends at once, and leaves the rest behind
};

std::ostream& operator<<(std::ostream& out, const matrix_cell& cell) { return out << cell.kind; }

class CatchMatrix : public ::testing::TestWithParam<matrix_cell> {
protected:
    std::unique_ptr<run_cgroup> cgroup_ = GetParam().how == way::cgroup ? run_cgroup::create() : nullptr;
    item_limits limits_{.timeout = {}, .grace = 300ms, .isolate = GetParam().how == way::isolate};
};

/// What an item in a namespace says where none can be made; true if that is what happened.
bool namespaces_refused(test_engine& engine, unsigned slot) {
    if (!engine.slot(slot).ended || engine.slot(slot).ended->spawn_errno == 0) return false;
    EXPECT_EQ(engine.slot(slot).ended->spawn_error().stage, io::spawn_stage::isolation);
    return true;
}

TEST_P(CatchMatrix, EndsAllOfItAndNobodyElse) {
    const matrix_cell& cell = GetParam();
    {
        test_engine engine(2, cgroup_.get());
        // A neighbour of the same kind, unless that ends by itself.
        ASSERT_TRUE(engine.run(1, {zoo(), cell.item_gone ? "setsid" : cell.kind}, limits_));
        ASSERT_TRUE(engine.until([&] { return engine.slot(1).ended || !engine.slot(1).out.empty(); }));
        if (namespaces_refused(engine, 1)) return;
        ASSERT_TRUE(engine.run(0, {zoo(), cell.kind}, limits_));
        ASSERT_TRUE(engine.wrote(0, "r"));
        const auto killed_at = std::chrono::steady_clock::now();
        if (!cell.item_gone) engine.wardens()[0].kill(engine.wardens()[0].item());

        const report ended = engine.result(0);
        ASSERT_TRUE(engine.until([&] { return engine.slot(0).all_gone; })) << "a process escaped";
        EXPECT_LE(engine.slot(0).gone_at - killed_at, 2s);
        EXPECT_EQ(ended.unkillable, 0U);
        if (cell.item_gone) {
            EXPECT_EQ(ended.by, ended_by::itself);
            EXPECT_EQ(ended.wait_status, 0);
        } else {
            EXPECT_EQ(ended.by, ended_by::kill_request);
            EXPECT_TRUE(WIFSIGNALED(ended.wait_status) && WTERMSIG(ended.wait_status) == SIGKILL);
        }
        EXPECT_FALSE(engine.slot(1).all_gone) << "the neighbour was hurt";
        EXPECT_FALSE(engine.slot(1).ended.has_value());

        engine.wardens()[1].kill(engine.wardens()[1].item());
        engine.result(1);
        EXPECT_TRUE(engine.until([&] { return engine.slot(1).all_gone; }));
        EXPECT_EQ(strangers(engine.wardens()), 0U);
    }
    EXPECT_TRUE(no_child_within(0ms));
    if (cgroup_) {
        EXPECT_NE(access(cgroup_->path().c_str(), F_OK), 0) << "the cgroup was left behind";
    }
}

std::vector<matrix_cell> all_cells() {
    std::vector<matrix_cell> cells;
    for (const way how : {way::warden, way::cgroup, way::isolate}) {
        for (const char* kind :
             {"plain", "setsid", "dfork", "env", "bomb", "ignterm", "stop", "zombie", "subreap"})
            cells.push_back({kind, how});
        for (const char* kind : {"daemon", "envdaemon", "hop", "slowhop"})
            cells.push_back({kind, how, true});
    }
    return cells;
}

std::string cell_name(const ::testing::TestParamInfo<matrix_cell>& info) {
    const char* const ways[] = {"warden", "cgroup", "isolate"};
    return std::string(info.param.kind) + "_by_" + ways[static_cast<int>(info.param.how)];
}

INSTANTIATE_TEST_SUITE_P(Zoo, CatchMatrix, ::testing::ValuesIn(all_cells()), cell_name);

/// Runs `body` in a child without root's rights. Returns: its exit status.
template <class Body>
int as_nobody(Body body) {
    const pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
            _exit(99);
        _exit(body());
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

TEST(Isolation, WorksWithoutPrivilegeOrSaysWhy) {
    const int status = as_nobody([] {
        test_engine engine(1);
        if (!engine.run(0, {zoo(), "getpid"}, {.timeout = {}, .grace = 1s, .isolate = true})) return 1;
        const report ended = engine.result(0);
        if (ended.spawn_errno != 0) return ended.spawn_error().stage == io::spawn_stage::isolation ? 0 : 2;
        return engine.slot(0).out == "2\n" && ended.wait_status == 0 ? 0 : 3;
    });
    EXPECT_EQ(status, 0);
}

TEST(Isolation, ItemSeesItsOwnProcessesOnly) {
    test_engine engine(1);
    const item_limits isolated{.timeout = {}, .grace = 1s, .isolate = true};
    ASSERT_TRUE(engine.run(0, {"/bin/sh", "-c", "ls -d /proc/[0-9]* | wc -l; echo end"}, isolated));
    engine.result(0);
    if (namespaces_refused(engine, 0)) return;
    ASSERT_TRUE(engine.wrote(0, "end"));
    EXPECT_LE(std::stoi(engine.slot(0).out), 5); // init, sh, ls, wc
}

TEST(Isolation, MirrorsStatusAndStartErrors) {
    test_engine engine(1);
    const item_limits isolated{.timeout = {}, .grace = 1s, .isolate = true};
    ASSERT_TRUE(engine.run(0, {zoo(), "exit3"}, isolated));
    report ended = engine.result(0);
    if (namespaces_refused(engine, 0)) return;
    EXPECT_TRUE(WIFEXITED(ended.wait_status) && WEXITSTATUS(ended.wait_status) == 3);

    ASSERT_TRUE(engine.run(0, {"/bin/sh", "-c", "kill -SEGV $$"}, isolated));
    ended = engine.result(0);
    EXPECT_TRUE(WIFSIGNALED(ended.wait_status) && WTERMSIG(ended.wait_status) == SIGSEGV);

    ASSERT_TRUE(engine.run(0, {"/no/such/file"}, isolated));
    ended = engine.result(0);
    EXPECT_EQ(ended.spawn_errno, ENOENT);
    EXPECT_EQ(ended.spawn_error().stage, io::spawn_stage::exec);
}

TEST(Isolation, TimeoutReachesTheItemWithGrace) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {zoo(), "term7"}, {.timeout = 150ms, .grace = 5s, .isolate = true}));
    const report ended = engine.result(0);
    if (namespaces_refused(engine, 0)) return;
    EXPECT_EQ(ended.by, ended_by::timeout);
    EXPECT_TRUE(WIFEXITED(ended.wait_status) && WEXITSTATUS(ended.wait_status) == 7);
    EXPECT_EQ(ended.descendants_ended, 0U);
}

} // namespace
} // namespace tenure::inline v0::app::testing
