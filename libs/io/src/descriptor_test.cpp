#include "io_test.hpp"

#include <tenure/io/descriptor.hpp>

#include <atomic>
#include <csignal>
#include <fstream>
#include <sys/eventfd.h>
#include <thread>

namespace {
using namespace io_test;

class Descriptor : public EveryRuntime {};
INSTANTIATE_TEST_SUITE_P(Workers, Descriptor, every_runtime);

int error_of(const tenure::base::outcome<std::size_t>& o) {
    if (!o.has_failed()) return 0;
    try {
        std::rethrow_exception(o.error());
    } catch (const std::system_error& e) {
        return e.code().value();
    } catch (...) {
        return -1;
    }
}

TEST_P(Descriptor, DataBeforeTheWait) {
    const auto got = run([]() -> task<std::string> {
        auto p = make_pipe();
        put(p.second, "early");
        const descriptor in(std::move(p.first));
        co_await in.readable();
        std::array<char, 16> buffer;
        const std::size_t n = co_await in.read_some(buffer);
        co_return std::string(buffer.data(), n);
    });
    EXPECT_EQ(got, "early");
}

TEST_P(Descriptor, WaitBeforeTheData) {
    const auto got = run([]() -> task<std::string> {
        auto p = make_pipe();
        const descriptor in(std::move(p.first));
        std::string text;
        auto body = [&](group g) -> task<> {
            auto reader = [&]() -> task<> { text = co_await read_to_end(in); };
            (void)g.spawn(reader);
            for (const char* piece : {"a", "bc", "def"}) {
                co_await yield();
                put(p.second, piece);
            }
            p.second.reset();
        };
        co_await with_group(body);
        co_return text;
    });
    EXPECT_EQ(got, "abcdef");
}

TEST_P(Descriptor, DataFromAForeignThread) {
    auto p = make_pipe();
    std::atomic<bool> waits{false};
    std::thread writer([&] {
        while (!waits.load())
            std::this_thread::yield();
        for (int i = 0; i < 50; ++i)
            put(p.second, "x");
        p.second.reset();
    });
    const auto got = run([&]() -> task<std::size_t> {
        const descriptor in(std::move(p.first));
        waits.store(true);
        co_return (co_await read_to_end(in)).size();
    });
    writer.join();
    EXPECT_EQ(got, 50u);
}

TEST_P(Descriptor, PartialReadLeavesItReadable) {
    run([]() -> task<> {
        auto p = make_pipe();
        put(p.second, "abcdefgh");
        const descriptor in(std::move(p.first));
        std::array<char, 3> buffer;
        std::string got;
        while (got.size() < 8) {
            co_await in.readable();
            const std::size_t n = co_await in.read_some(buffer);
            got.append(buffer.data(), n);
        }
        EXPECT_EQ(got, "abcdefgh");
        EXPECT_FALSE(in.try_read(buffer).has_value());
        auto wait = [&]() -> task<> { co_await in.readable(); };
        EXPECT_FALSE(co_await move_on_after(2ms, wait)) << "found empty, so no longer readable";
        put(p.second, "i");
        co_await in.readable();
        EXPECT_EQ(in.try_read(buffer), 1u);
    });
}

// A worker fetches a report, another one reads until nothing is left, and only then the first delivers what it fetched.
TEST_P(Descriptor, ReportThatComesLateDoesNotMakeItReadable) {
    run([]() -> task<> {
        auto p = make_pipe();
        const descriptor in(std::move(p.first));
        auto wait = [&]() -> task<> { co_await in.readable(); };
        EXPECT_FALSE(co_await move_on_after(1ms, wait));
        report_falsely(in);
        EXPECT_FALSE(co_await move_on_after(1ms, wait)) << "before the wait";
        auto body = [&](group g) -> task<> {
            auto f = g.spawn(wait);
            co_await sleep_for(1ms);
            report_falsely(in);
            co_await sleep_for(1ms);
            EXPECT_EQ(f.status(), task_status::pending) << "during the wait";
            put(p.second, "x");
            co_await f;
        };
        co_await with_group(body);
    });
}

TEST_P(Descriptor, EndIsZeroAgainAndAgain) {
    run([]() -> task<> {
        auto p = make_pipe();
        put(p.second, "last");
        p.second.reset();
        const descriptor in(std::move(p.first));
        std::array<char, 16> buffer;
        EXPECT_EQ(co_await in.read_some(buffer), 4u);
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(co_await in.read_some(buffer), 0u);
            co_await in.readable();
            EXPECT_EQ(in.try_read(buffer), 0u);
        }
    });
}

