#include "proc/warden.hpp"
#include "test_engine.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app::testing {
namespace {

bool exited(const report& ended, int status) {
    return ended.spawn_errno == 0 && WIFEXITED(ended.wait_status) && WEXITSTATUS(ended.wait_status) == status;
}

bool killed(const report& ended, int signal) {
    return ended.spawn_errno == 0 && WIFSIGNALED(ended.wait_status) && WTERMSIG(ended.wait_status) == signal;
}

std::chrono::nanoseconds lasted(const report& ended) {
    return std::chrono::nanoseconds(ended.gone_ns - ended.started_ns);
}

TEST(Warden, RunsOneItemAfterTheOther) {
    test_engine engine(1);
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(engine.run(
            0, {"/bin/sh", "-c", "echo " + std::to_string(i) + "; exit " + std::to_string(i % 3)}));
        const report ended = engine.result(0);
        EXPECT_TRUE(exited(ended, i % 3));
        EXPECT_EQ(ended.by, ended_by::itself);
        EXPECT_LE(ended.started_ns, ended.ended_ns);
        EXPECT_LE(ended.ended_ns, ended.gone_ns);
        ASSERT_TRUE(engine.until([&] { return engine.slot(0).all_gone; }));
        EXPECT_EQ(engine.slot(0).out, std::to_string(i) + "\n");
    }
}

TEST(Warden, TellsTheSignalThatEndedAnItem) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {"/bin/sh", "-c", "kill -USR1 $$"}));
    EXPECT_TRUE(killed(engine.result(0), SIGUSR1));
}

TEST(Warden, ItemHasAGroupOfItsOwnCleanSignalsAndNoOtherDescriptor) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {"/bin/sh", "-c",
                               "read -r pid rest < /proc/self/stat; set -- $rest; echo group $4 pid $$;"
                               "exec grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status"}));
    ASSERT_TRUE(engine.wrote(0, "SigCgt"));
    const std::string& out = engine.slot(0).out;
    EXPECT_NE(out.find("SigBlk:\t0000000000000000"), std::string::npos) << out;
    EXPECT_NE(out.find("SigIgn:\t0000000000000000"), std::string::npos) << out;
    EXPECT_TRUE(exited(engine.result(0), 0));
    const std::string first = out.substr(0, out.find('\n')); // "group N pid N"
    EXPECT_EQ(first.substr(6, first.find(" pid") - 6), first.substr(first.find(" pid ") + 5));

    ASSERT_TRUE(engine.run(0, {zoo(), "descriptors"}));
    EXPECT_TRUE(exited(engine.result(0), 0));
    ASSERT_TRUE(engine.wrote(0, "\n"));
    EXPECT_EQ(engine.slot(0).out, "0 1 2 \n");
}

TEST(Warden, EndsWhatAnItemLeavesBehind) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {"/bin/sh", "-c", "setsid sleep 20 & sleep 20 & exit 4"}));
    const report ended = engine.result(0);
    EXPECT_TRUE(exited(ended, 4));
    EXPECT_EQ(ended.by, ended_by::itself);
    EXPECT_EQ(ended.descendants_ended, 2U);
    EXPECT_LT(lasted(ended), 1s); // SIGTERM was enough
    EXPECT_EQ(strangers(engine.wardens()), 0U);
}

TEST(Warden, KillsLeftoversThatIgnoreSigtermAfterAtMostASecond) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {"/bin/sh", "-c", "(trap '' TERM; exec sleep 20) & sleep 0.1"},
                           {.timeout = {}, .grace = 10s}));
    const report ended = engine.result(0);
    EXPECT_TRUE(exited(ended, 0));
    EXPECT_EQ(ended.descendants_ended, 1U);
    EXPECT_GE(lasted(ended), 1s);
    EXPECT_LT(lasted(ended), 3s);
}

