// Guard, engine, warden and item under a small job-control shell on a pseudo-terminal.
#include "proc/guard.hpp"
#include "test_engine.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app::testing {
namespace {

/// The job: an engine that does what the command does with the terminal's signals. Writes to `log`: "r" the item
/// is up, "I" an interrupt, "C" continued.
class terminal_job {
public:
    terminal_job(int log, bool tty) : log_(log), tty_(tty) {}

    int run(const engine_context& context) {
        const sigset_t set = forwarded_signals();
        const io::unique_fd signals(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
        test_engine engine(1, context.cgroup, context.registry);
        engine.watch(signals.get(), [&] {
            signalfd_siginfo info{};
            if (read(signals.get(), &info, sizeof info) != sizeof info) return;
            if (info.ssi_signo ==
                SIGINT) { // unfiltered: the guard must not forward what came from the terminal
                tell('I');
                engine.wardens()[0].end(engine.wardens()[0].item());
            }
            if (info.ssi_signo == SIGTSTP) stop(engine);
        });
        const bool running = tty_ ? engine.run_on_terminal(0, {zoo(), "readline"}, STDIN_FILENO)
                                  : engine.run(0, {zoo(), "setsid"});
        if (!running) return 90;
        if (!tty_ && !engine.wrote(0, "r")) return 91;
        if (!tty_) tell('r');
        std::size_t stops_seen = 0;
        const bool ended = engine.until([&] {
            if (engine.slot(0).stops.size() > stops_seen) { // the warden has taken the terminal back
                ++stops_seen;
                stop_self();
                tell('C');
                engine.wardens().cont_all();
            }
            return engine.slot(0).ended.has_value();
        });
        if (!ended) return 92;
        const int status = engine.slot(0).ended->wait_status;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

private:
    void stop(test_engine& engine) {
        engine.wardens().stop_all();
        stop_self();
        tell('C');
        engine.wardens().cont_all();
    }

    void tell(char what) const {
        if (write(log_, &what, 1) != 1) _exit(93);
    }

    int log_;
    bool tty_;
};

/// A shell with one job. Writes to `log`: "S" the job has stopped, "T" the job has ended with the terminal's
/// foreground still its own ("t": not), "E" and its status. Reads from `orders`: "f" and "b" as fg and bg.
[[noreturn]] void shell(const char* terminal, int log, int orders, bool tty) {
    setsid();
    const int slave = open(terminal, O_RDWR); // becomes the controlling terminal
    for (int stream = 0; stream < 3; ++stream)
        dup2(slave, stream);
    signal(SIGTTOU, SIG_IGN);
    const auto tell = [&](std::string text) {
        if (write(log, text.data(), text.size()) < 0) _exit(1);
    };
    const pid_t job = fork();
    if (job < 0) _exit(3);
    if (job == 0) {
        setpgid(0, 0);
        tcsetpgrp(STDIN_FILENO, getpid());
        signal(SIGTTOU, SIG_DFL);
        hear_interrupts();
        fcntl(log, F_SETFD, FD_CLOEXEC);
        _exit(run_guard({1, false},
                        [&](const engine_context& context) { return terminal_job(log, tty).run(context); }));
    }
    setpgid(job, job);
    for (;;) {
        int status = 0;
        if (waitpid(job, &status, WUNTRACED) < 0) continue;
        if (WIFSTOPPED(status)) {
            tcsetpgrp(STDIN_FILENO, getpgrp());
            tell("S");
            char order = 0;
            if (read(orders, &order, 1) != 1) _exit(2);
            if (order == 'f') tcsetpgrp(STDIN_FILENO, job);
            signal_group(job, SIGCONT);
            continue;
        }
        tell(tcgetpgrp(STDIN_FILENO) == job ? "T" : "t");
        tell("E" + std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status)) + ";");
        _exit(0);
    }
}

class Terminal : public ::testing::Test {
protected:
    void open_session(bool tty) {
        master_.reset(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
        ASSERT_GE(master_.get(), 0);
        ASSERT_EQ(grantpt(master_.get()), 0);
        ASSERT_EQ(unlockpt(master_.get()), 0);
        const std::string name = ptsname(master_.get());
        int log[2];
        int orders[2];
        ASSERT_EQ(pipe2(log, O_CLOEXEC), 0);
        ASSERT_EQ(pipe2(orders, O_CLOEXEC), 0);
        std::fflush(nullptr);
        shell_ = fork();
        ASSERT_GE(shell_, 0);
        if (shell_ == 0) {
            close(log[0]);
            close(orders[1]);
            master_.reset();
            shell(name.c_str(), log[1], orders[0], tty);
        }
        close(log[1]);
        close(orders[0]);
        log_.reset(log[0]);
        orders_.reset(orders[1]);
    }

    ~Terminal() override {
        orders_.reset();
        master_.reset(); // hangs the session up, if it still lives
        if (shell_ > 0) waitpid(shell_, nullptr, 0);
    }

    /// Waits for `text` in what shell and job have told, or on the screen.
    bool seen(const std::string& text, bool on_screen = false) {
        const auto end = std::chrono::steady_clock::now() + 15s;
        while ((on_screen ? screen_ : told_).find(text) == std::string::npos) {
            if (std::chrono::steady_clock::now() > end) return false;
            pollfd events[2] = {{log_.get(), POLLIN, 0}, {master_.get(), POLLIN, 0}};
            poll(events, 2, 100);
            take(events[0], told_);
            take(events[1], screen_);
        }
        return true;
    }

    static void take(const pollfd& event, std::string& into) {
        char bytes[256];
        if ((event.revents & POLLIN) == 0) return;
        const ssize_t size = read(event.fd, bytes, sizeof bytes);
        if (size > 0) into.append(bytes, static_cast<std::size_t>(size));
    }

    void type(const std::string& keys) {
        ASSERT_EQ(write(master_.get(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
    }
    void order(char what) { ASSERT_EQ(write(orders_.get(), &what, 1), 1); }
    void forget() { told_.clear(); }

    /// Of the items' processes, those that are not stopped.
    std::size_t running_items() const {
        std::size_t running = 0;
        for (const pid_t pid : descendants_of(shell_)) {
            char path[64];
            char name[64] = {};
            std::snprintf(path, sizeof path, "/proc/%d/comm", pid);
            const io::unique_fd file(open(path, O_RDONLY | O_CLOEXEC));
            process_stat stat;
            if (file && read(file.get(), name, sizeof name - 1) > 0 && std::string(name) == "zoo\n" &&
                read_stat(pid, stat) && stat.state != 'T' && !stat.dead())
                ++running;
        }
        return running;
    }

    bool items_are(std::size_t running) const {
        for (int i = 0; i < 5000 && running_items() != running; ++i)
            pause_for(1ms);
        return running_items() == running;
    }

    std::string told_;
    std::string screen_;

private:
    io::unique_fd master_;
    io::unique_fd log_;
    io::unique_fd orders_;
    pid_t shell_ = -1;
};

constexpr const char* ctrl_c = "\x03";
constexpr const char* ctrl_z = "\x1a";

TEST_F(Terminal, CtrlCReachesTheEngineOnce) {
    open_session(false);
    ASSERT_TRUE(seen("r"));
    type(ctrl_c);
    ASSERT_TRUE(seen(";")) << told_;
    EXPECT_EQ(told_, "rITE143;"); // one interrupt; the item was ended with SIGTERM
}

TEST_F(Terminal, CtrlZStopsEverythingAsOneJobAndFgGoesOn) {
    open_session(false);
    ASSERT_TRUE(seen("r"));
    EXPECT_TRUE(items_are(2));
    for (int i = 0; i < 2; ++i) {
        type(ctrl_z);
        ASSERT_TRUE(seen("S"));
        EXPECT_TRUE(items_are(0));
        order('f');
        ASSERT_TRUE(seen("C"));
        EXPECT_TRUE(items_are(2));
        EXPECT_EQ(told_, i == 0 ? "rSC" : "SC"); // the shell saw one stop
        forget();
    }
    type(ctrl_c);
    ASSERT_TRUE(seen(";")) << told_;
    EXPECT_EQ(told_, "ITE143;");
}

TEST_F(Terminal, TtyItemReadsTheTerminalAndGivesItBack) {
    open_session(true);
    ASSERT_TRUE(seen("r", true));
    type("7\n");
    ASSERT_TRUE(seen(";")) << told_;
    EXPECT_EQ(told_, "TE7;");
}

TEST_F(Terminal, CtrlCOnATtyItemReachesTheItemOnly) {
    open_session(true);
    ASSERT_TRUE(seen("r", true));
    type(ctrl_c);
    ASSERT_TRUE(seen(";")) << told_;
    EXPECT_EQ(told_, "TE130;"); // no "I"
}

TEST_F(Terminal, CtrlZOnATtyItemStopsTheJobAndFgGivesTheTerminalAgain) {
    open_session(true);
    ASSERT_TRUE(seen("r", true));
    type(ctrl_z);
    ASSERT_TRUE(seen("S"));
    order('f');
    ASSERT_TRUE(seen("C"));
    type("5\n");
    ASSERT_TRUE(seen(";")) << told_;
    EXPECT_EQ(told_, "SCTE5;");
}

TEST_F(Terminal, BgDoesNotTakeTheTerminalFromTheShell) {
    open_session(true);
    ASSERT_TRUE(seen("r", true));
    type(ctrl_z);
    ASSERT_TRUE(seen("S"));
    order('b');
    ASSERT_TRUE(seen("SCS")) << told_; // the item reads in the background, and is stopped for it
    order('f');
    ASSERT_TRUE(seen("SCSC")) << told_;
    type("6\n");
    ASSERT_TRUE(seen(";")) << told_;
    EXPECT_EQ(told_, "SCSCTE6;");
}

} // namespace
} // namespace tenure::inline v0::app::testing
