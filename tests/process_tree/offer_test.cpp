// Items that are offered ahead of their turn: which warden starts them, and when none does.
#include "test_engine.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app::testing {
namespace {

class Offer : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ = ::testing::TempDir() + "offer_test." + std::to_string(getpid()) + "/";
        ASSERT_EQ(std::system(("mkdir -p " + folder_).c_str()), 0);
    }
    void TearDown() override { std::system(("rm -r " + folder_).c_str()); }

    /// Ends with `status` once open(name) was called.
    std::vector<std::string> waits_for(const std::string& name, int status = 0) {
        return {"/bin/sh", "-c",
                "until [ -e " + folder_ + name + " ]; do sleep 0.005; done; exit " + std::to_string(status)};
    }
    void open(const std::string& name) { std::ofstream(folder_ + name) << "x"; }
    /// Writes its name behind those of others that have run.
    std::vector<std::string> says(const std::string& name) {
        return {"/bin/sh", "-c", "echo " + name + " >> " + folder_ + "log"};
    }
    std::string log() {
        std::ifstream in(folder_ + "log");
        std::string all;
        for (std::string line; std::getline(in, line);)
            all += line + " ";
        return all;
    }
    static bool ended(test_engine& engine, unsigned slot, std::size_t count) {
        return engine.until([&] { return engine.slot(slot).all.size() == count; });
    }

    std::string folder_;
};

TEST_F(Offer, AWardenGoesOnWithItAndTellsSoInTheReportBefore) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, waits_for("go")));
    const std::uint64_t first = engine.wardens()[0].item();
    const std::uint64_t next = engine.offer(says("b"));
    ASSERT_NE(next, 0U);
    open("go");
    ASSERT_TRUE(ended(engine, 0, 2));
    const std::vector<report>& all = engine.slot(0).all;
    EXPECT_EQ(all[0].id, first);
    EXPECT_EQ(all[0].next, next);
    EXPECT_EQ(all[1].id, next);
    EXPECT_EQ(all[1].next, 0U);
    EXPECT_TRUE(all[1].succeeded());
    EXPECT_LE(all[0].gone_ns, all[1].started_ns) << "two items at once";
    EXPECT_TRUE(engine.wardens()[0].idle());
    EXPECT_EQ(log(), "b ");
}

TEST_F(Offer, TheOldestIsTakenFirstByWhicheverWardenComes) {
    test_engine engine(2);
    ASSERT_TRUE(engine.run(0, waits_for("never")));
    ASSERT_TRUE(engine.run(1, waits_for("go")));
    const std::uint64_t b = engine.offer(says("b"));
    const std::uint64_t c = engine.offer(says("c"));
    ASSERT_TRUE(b != 0 && c != 0);
    EXPECT_EQ(engine.offer(says("d")), 0U) << "as many as there are slots";
    open("go");
    ASSERT_TRUE(ended(engine, 1, 3));
    EXPECT_EQ(engine.slot(1).all[0].next, b);
    EXPECT_EQ(engine.slot(1).all[1].next, c);
    EXPECT_EQ(log(), "b c ");
    EXPECT_TRUE(engine.wardens()[0].busy());
    EXPECT_NE(engine.offer(says("d")), 0U) << "there is room again";
}

TEST_F(Offer, WhatWasTakenBackIsNotStarted) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, waits_for("go")));
    const std::uint64_t b = engine.offer(says("b"));
    EXPECT_TRUE(engine.wardens().take_back(b));
    EXPECT_FALSE(engine.wardens().take_back(b)) << "once";
    const std::uint64_t c = engine.offer(says("c"));
    ASSERT_NE(c, 0U);
    open("go");
    ASSERT_TRUE(ended(engine, 0, 2));
    EXPECT_EQ(engine.slot(0).all[0].next, c);
    EXPECT_FALSE(engine.wardens().take_back(c));
    EXPECT_EQ(log(), "c ");
}

TEST_F(Offer, BehindAnItemThatDidNotSucceedNothingIsStarted) {
    test_engine engine(1);
    for (const char* how : {"status", "signal", "timeout", "not found", "end"}) {
        const std::string kind = how;
        const std::string go = "go " + kind;
        std::vector<std::string> argv = waits_for("'" + go + "'", kind == "status" ? 1 : 0);
        if (kind == "signal") argv = {"/bin/sh", "-c", "kill -9 $$"};
        if (kind == "not found") argv = {"no-such-command-anywhere"};
        ASSERT_TRUE(engine.run(0, argv, {.timeout = kind == "timeout" ? 50ms : 20s}));
        const std::uint64_t next = engine.offer(says("b"));
        ASSERT_NE(next, 0U);
        if (kind == "end") engine.wardens()[0].end(0);
        if (kind == "status") open(go);
        EXPECT_EQ(engine.result(0).next, 0U) << kind;
        EXPECT_TRUE(engine.wardens().take_back(next)) << kind;
        EXPECT_TRUE(engine.wardens()[0].idle()) << kind;
    }
    // What lies in the queue still is nobody's.
    ASSERT_TRUE(engine.run(0, {"true"}));
    EXPECT_EQ(engine.result(0).next, 0U);
    EXPECT_EQ(log(), "");
}