TEST(Warden, TimeoutSendsSigtermAndTheItemMayEndInOrder) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {zoo(), "term7"}, {.timeout = 200ms, .grace = 10s}));
    const report ended = engine.result(0);
    EXPECT_TRUE(exited(ended, 7));
    EXPECT_EQ(ended.by, ended_by::timeout);
    EXPECT_GE(lasted(ended), 200ms);
    EXPECT_LT(lasted(ended), 2s);
    EXPECT_GE(ended.term_late_ns, 0);
    EXPECT_LT(ended.term_late_ns, 500'000'000);
}

TEST(Warden, GraceIsFollowedBySigkill) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {zoo(), "ignterm_setsid"}, {.timeout = 200ms, .grace = 300ms}));
    const report ended = engine.result(0);
    EXPECT_TRUE(killed(ended, SIGKILL));
    EXPECT_EQ(ended.by, ended_by::timeout);
    EXPECT_EQ(ended.descendants_ended, 1U);
    EXPECT_GE(lasted(ended), 500ms);
    EXPECT_LT(lasted(ended), 2s);
    EXPECT_TRUE(engine.until([&] { return engine.slot(0).all_gone; }, 1s));
}

TEST(Warden, SigtermReachesDescendantsOutsideTheGroup) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(
        0,
        {"/bin/sh", "-c",
         "setsid sh -c 'trap \"echo caught; exit\" TERM; echo up; while :; do sleep 0.05; done' & wait"},
        {.timeout = {}, .grace = 15s}));
    ASSERT_TRUE(engine.wrote(0, "up"));
    engine.wardens()[0].end(engine.wardens()[0].item());
    const report ended = engine.result(0);
    EXPECT_EQ(ended.by, ended_by::end_request);
    EXPECT_TRUE(engine.wrote(0, "caught"));
    EXPECT_LT(lasted(ended), 12s);
}

TEST(Warden, AnItemAfterAKilledOneIsNotKilled) {
    // With a cgroup too: the kernel may kill what is started into one that was killed.
    const std::unique_ptr<run_cgroup> cgroup = run_cgroup::create();
    test_engine engine(1, cgroup.get());
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(engine.run(0, {zoo(), "ignterm_setsid"}));
        ASSERT_TRUE(engine.wrote(0, "r"));
        engine.wardens()[0].kill(engine.wardens()[0].item());
        EXPECT_TRUE(killed(engine.result(0), SIGKILL));
        ASSERT_TRUE(engine.run(0, {zoo(), "exit3"}));
        EXPECT_TRUE(exited(engine.result(0), 3));
    }
}

TEST(Warden, EndIsForOneItemOnly) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {zoo(), "exit"}));
    engine.result(0);
    std::string late;
    encode_control(late, frame_kind::end, 1); // the item that has ended already
    ASSERT_EQ(write(engine.wardens()[0].socket(), late.data(), late.size()),
              static_cast<ssize_t>(late.size()));
    ASSERT_TRUE(engine.run(0, {"/bin/sh", "-c", "sleep 0.1; exit 5"}));
    EXPECT_TRUE(exited(engine.result(0), 5));
}

TEST(Warden, KillCutsTheGraceShort) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {zoo(), "ignterm"}, {.timeout = {}, .grace = 15s}));
    ASSERT_TRUE(engine.wrote(0, "r"));
    const std::uint64_t item = engine.wardens()[0].item();
    engine.wardens()[0].end(item);
    engine.until([] { return false; }, 100ms);
    EXPECT_FALSE(engine.slot(0).ended.has_value());
    engine.wardens()[0].kill(item);
    const report ended = engine.result(0);
    EXPECT_TRUE(killed(ended, SIGKILL));
    EXPECT_EQ(ended.by, ended_by::kill_request);
    EXPECT_LT(lasted(ended), 3s);
}