TEST_P(Descriptor, NoRoomAndNothingToWriteEndAtOnce) {
    run([]() -> task<> {
        auto s = make_sockets();
        const descriptor d(std::move(s.first));
        EXPECT_EQ(co_await d.write_all({}), 0u);
        EXPECT_EQ(co_await d.write_some({}), 0u);
        put(s.second, "x");
        EXPECT_EQ(co_await d.read_some({}), 0u);
    });
}

TEST_P(Descriptor, MoreThanAPipeHoldsArrivesWhole) {
    run([]() -> task<> {
        auto p = make_pipe();
        const descriptor in(std::move(p.first));
        descriptor out(std::move(p.second));
        std::string text(1 << 20, ' ');
        for (std::size_t i = 0; i < text.size(); ++i)
            text[i] = static_cast<char>('a' + i % 23);
        std::string got;
        auto body = [&](group g) -> task<> {
            auto reader = [&]() -> task<> { got = co_await read_to_end(in); };
            (void)g.spawn(reader);
            EXPECT_EQ(co_await out.write_all(text), text.size());
            out.close();
        };
        co_await with_group(body);
        EXPECT_TRUE(got == text);
    });
}

TEST_P(Descriptor, ReadsAndWritesOfOneSocketAtTheSameTime) {
    run([]() -> task<> {
        auto s = make_sockets();
        descriptor a(std::move(s.first));
        descriptor b(std::move(s.second));
        const std::string text(300'000, 'x');
        std::size_t echoed = 0;
        auto body = [&](group g) -> task<> {
            auto echo = [&]() -> task<> {
                std::array<char, 4096> buffer;
                while (const std::size_t n = co_await b.read_some(buffer))
                    co_await b.write_all({buffer.data(), n});
                b.close();
            };
            auto read = [&]() -> task<> { echoed = (co_await read_to_end(a)).size(); };
            (void)g.spawn(echo);
            (void)g.spawn(read);
            co_await a.write_all(text);
            ::shutdown(a.fd(), SHUT_WR);
        };
        co_await with_group(body);
        EXPECT_EQ(echoed, text.size());
    });
}

TEST_P(Descriptor, WritingWithoutAReaderIsAnErrorAndNoSignal) {
    run([]() -> task<> {
        auto p = make_pipe();
        const descriptor to_pipe(std::move(p.second));
        p.first.reset();
        EXPECT_EQ(error_of(co_await as_outcome(to_pipe.write_all("x"))), EPIPE);
        EXPECT_THROW((void)to_pipe.try_write("x"), std::system_error);
        auto s = make_sockets();
        const descriptor to_socket(std::move(s.second));
        s.first.reset();
        EXPECT_EQ(error_of(co_await as_outcome(to_socket.write_all("x"))), EPIPE);
        co_await to_socket.writable(); // an error is something to be seen: it does not wait
    });
}

TEST_P(Descriptor, WriterThatWaitsSeesTheReaderGo) {
    run([]() -> task<> {
        auto p = make_pipe();
        const descriptor out(std::move(p.second));
        const std::string more_than_fits(1 << 20, 'x');
        auto body = [&](group g) -> task<> {
            auto write = [&]() -> task<> {
                EXPECT_EQ(error_of(co_await as_outcome(out.write_all(more_than_fits))), EPIPE);
            };
            (void)g.spawn(write);
            co_await sleep_for(1ms);
            p.first.reset();
        };
        co_await with_group(body);
    });
}

TEST_P(Descriptor, R023_CancelEndsAWaitAndLosesNothing) {
    run([]() -> task<> {
        auto p = make_pipe();
        const descriptor in(std::move(p.first));
        std::array<char, 16> buffer;
        auto body = [&](group g) -> task<> {
            auto read = [&]() -> task<std::size_t> { co_return co_await in.read_some(buffer); };
            auto f = g.spawn(read);
            co_await sleep_for(1ms);
            EXPECT_EQ(co_await f.cancel_and_join(), task_status::cancelled);
        };
        co_await with_group(body);
        put(p.second, "kept");
        EXPECT_EQ(co_await in.read_some(buffer), 4u);
    });
}

TEST_P(Descriptor, R023_CancelledBeforeItBeginsReadsNothing) {
    run([]() -> task<> {
        auto p = make_pipe();
        put(p.second, "kept");
        const descriptor in(std::move(p.first));
        std::array<char, 16> buffer;
        auto body = [&](group g) -> task<> {
            g.cancel();
            (void)co_await in.read_some(buffer);
            ADD_FAILURE() << "went on although it was cancelled";
        };
        co_await with_group(body);
        EXPECT_EQ(in.try_read(buffer), 4u);
    });
}

TEST_P(Descriptor, TimeoutEndsAWait) {
    run([]() -> task<> {
        auto p = make_pipe();
        const descriptor in(std::move(p.first));
        std::array<char, 16> buffer;
        auto read = [&]() -> task<std::size_t> { co_return co_await in.read_some(buffer); };
        EXPECT_FALSE((co_await move_on_after(1ms, read)).has_value());
        EXPECT_FALSE((co_await move_on_after(0ms, read)).has_value());
        put(p.second, "x");
        EXPECT_EQ(co_await move_on_after(long_enough, read), 1u);
    });
}

// A byte is written while the reader is cancelled: it is either delivered or still there.
TEST_P(Descriptor, R024_CancelThatRacesWithDataLosesNothing) {
    run([]() -> task<> {
        auto p = make_pipe();
        const descriptor in(std::move(p.first));
        int delivered = 0;
        int left = 0;
        constexpr int rounds = 300;
        for (int i = 0; i < rounds; ++i) {
            auto body = [&](group g) -> task<> {
                auto read = [&]() -> task<std::size_t> {
                    char c = 0;
                    co_return co_await in.read_some({&c, 1});
                };
                auto f = g.spawn(read);
                if (i % 3) co_await yield();
                put(p.second, "x");
                if (i % 2) co_await yield();
                if (co_await f.cancel_and_join() == task_status::done) ++delivered;
            };
            co_await with_group(body);
            char c = 0;
            if (in.try_read({&c, 1})) ++left;
        }
        EXPECT_EQ(delivered + left, rounds);
    });
}

TEST_P(Descriptor, ManyWaitAtTheSameTime) {
    const auto total = run([]() -> task<int> {
        constexpr int count = 200;
        std::vector<descriptor> ins;
        std::vector<unique_fd> outs;
        for (int i = 0; i < count; ++i) {
            auto p = make_pipe();
            ins.emplace_back(std::move(p.first));
            outs.push_back(std::move(p.second));
        }
        std::atomic<int> sum{0};
        auto body = [&](group g) -> task<> {
            for (auto& in : ins) {
                auto read = [&]() -> task<> {
                    std::array<char, 8> buffer;
                    for (int round = 0; round < 3; ++round)
                        sum += static_cast<int>(co_await in.read_some(buffer));
                };
                (void)g.spawn(read);
            }
            for (int round = 0; round < 3; ++round) {
                co_await sleep_for(1ms);
                while (sum.load() < round * count)
                    co_await yield();
                for (auto& out : outs)
                    put(out, "x");
            }
        };
        co_await with_group(body);
        co_return sum.load();
    });
    EXPECT_EQ(total, 600);
}

TEST_P(Descriptor, SecondWaiterInOneDirectionIsRefused) {
    run([this]() -> task<> {
        auto s = make_sockets();
        const descriptor d(std::move(s.first));
        auto body = [&](group g) -> task<> {
            auto wait = [&]() -> task<> { co_await d.readable(); };
            auto first = g.spawn(wait);
            co_await until_it_waits(first);
            try {
                co_await d.readable();
                ADD_FAILURE() << "two readers";
            } catch (const usage_error& e) {
                EXPECT_NE(std::string(e.what()).find("one task for each direction"), std::string::npos)
                    << e.what();
            }
            co_await d.writable(); // the other direction is free
            put(s.second, "x");
            co_await first;
        };
        co_await with_group(body);
    });
}

TEST_P(Descriptor, ClosedUnderAWaitingTaskIsAnErrorThere) {
    run([this]() -> task<> {
        auto p = make_pipe();
        std::optional<descriptor> in(std::move(p.first));
        auto body = [&](group g) -> task<> {
            auto read = [&]() -> task<> {
                char c = 0;
                const auto o = co_await as_outcome(in->read_some({&c, 1}));
                EXPECT_TRUE(o.has_failed());
                EXPECT_THROW(std::rethrow_exception(o.error()), closed_error);
            };
            auto f = g.spawn(read);
            co_await until_it_waits(f);
            in.reset();
            co_await f;
        };
        co_await with_group(body);
    });
}

/// How many files the epoll instances of this process watch, as the kernel tells.
int watched_files() {
    int n = 0;
    for (int fd = 0; fd < 256; ++fd) {
        std::array<char, 64> target{};
        const std::string number = std::to_string(fd);
        if (::readlink(("/proc/self/fd/" + number).c_str(), target.data(), target.size() - 1) <= 0 ||
            std::string_view(target.data()) != "anon_inode:[eventpoll]")
            continue;
        std::ifstream info("/proc/self/fdinfo/" + number);
        for (std::string word; info >> word;)
            n += word == "tfd:";
    }
    return n;
}
// As a process does that was just started: the file lives on, and epoll would go on telling of it, to whoever comes next.
TEST_P(Descriptor, OneThatIsClosedIsNotWatchedAnyMoreAlthoughSomebodyHasACopy) {
    run([]() -> task<> {
        auto p = make_pipe();
        const unique_fd copy(::fcntl(p.first.get(), F_DUPFD_CLOEXEC, 0));
        const int before = watched_files();
        {
            const descriptor in(std::move(p.first));
            EXPECT_THROW(co_await with_timeout(1ms, [&]() -> task<> { co_await in.readable(); }),
                         timeout_error);
            EXPECT_EQ(watched_files(), before + 1);
        }
        EXPECT_EQ(watched_files(), before);
    });
}
TEST_P(Descriptor, MovesWithItsRegistration) {
    run([]() -> task<> {
        auto p = make_pipe();
        descriptor in(std::move(p.first));
        std::array<char, 8> buffer;
        EXPECT_FALSE(in.try_read(buffer).has_value());
        auto wait = [&]() -> task<> { co_await in.readable(); };
        EXPECT_FALSE(co_await move_on_after(1ms, wait)); // registered now
        descriptor moved(std::move(in));
        put(p.second, "x");
        EXPECT_EQ(co_await moved.read_some(buffer), 1u);
        // NOLINTBEGIN(bugprone-use-after-move): what is left behind says so
        EXPECT_THROW((void)co_await in.read_some(buffer), closed_error);
        EXPECT_THROW(co_await in.readable(), closed_error);
        EXPECT_THROW((void)in.try_read(buffer), closed_error);
        // NOLINTEND(bugprone-use-after-move)
        auto other = make_pipe();
        put(other.second, "yz");
        moved = descriptor(std::move(other.first));
        EXPECT_EQ(co_await moved.read_some(buffer), 2u);
        const unique_fd released = moved.release();
        EXPECT_FALSE(moved);
        EXPECT_EQ(epoll_driver::current().usage().descriptors, 0u);
        put(other.second, "z");
        EXPECT_EQ(::read(released.get(), buffer.data(), buffer.size()), 1);
    });
}

TEST_P(Descriptor, RegularFilesAndDevNullAreAlwaysReady) {
    run([]() -> task<> {
        for (const char* path : {"/proc/self/exe", "/dev/null"}) {
            const descriptor file(unique_fd(::open(path, O_RDONLY | O_CLOEXEC)));
            std::array<char, 8> buffer;
            for (int i = 0; i < 3; ++i) {
                co_await file.readable();
                (void)co_await file.read_some(buffer);
            }
        }
        const descriptor sink(unique_fd(::open("/dev/null", O_WRONLY | O_CLOEXEC)));
        co_await sink.writable();
        EXPECT_EQ(co_await sink.write_all("gone"), 4u);
    });
}

TEST_P(Descriptor, SharedDescriptorsStayBlockingAndNeverBlock) {
    run([]() -> task<> {
        auto p = make_pipe();
        const descriptor in(std::move(p.first), sharing::shared);
        const descriptor out(std::move(p.second), sharing::shared);
        EXPECT_EQ(::fcntl(in.fd(), F_GETFL) & O_NONBLOCK, 0);
        std::array<char, 4> buffer;
        auto wait = [&]() -> task<> { co_await in.readable(); };
        EXPECT_FALSE(co_await move_on_after(1ms, wait));
        co_await out.write_all("abcdef");
        for (const int expected : {4, 2}) { // read by hand: a blocking read of what is there
            co_await in.readable();
            EXPECT_EQ(::read(in.fd(), buffer.data(), buffer.size()), expected);
        }
        EXPECT_FALSE(co_await move_on_after(1ms, wait)) << "emptied behind its back, and it noticed";
        EXPECT_FALSE(in.try_read(buffer).has_value());
        // A full pipe makes the writer wait, not block.
        std::size_t written = 0;
        while (const auto n = out.try_write(std::string(1 << 20, 'x')))
            written += *n;
        EXPECT_GE(written, 4096u);
        auto write = [&]() -> task<> { co_await out.write_all("x"); };
        EXPECT_FALSE(co_await move_on_after(1ms, write));
    });
}

TEST_P(Descriptor, OtherSystemCallsThroughTryIo) {
    run([]() -> task<> {
        const descriptor counter(unique_fd(::eventfd(0, EFD_CLOEXEC)));
        std::uint64_t value = 0;
        const auto read = [&](int fd) { return ::read(fd, &value, sizeof value); };
        EXPECT_FALSE(counter.try_read_io(read).has_value());
        auto wait = [&]() -> task<> { co_await counter.readable(); };
        EXPECT_FALSE(co_await move_on_after(1ms, wait));
        for (std::uint64_t n : {3u, 5u}) {
            EXPECT_EQ(counter.try_write_io([&](int fd) { return ::write(fd, &n, sizeof n); }), 8);
            co_await counter.readable();
            while (counter.try_read_io(read) == 8) {}
            EXPECT_EQ(value, n);
        }
        EXPECT_FALSE(co_await move_on_after(1ms, wait));
        EXPECT_EQ(counter.try_read_io([](int) { return errno = EINVAL, -1; }), -1);
    });
}

TEST_P(Descriptor, ReadsThatNeverWaitLetOthersRun) {
    run([]() -> task<> {
        const descriptor zeros(unique_fd(::open("/dev/zero", O_RDONLY | O_CLOEXEC)));
        bool stop = false; // both run in turns: the group's body is the child's only other
        auto body = [&](group g) -> task<> {
            std::atomic_ref<bool> flag(stop);
            auto other = [&]() -> task<> {
                co_await yield();
                std::atomic_ref<bool>(stop).store(true);
            };
            (void)g.spawn(other);
            std::array<char, 8> buffer;
            while (!flag.load())
                (void)co_await zeros.read_some(buffer);
        };
        co_await with_group(body);
    });
}

// Rounds beyond the await budget too, where a wait begins without asking first whether it is ready.
TEST_P(Descriptor, NamedOperationsMayBeAwaitedAgain) {
    run([]() -> task<> {
        auto p = make_pipe();
        const descriptor in(std::move(p.first));
        const descriptor out(std::move(p.second));
        char c = 0;
        auto write = out.write_all("xy");
        auto readable = in.readable();
        auto read = in.read_some({&c, 1});
        for (int i = 0; i < 600; ++i) {
            EXPECT_EQ(co_await write, 2u);
            EXPECT_EQ(co_await read, 1u);
            co_await readable;
            EXPECT_EQ(co_await read, 1u);
            if (i % 100) continue;
            auto emptied = [&]() -> task<> { (void)co_await in.read_some({&c, 1}); };
            EXPECT_FALSE(co_await move_on_after(1ms, emptied));
        }
    });
}

TEST_P(Descriptor, WhatIsNoDescriptorIsAnError) {
    run([]() -> task<> {
        EXPECT_THROW((void)descriptor(unique_fd()), std::system_error);
        co_return;
    });
}

TEST_P(Descriptor, BelongsToOneRuntime) {
    runtime other(on_epoll(0));
    auto p = make_pipe();
    const descriptor in(other.io(), std::move(p.first));
    run([&]() -> task<> { EXPECT_THROW(co_await in.readable(), usage_error); });
    put(p.second, "x");
    const auto body = [&]() -> task<> { co_await in.readable(); };
    other.block_on(body);
}

TEST_P(Descriptor, OutlivesItsRuntimeAndClosesThen) {
    auto p = make_pipe();
    std::optional<descriptor> kept;
    {
        runtime other(on_epoll(1));
        const auto body = [&]() -> task<> {
            kept.emplace(std::move(p.first));
            auto wait = [&]() -> task<> { co_await kept->readable(); };
            EXPECT_FALSE(co_await move_on_after(1ms, wait));
        };
        other.block_on(body);
        other.close();
        EXPECT_EQ(other.audit().descriptors, 1u);
    }
    run([&]() -> task<> { EXPECT_THROW(co_await kept->readable(), usage_error); });
    put(p.second, "x");
    char c = 0;
    EXPECT_EQ(kept->try_read({&c, 1}), 1u);
    kept.reset();
}

TEST_P(Descriptor, TwoRuntimesTalkToEachOther) {
    runtime other(on_epoll(1));
    auto s = make_sockets();
    const auto echo = [&]() -> task<> {
        const descriptor d(std::move(s.second));
        char c = 0;
        while (co_await d.read_some({&c, 1}))
            co_await d.write_all({&c, 1});
    };
    auto served = other.submit(echo);
    run([&]() -> task<> {
        const descriptor d(std::move(s.first));
        for (int i = 0; i < 200; ++i) {
            const char sent = static_cast<char>(i);
            co_await d.write_all({&sent, 1});
            char c = 0;
            EXPECT_EQ(co_await d.read_some({&c, 1}), 1u);
            EXPECT_EQ(c, sent);
        }
    });
    served.get();
}

// Descriptors die while reports about them are on their way, and their numbers and slots are used again at once. A copy of
// the other end keeps the file description alive, as a child between fork and exec would.
TEST_P(Descriptor, DestroyedWhileReportsAreOnTheirWay) {
    run([]() -> task<> {
        constexpr int tasks = 4;
        auto body = [&](group g) -> task<> {
            for (int t = 0; t < tasks; ++t) {
                auto storm = [](int seed) -> task<> {
                    std::optional<unique_fd> copy;
                    for (int i = 0; i < 200; ++i) {
                        auto s = make_sockets();
                        copy.emplace(::dup(s.first.get()));
                        std::optional<descriptor> in(std::move(s.first));
                        auto inner = [&](group h) -> task<> {
                            auto wait = [&]() -> task<> { co_await in->readable(); };
                            auto f = h.spawn(wait);
                            if ((i + seed) % 3) co_await yield();
                            put(s.second, "x");
                            if ((i + seed) % 2) co_await yield();
                            f.cancel();
                            co_await f.join();
                        };
                        co_await with_group(inner);
                        put(s.second, "y");
                        in.reset();
                    }
                };
                (void)g.spawn(storm, t);
            }
            co_return;
        };
        co_await with_group(body);
        EXPECT_EQ(epoll_driver::current().usage().descriptors, 0u);
    });
}

// A copy, as a child between fork and exec has one, keeps the file alive: epoll would go on watching it.
TEST_P(Descriptor, LeavesTheDriverBeforeItIsClosed) {
    run([]() -> task<> {
        auto p = make_pipe();
        const unique_fd copy(::fcntl(p.first.get(), F_DUPFD_CLOEXEC, 0));
        for (int i = 0; i < 3; ++i) {
            const int number = p.first.get();
            {
                const descriptor in(std::move(p.first));
                auto wait = [&]() -> task<> { co_await in.readable(); };
                // The same number for the same file: epoll refuses it (EEXIST) if the last one is still there.
                EXPECT_FALSE(co_await move_on_after(1ms, wait));
            }
            p.first.reset(::dup3(copy.get(), number, O_CLOEXEC));
        }
    });
}

// The completion of a wait and a cancellation come together; the completion, a false report, hides the other's hint.
TEST(DescriptorCancel, CancelTogetherWithAFalseReportIsSeen) {
    runtime rt(on_epoll(0));
    const auto body = []() -> task<> {
        auto p = make_pipe();
        const descriptor in(std::move(p.first));
        auto scope = [&](group g) -> task<> {
            auto read = [&]() -> task<> {
                char c = 0;
                (void)co_await in.read_some({&c, 1});
            };
            auto f = g.spawn(read);
            co_await sleep_for(1ms);
            report_falsely(in);
            f.cancel();
            EXPECT_EQ(co_await f.join(), task_status::cancelled);
        };
        co_await with_group(scope);
    };
    rt.block_on(body);
}

TEST(DescriptorSignals, SigpipeOfOthersIsLeftAlone) {
    runtime rt(on_epoll(0));
    sigset_t pipe, old;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    const auto write_without_reader = []() -> task<> {
        auto p = make_pipe();
        const descriptor out(std::move(p.second));
        p.first.reset();
        EXPECT_EQ(error_of(co_await as_outcome(out.write_some("x"))), EPIPE);
    };
    const auto is_pending = [] {
        sigset_t now;
        sigpending(&now);
        return sigismember(&now, SIGPIPE) == 1;
    };
    pthread_sigmask(SIG_BLOCK, &pipe, &old);
    rt.block_on(write_without_reader);
    EXPECT_FALSE(is_pending()) << "the one that the write caused is taken away";
    pthread_kill(pthread_self(), SIGPIPE);
    rt.block_on(write_without_reader);
    EXPECT_TRUE(is_pending()) << "one that somebody else sent stays";
    const timespec at_once{};
    sigtimedwait(&pipe, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

} // namespace
