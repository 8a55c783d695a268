// What the tests of pools share: a runtime, and what must be left at the end of each: no child, no descriptor, nothing counted.
#pragma once
#include <tenure/core/cleanup.hpp>
#include <tenure/core/dump.hpp>
#include <tenure/core/event.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/scope.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/core/this_task.hpp>
#include <tenure/io/epoll_driver.hpp>
#include <tenure/process/enter_worker.hpp>
#include <tenure/process/pool.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace process_test {
using namespace tenure;
using namespace tenure::core;
using namespace std::chrono_literals;
using base::closed_error;
using base::timeout_error;
using base::usage_error;
using process::call_options;
using process::pool;
using process::pool_options;
using process::worker_died;
using wire::fn;

/// Far more than any machine needs: a test that runs into it has failed.
inline constexpr auto long_enough = 20s;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool takes_memory_of_its_own = true;
#elif defined(__has_feature)
/// A sanitizer, which maps more than a limit for a worker would leave it.
inline constexpr bool takes_memory_of_its_own =
    __has_feature(thread_sanitizer) || __has_feature(address_sanitizer);
#else
inline constexpr bool takes_memory_of_its_own = false;
#endif

inline std::size_t count_entries(const char* folder) {
    DIR* d = ::opendir(folder);
    std::size_t n = 0;
    while (::readdir(d))
        ++n;
    ::closedir(d);
    return n;
}

/// Memory that this process shares with workers of its own: none when their pool is gone.
inline std::size_t count_channels() {
    std::ifstream maps("/proc/self/maps");
    std::size_t n = 0;
    for (std::string line; std::getline(maps, line);)
        n += line.find("memfd:tenure-") != std::string::npos ? 1 : 0;
    return n;
}

inline runtime_options on_epoll(unsigned workers) {
    return {.threads = workers, .io = std::make_unique<io::epoll_driver>()};
}

/// Runs each case with 1 and with 4 background workers of the runtime.
class Pools : public testing::TestWithParam<unsigned> {
protected:
    Pools() : fds_before_(count_entries("/proc/self/fd")) {
        rt_ = std::make_unique<runtime>(on_epoll(GetParam()));
    }
    ~Pools() override {
        EXPECT_TRUE(rt_->close().abandoned.empty());
        EXPECT_TRUE(rt_->audit().clean());
        rt_.reset();
        EXPECT_EQ(count_entries("/proc/self/fd"), fds_before_);
        EXPECT_EQ(count_channels(), 0u);
        siginfo_t info{};
        EXPECT_EQ(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
        EXPECT_EQ(errno, ECHILD);
    }
    runtime& rt() { return *rt_; }
    /// The result of f(), which must not take for ever.
    template <class F>
    auto run(F f) {
        return run_bounded<core::detail::task_value_t<F&>>(std::ref(f));
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

/// Until the process is gone, or a zombie that somebody else reaps.
inline bool is_gone(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(stat, line)) return true;
    const auto at = line.rfind(')');
    return at == std::string::npos || line[at + 2] == 'Z' || line[at + 2] == 'X';
}
inline task<> gone(pid_t pid) {
    while (!is_gone(pid))
        co_await sleep_for(1ms);
}

// ---- calls

inline int add(int a, int b) { return a + b; }
inline pid_t who() { return ::getpid(); }
inline int dies_by(int signo) {
    ::signal(signo, SIG_DFL);
    ::raise(signo);
    return 0;
}
inline int hangs() {
    for (;;)
        ::pause();
}
/// A line of the file for each process that calls it.
inline void note_pid(const std::string& file) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    const std::string line = std::to_string(::getpid()) + "\n";
    (void)!::write(fd, line.data(), line.size());
    ::close(fd);
}
inline std::vector<pid_t> pids_in(const std::string& file) {
    std::ifstream in(file);
    std::vector<pid_t> all;
    for (pid_t pid = 0; in >> pid;)
        all.push_back(pid);
    return all;
}

inline task<pid_t> noted(std::string file) {
    while (pids_in(file).empty())
        co_await sleep_for(1ms);
    co_return pids_in(file).front();
}
/// The call under the task of that name; the runtime's own entry: there is none.
inline tree_entry call_of(const task_tree& t, const std::string& task_name) {
    for (const tree_entry& e : t.entries)
        if (e.kind == tree_entry::kind_of::call && t.entries[e.parent].task.name == task_name) return e;
    return {};
}

/// The failure of a call that must die.
template <class A>
task<std::string> message_of_death(A call) {
    try {
        (void)co_await std::move(call);
    } catch (const worker_died& e) {
        co_return e.what();
    }
    ADD_FAILURE() << "it did not die";
    co_return "";
}

} // namespace process_test