TEST(Warden, SaysWhyAnItemCannotBeStarted) {
    const std::string folder = ::testing::TempDir() + "warden_test." + std::to_string(getpid());
    ASSERT_EQ(mkdir(folder.c_str(), 0755), 0);
    const std::string plain = folder + "/plain";
    const std::string garbage = folder + "/garbage";
    std::ofstream(plain) << "x";
    std::ofstream(garbage) << "not a program\n";
    chmod(plain.c_str(), 0644);
    chmod(garbage.c_str(), 0755);

    test_engine engine(1);
    const auto error_of = [&](std::vector<std::string> argv) {
        EXPECT_TRUE(engine.run(0, std::move(argv)));
        const report ended = engine.result(0);
        EXPECT_EQ(ended.spawn_error().stage, io::spawn_stage::exec);
        EXPECT_TRUE(engine.until([&] { return engine.slot(0).all_gone; }, 5s))
            << "the streams were not closed";
        return ended.spawn_errno;
    };
    EXPECT_EQ(error_of({"no-such-command-anywhere"}), ENOENT);
    EXPECT_EQ(error_of({"/no/such/file"}), ENOENT);
    EXPECT_EQ(error_of({plain}), EACCES);
    EXPECT_EQ(error_of({folder}), EACCES);
    EXPECT_EQ(error_of({garbage}), ENOEXEC);
    EXPECT_EQ(error_of({"/bin/true", std::string(200'000, 'x')}), E2BIG);
    EXPECT_EQ(error_of({""}), ENOENT);
    // And the warden is none the worse for it.
    ASSERT_TRUE(engine.run(0, {"true"}));
    EXPECT_TRUE(exited(engine.result(0), 0));
    unlink(plain.c_str());
    unlink(garbage.c_str());
    rmdir(folder.c_str());
}

TEST(Warden, FindsACommandAgainThatHasMoved) {
    const std::string folder = ::testing::TempDir() + "warden_path." + std::to_string(getpid());
    for (const char* part : {"", "/a", "/b"})
        ASSERT_EQ(mkdir((folder + part).c_str(), 0755), 0);
    const auto install = [&](const char* where, int status) {
        std::ofstream(folder + where + "/moving") << "#!/bin/sh\nexit " << status << "\n";
        chmod((folder + where + "/moving").c_str(), 0755);
    };
    setenv("PATH", (folder + "/a:" + folder + "/b:/bin:/usr/bin").c_str(), 1);
    test_engine engine(1);
    install("/a", 1);
    ASSERT_TRUE(engine.run(0, {"moving"}));
    EXPECT_TRUE(exited(engine.result(0), 1));
    unlink((folder + "/a/moving").c_str());
    install("/b", 2);
    ASSERT_TRUE(engine.run(0, {"moving"}));
    EXPECT_TRUE(exited(engine.result(0), 2));
    unlink((folder + "/b/moving").c_str());
    ASSERT_TRUE(engine.run(0, {"moving"}));
    EXPECT_EQ(engine.result(0).spawn_errno, ENOENT);
    for (const char* part : {"/a", "/b", ""})
        rmdir((folder + part).c_str());
}

TEST(Warden, TakesRequestsOfTwoMegabytesAndRefusesMoreThanTheKernelCould) {
    test_engine engine(1);
    std::vector<std::string> argv{"/bin/sh", "-c", "echo $#"};
    for (int i = 0; i < 18; ++i)
        argv.emplace_back(100'000, 'x'); // the kernel's own limit here: 2 MB with the environment
    ASSERT_TRUE(engine.run(0, argv));
    EXPECT_TRUE(exited(engine.result(0), 0));
    EXPECT_EQ(engine.slot(0).out, "17\n");

    argv.assign(100, std::string(100'000, 'x'));
    EXPECT_FALSE(engine.run(0, argv));
    EXPECT_FALSE(engine.run(0, {"/bin/true", std::string("a\0b", 3)}));
    ASSERT_TRUE(engine.run(0, {"true"}));
    EXPECT_TRUE(exited(engine.result(0), 0));
}

TEST(Warden, TooFewDescriptorsAreAnErrorOfTheItemThatMayBeTriedAgain) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {"true"}));
    EXPECT_TRUE(exited(engine.result(0), 0));
    const pid_t warden = engine.wardens()[0].pid();
    rlimit before{};
    ASSERT_EQ(prlimit(warden, RLIMIT_NOFILE, nullptr, &before), 0);
    const rlimit few{3, before.rlim_max};
    ASSERT_EQ(prlimit(warden, RLIMIT_NOFILE, &few, nullptr), 0);
    ASSERT_TRUE(engine.run(0, {"true"}));
    const report ended = engine.result(0);
    EXPECT_EQ(ended.spawn_errno, EMFILE);
    EXPECT_TRUE(ended.spawn_error().transient());
    ASSERT_EQ(prlimit(warden, RLIMIT_NOFILE, &before, nullptr), 0);
    ASSERT_TRUE(engine.run(0, {"true"}));
    EXPECT_TRUE(exited(engine.result(0), 0));
}

TEST(Warden, NoticesAnItemThatStopsItselfAndStillEndsItInTime) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {zoo(), "selfstop"}, {.timeout = 400ms, .grace = 200ms}));
    ASSERT_TRUE(engine.until([&] { return !engine.slot(0).stops.empty(); }, 5s));
    EXPECT_EQ(engine.slot(0).stops[0].wait_status, SIGSTOP);
    const report ended = engine.result(0);
    EXPECT_EQ(ended.stops, 1U);
    EXPECT_EQ(ended.by, ended_by::timeout);
    EXPECT_TRUE(killed(ended, SIGTERM)); // SIGCONT let it see the signal
    EXPECT_LT(lasted(ended), 2s);
}

bool all_stopped(pid_t warden) {
    const std::vector<pid_t> below = descendants_of(warden);
    for (const pid_t pid : below) {
        process_stat stat;
        if (read_stat(pid, stat) && stat.state != 'T' && !stat.dead()) return false;
    }
    return !below.empty();
}

TEST(Warden, StopAndContMoveTheWholeTreeAndTheTimeoutWaits) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {zoo(), "setsid"}, {.timeout = 500ms, .grace = 200ms}));
    ASSERT_TRUE(engine.wrote(0, "r"));
    engine.wardens().stop_all();
    const pid_t warden = engine.wardens()[0].pid();
    ASSERT_TRUE(engine.until([&] { return all_stopped(warden); }, 5s));
    engine.until([] { return false; }, 900ms);
    EXPECT_FALSE(engine.slot(0).ended.has_value()) << "the timeout ran while the item was stopped";
    EXPECT_TRUE(all_stopped(warden));
    engine.wardens().cont_all();
    const report ended = engine.result(0);
    EXPECT_EQ(ended.by, ended_by::timeout);
    EXPECT_EQ(ended.stops, 0U);
    EXPECT_GE(lasted(ended), 1300ms);
}

