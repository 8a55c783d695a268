#include "io_test.hpp"

#include <tenure/io/signals.hpp>

#include <atomic>
#include <thread>

namespace {
using namespace io_test;

// Each in a process of its own: signals belong to the process.
void in_child(const std::function<int()>& f) { EXPECT_EQ(status_in_child(f), 0); }

bool is_blocked(int signo) {
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, nullptr, &now);
    return sigismember(&now, signo) == 1;
}

TEST(SignalSet, SignalsBeforeAndDuringTheWait) {
    for (const unsigned workers : {0u, 1u, 4u}) {
        in_child([workers] {
            signal_set signals{SIGUSR1, SIGUSR2};
            ::kill(::getpid(), SIGUSR1);
            runtime rt(on_epoll(workers));
            const auto body = [&]() -> task<int> {
                const signal_info first = co_await signals.next();
                if (first.signo != SIGUSR1 || first.pid != ::getpid() || first.code != SI_USER) co_return 1;
                auto send = [](group) -> task<> {
                    co_await sleep_for(1ms);
                    ::kill(::getpid(), SIGUSR2);
                };
                signal_info second;
                auto both = [&](group g) -> task<> {
                    (void)g.spawn(send, g);
                    second = co_await signals.next();
                };
                co_await with_group(both);
                co_return second.signo == SIGUSR2&& second.uid == ::getuid() ? 0 : 2;
            };
            return rt.block_on(body);
        });
    }
}

TEST(SignalSet, CancelledWaitLosesNoSignal) {
    in_child([] {
        signal_set signals{SIGUSR1};
        runtime rt(on_epoll(0));
        const auto body = [&]() -> task<int> {
            auto wait = [&]() -> task<> { (void)co_await signals.next(); };
            if (co_await move_on_after(1ms, wait)) co_return 1;
            ::kill(::getpid(), SIGUSR1);
            if (co_await move_on_after(0ms, wait)) co_return 2;
            co_return (co_await signals.next()).signo == SIGUSR1 ? 0 : 3;
        };
        return rt.block_on(body);
    });
}

TEST(SignalSet, MaskIsRestoredAndAnUnreadSignalTakesItsCourse) {
    in_child([] {
        {
            signal_set outer{SIGUSR1};
            if (!is_blocked(SIGUSR1)) return 1;
            {
                signal_set inner{SIGUSR1, SIGUSR2};
                if (!is_blocked(SIGUSR2)) return 2;
            }
            if (!is_blocked(SIGUSR1) || is_blocked(SIGUSR2)) return 3;
        }
        return is_blocked(SIGUSR1) ? 4 : 0;
    });
    EXPECT_EQ(status_in_child([] {
                  signal_set signals{SIGTERM};
                  ::kill(::getpid(), SIGTERM);
                  return 0; // the destructor unblocks it: that ends the process
              }),
              128 + SIGTERM);
}

TEST(SignalSet, ReportsWhoEndedForSigchld) {
    in_child([] {
        signal_set signals{SIGCHLD};
        runtime rt(on_epoll(0));
        const pid_t pid = ::fork();
        if (pid == 0) ::_exit(7);
        const auto body = [&]() -> task<int> {
            const signal_info s = co_await signals.next();
            co_return s.signo == SIGCHLD&& s.pid == pid&& s.code == CLD_EXITED&& s.status == 7 ? 0 : 1;
        };
        const int result = rt.block_on(body);
        ::waitpid(pid, nullptr, 0);
        return result;
    });
}

TEST(SignalSet, UnknownSignalIsRefusedAndChangesNothing) {
    EXPECT_THROW(signal_set({SIGUSR1, 4711}), std::system_error);
    EXPECT_FALSE(is_blocked(SIGUSR1));
}

TEST(SignalSet, OutsideATaskItSaysWhatIsMissing) {
    in_child([] {
        signal_set signals{SIGUSR1};
        try {
            (void)signals.next();
        } catch (const usage_error&) {
            return 0;
        }
        return 1;
    });
}

} // namespace
