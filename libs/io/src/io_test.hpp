// What the tests of io share: runtimes on an epoll driver, pipes and socket pairs, and what must be left at the end.
#pragma once
#include <tenure/core/cleanup.hpp>
#include <tenure/core/dump.hpp>
#include <tenure/core/event.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/observe.hpp>
#include <tenure/core/runtime.hpp>
#include <tenure/core/scope.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/io/descriptor.hpp>
#include <tenure/io/epoll_driver.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace io_test {
using namespace tenure::core;
using namespace tenure::io;
using namespace std::chrono_literals;
using tenure::base::closed_error;
using tenure::base::task_cancelled;
using tenure::base::timeout_error;
using tenure::base::usage_error;

/// Far more than any machine needs: a test that runs into it has failed.
inline constexpr auto long_enough = 20s;

inline runtime_options on_epoll(unsigned workers = 0) {
    return {.threads = workers, .io = std::make_unique<epoll_driver>()};
}

struct fd_pair {
    unique_fd first;  // pipes: reads
    unique_fd second; // pipes: writes
};
inline fd_pair make_pipe(int flags = O_CLOEXEC) {
    int fds[2];
    if (::pipe2(fds, flags) != 0) throw std::system_error(errno, std::system_category(), "pipe2");
    return {unique_fd(fds[0]), unique_fd(fds[1])};
}
inline fd_pair make_sockets() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        throw std::system_error(errno, std::system_category(), "socketpair");
    return {unique_fd(fds[0]), unique_fd(fds[1])};
}
inline void put(const unique_fd& to, std::string_view text) {
    ASSERT_EQ(::write(to.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

/// Tells the registry what epoll has not said.
inline void report_falsely(tenure::io::detail::registry& to, tenure::io::detail::registration r,
                           std::uint32_t events = EPOLLIN) {
    epoll_event e{};
    e.events = events;
    e.data.u64 = std::uint64_t(r.generation) << 32 | r.index;
    to.deliver(&e, 1, false);
}
inline void report_falsely(const descriptor& of) { report_falsely(*of.target().at, of.target().slot); }

inline std::size_t count_open_fds() {
    DIR* d = ::opendir("/proc/self/fd");
    std::size_t n = 0;
    while (::readdir(d))
        ++n;
    ::closedir(d);
    return n;
}

/// Runs f in a forked child; its exit status, or 128 + the signal that ended it. For tests of a whole process.
inline int status_in_child(const std::function<int()>& f) {
    std::fflush(nullptr); // what is buffered must not come out twice
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(f());
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Reads until the end.
inline task<std::string> read_to_end(const descriptor& d) {
    std::string all;
    std::array<char, 4096> buffer;
    while (const std::size_t n = co_await d.read_some(buffer))
        all.append(buffer.data(), n);
    co_return all;
}

/// Runs each case with the calling thread as the only worker, and with 1 and 4 background workers. At the end the runtime
/// holds nothing, and the process has the descriptors that it had before.
class EveryRuntime : public testing::TestWithParam<unsigned> {
protected:
    EveryRuntime() : fds_before_(count_open_fds()), rt_(std::make_unique<runtime>(on_epoll(GetParam()))) {}
    ~EveryRuntime() override {
        EXPECT_TRUE(rt_->close().abandoned.empty());
        EXPECT_TRUE(rt_->audit().clean());
        rt_.reset();
        EXPECT_EQ(count_open_fds(), fds_before_);
    }
    runtime& rt() { return *rt_; }
    /// On another worker a task may come to its wait late.
    template <class T>
    task<> until_it_waits(const future<T>& f) {
        const auto waits = [id = f.label().id](const tree_entry& e) {
            return e.kind == tree_entry::kind_of::task && e.task.id == id &&
                   e.doing == task_activity::waiting;
        };
        while (!std::ranges::any_of(rt().dump().entries, waits))
            co_await sleep_for(1ms);
    }
    /// The result of f(), which must not take for ever.
    template <class F>
    auto run(F f) {
        return run_bounded<tenure::core::detail::task_value_t<F&>>(std::ref(f));
    }

private:
    // Not for each F: that would be most of what the compiler does.
    template <class T>
    T run_bounded(std::function<task<T>()> f) {
        auto bounded = [](std::function<task<T>()> g) -> task<T> {
            co_return co_await with_timeout(long_enough, std::ref(g));
        };
        return rt().block_on(bounded, std::move(f));
    }
    std::size_t fds_before_;
    std::unique_ptr<runtime> rt_;
};
inline const auto every_runtime = testing::Values(0u, 1u, 4u);

/// Also: no child is left, not even as a zombie.
class EveryRuntimeNoChild : public EveryRuntime {
protected:
    ~EveryRuntimeNoChild() override {
        siginfo_t info{};
        EXPECT_EQ(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
        EXPECT_EQ(errno, ECHILD);
    }
};

/// Processes that open path() for writing can be waited for: that they are there, and that all of them have gone.
class witness {
public:
    witness() : witness(make_pipe()) {}
    std::string path() const {
        return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(ours_.get());
    }
    /// Until somebody has written a byte.
    task<> spoken() {
        char c = 0;
        EXPECT_EQ(co_await in_.read_some({&c, 1}), 1u);
    }
    /// Until nobody holds it any more. What they write is dropped.
    task<> all_gone() {
        ours_.reset();
        std::array<char, 4096> buffer;
        while (co_await in_.read_some(buffer)) {}
    }

private:
    explicit witness(fd_pair p) : in_(std::move(p.first)), ours_(std::move(p.second)) {}
    descriptor in_;
    unique_fd ours_;
};

} // namespace io_test