TEST(Warden, ContDoesNotWakeWhoWasStoppedBefore) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {zoo(), "selfstop"}));
    ASSERT_TRUE(engine.until([&] { return !engine.slot(0).stops.empty(); }, 5s));
    engine.wardens().stop_all();
    engine.wardens().cont_all();
    engine.until([] { return false; }, 100ms);
    EXPECT_FALSE(engine.slot(0).ended.has_value());
    EXPECT_TRUE(all_stopped(engine.wardens()[0].pid()));
    engine.wardens()[0].end(engine.wardens()[0].item());
    EXPECT_TRUE(killed(engine.result(0), SIGTERM));
}

TEST(Warden, DeadWardenFailsItsItemAndTheNextOneWorks) {
    const std::unique_ptr<run_cgroup> cgroup = run_cgroup::create(); // with and without: both in one
    for (const run_cgroup* group :
         {static_cast<const run_cgroup*>(nullptr), static_cast<const run_cgroup*>(cgroup.get())}) {
        test_engine engine(2, group);
        ASSERT_TRUE(engine.run(0, {zoo(), "bomb"}));
        ASSERT_TRUE(engine.run(1, {zoo(), "setsid"}));
        ASSERT_TRUE(engine.wrote(0, "r"));
        ASSERT_TRUE(engine.wrote(1, "r"));
        signal_process(engine.wardens()[0].pid(), SIGKILL);
        ASSERT_TRUE(engine.until([&] { return engine.slot(0).warden_died && !engine.slot(0).burying; }));
        EXPECT_TRUE(engine.until([&] { return engine.slot(0).all_gone; }, 2s));
        EXPECT_FALSE(engine.slot(1).all_gone) << "the neighbour was hurt";
        ASSERT_TRUE(engine.run(0, {zoo(), "exit3"}));
        const report next = engine.result(0);
        EXPECT_TRUE(exited(next, 3)) << next.spawn_errno << " " << next.wait_status << " "
                                     << engine.slot(0).warden_died;
        engine.wardens()[1].kill(engine.wardens()[1].item());
        engine.result(1);
        EXPECT_EQ(strangers(engine.wardens()), 0U);
    }
}