TEST_F(Offer, OneThatCannotBeStartedIsReported) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, waits_for("go")));
    const std::uint64_t next = engine.offer({"no-such-command-anywhere"});
    ASSERT_NE(next, 0U);
    open("go");
    ASSERT_TRUE(ended(engine, 0, 2));
    EXPECT_EQ(engine.slot(0).all[1].id, next);
    EXPECT_EQ(engine.slot(0).all[1].spawn_errno, ENOENT);
}

TEST_F(Offer, EndOfWhicheverRunsReachesOneThatWasNotToldOf) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, waits_for("go")));
    ASSERT_NE(engine.offer({"/bin/sh", "-c", "echo b >> " + folder_ + "log; exec sleep 20"}), 0U);
    open("go");
    // The engine reads nothing meanwhile: the warden goes on without it.
    for (int waited = 0; log().empty() && waited < 20'000; ++waited)
        pause_for(1ms);
    engine.wardens()[0].end(0);
    ASSERT_TRUE(ended(engine, 0, 2));
    EXPECT_EQ(engine.slot(0).all[1].by, ended_by::end_request);
}

TEST_F(Offer, ADeadWardensOffersAreTheEnginesAgain) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, waits_for("never")));
    const std::uint64_t next = engine.offer(says("b"));
    ASSERT_NE(next, 0U);
    signal_process(engine.wardens()[0].pid(), SIGKILL);
    ASSERT_TRUE(engine.until([&] { return engine.slot(0).warden_died && !engine.slot(0).burying; }));
    EXPECT_TRUE(engine.wardens().take_back_after(next, 0));
    ASSERT_TRUE(engine.run(0, {"true"}));
    EXPECT_EQ(engine.result(0).next, 0U);
    EXPECT_EQ(log(), "");
}

TEST_F(Offer, TooLongForOneMessageIsRefused) {
    test_engine engine(1);
    ASSERT_TRUE(engine.run(0, waits_for("go")));
    EXPECT_EQ(engine.offer({"/bin/true", std::string(max_offer_bytes, 'x')}), 0U);
    EXPECT_NE(engine.offer(says("b")), 0U) << "the word was given back";
    open("go");
    ASSERT_TRUE(ended(engine, 0, 2));
}

TEST_F(Offer, DescriptorsAreAllGivenBack) {
    const std::size_t before = open_descriptors();
    {
        test_engine engine(2);
        for (int round = 0; round < 5; ++round) {
            ASSERT_TRUE(engine.run(0, waits_for("go" + std::to_string(round))));
            ASSERT_NE(engine.offer({"true"}), 0U);
            const std::uint64_t second = engine.offer({"true"});
            ASSERT_NE(second, 0U);
            if (round % 2 == 0) engine.wardens().take_back(second);
            open("go" + std::to_string(round));
            ASSERT_TRUE(engine.until([&] { return engine.wardens()[0].idle(); }));
        }
        EXPECT_EQ(open_descriptors(), before + 4) << "a link, its pidfd, and both ends of the queue";
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(Offer, NoneIsStartedOnceTheEngineEndsNowThoughItHoldsACopyOfTheLink) {
    // The item succeeds when the engine has closed all that it has of the queue and of the link. The copy, such as the one
    // that a driver watches, must not keep the warden from seeing that.
    test_engine engine(1);
    constexpr std::size_t closed = 3; // both ends of the queue, and the link
    ASSERT_TRUE(engine.run(0, {"/bin/sh", "-c",
                               "until [ -e " + folder_ +
                                   "few ]; do sleep 0.005; done;"
                                   "until set -- /proc/" +
                                   std::to_string(getpid()) + "/fd/*; [ $# -le $(cat " + folder_ +
                                   "few) ]; do sleep 0.005; done"}));
    const io::unique_fd copy(fcntl(engine.wardens()[0].socket(), F_DUPFD_CLOEXEC, 3));
    ASSERT_TRUE(copy);
    ASSERT_NE(engine.offer(says("b")), 0U);
    const std::size_t few = open_descriptors() - closed;
    std::ofstream(folder_ + "few.new") << few;
    ASSERT_EQ(rename((folder_ + "few.new").c_str(), (folder_ + "few").c_str()), 0);
    const kill_round left = engine.wardens().end_now();
    EXPECT_EQ(left.signalled + left.refused, 0U);
    EXPECT_EQ(log(), "") << "the offered item has run";
}

} // namespace
} // namespace tenure::inline v0::app::testing