TEST(Warden, BrokenProtocolEndsTheWardenAndItsItem) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, {zoo(), "setsid"}));
    ASSERT_TRUE(engine.wrote(0, "r"));
    const char garbage[] = "this is no frame at all";
    ASSERT_GT(write(engine.wardens()[0].socket(), garbage, sizeof garbage), 0);
    ASSERT_TRUE(engine.until([&] { return engine.slot(0).warden_died && !engine.slot(0).burying; }));
    EXPECT_TRUE(engine.until([&] { return engine.slot(0).all_gone; }, 2s));
}

TEST(Warden, DescriptorsAndProcessesAreAllGivenBack) {
    const std::size_t before = open_descriptors();
    {
        test_engine engine(3);
        for (int round = 0; round < 5; ++round) {
            for (unsigned slot = 0; slot < 3; ++slot)
                ASSERT_TRUE(engine.run(slot, {zoo(), slot == 0 ? "exit" : slot == 1 ? "daemon" : "zombie"}));
            engine.result(0);
            engine.result(1);
            signal_process(engine.wardens()[2].pid(), SIGKILL);
            ASSERT_TRUE(engine.until([&] { return engine.slot(2).warden_died && !engine.slot(2).burying; }));
        }
        ASSERT_TRUE(engine.run(0, {zoo(), "bomb"})); // ended by the destructor
    }
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_TRUE(no_child_within(0ms));
}

TEST(Warden, CountsTheProcessorTimeOfAllDescendants) {
    const std::unique_ptr<run_cgroup> cgroup = run_cgroup::create();
    test_engine engine(1, cgroup.get());
    const auto cpu_of = [&](const char* kind) {
        EXPECT_TRUE(engine.run(0, {zoo(), kind}));
        const report ended = engine.result(0);
        EXPECT_TRUE(exited(ended, 0));
        EXPECT_GT(ended.max_rss_bytes, 100'000);
        return std::chrono::nanoseconds(ended.user_ns + ended.system_ns);
    };
    EXPECT_GE(cpu_of("burn"), 150ms);
    EXPECT_GE(cpu_of("burn_orphan"), 150ms);
    // Hidden from wait4, and so from a warden without a cgroup.
    if (cgroup) {
        EXPECT_GE(cpu_of("burn_ignoring_children"), 150ms);
    }
    EXPECT_LT(cpu_of("exit"), 100ms); // nothing of the earlier ones
}

TEST(Warden, ObeysEndAndKillThoughItWasStopped) {
    for (const bool at_once : {false, true}) {
        test_engine engine(1);
        ASSERT_TRUE(engine.run(0, {"/bin/sh", "-c", "echo r; exec sleep 60"}));
        ASSERT_TRUE(engine.wrote(0, "r"));
        const pid_t warden = engine.wardens()[0].pid();
        signal_process(warden, SIGSTOP);
        int status = 0;
        while (waitpid(warden, &status, WUNTRACED) < 0 && errno == EINTR) {}
        ASSERT_TRUE(WIFSTOPPED(status));
        if (at_once)
            engine.wardens()[0].kill(0);
        else
            engine.wardens()[0].end(0);
        const report ended = engine.result(0);
        EXPECT_EQ(ended.by, at_once ? ended_by::kill_request : ended_by::end_request);
        EXPECT_TRUE(killed(ended, at_once ? SIGKILL : SIGTERM));
    }
}

} // namespace
} // namespace tenure::inline v0::app::testing
