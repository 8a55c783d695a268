// What the tests of map on runners share: functions that can be called anywhere, and what must be left at the end.
#pragma once
#include <tenure/io/epoll_driver.hpp>
#include <tenure/parallel/map.hpp>
#include <tenure/parallel/parallel_for.hpp>
#include <tenure/process/pool.hpp>
#include <tenure/runner/local.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace map_runners {
using namespace tenure;
using namespace std::chrono_literals;
using base::timeout_error;
using core::runtime;
using core::stream;
using core::task;
using parallel::item_outcome;
using parallel::item_status;
using parallel::map_options;
using parallel::order;
using runner::fn;

inline constexpr int stuck = -1; // items: what their function does
inline constexpr int dies = -2;
inline constexpr int leaves = -3;
inline constexpr int fails = -4;

/// Calls it for each item, and writes down that it did: one line in a file for each call that began.
struct acts {
    std::string file;
    int operator()(int what) const {
        if (!file.empty()) {
            const std::string line = std::to_string(parallel::item_index().value_or(1'000'000)) + "\n";
            const int fd = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
            if (fd < 0 || ::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
                ::_exit(9);
            ::close(fd);
        }
        if (what == stuck)
            for (;;)
                ::pause();
        if (what == dies) ::kill(::getpid(), SIGKILL);
        if (what == leaves) ::_exit(3);
        if (what == fails) throw std::out_of_range("there is no such thing");
        return 2 * what;
    }
};
inline int doubled(int i) { return 2 * i; }
inline std::size_t index_of_it(int) { return parallel::item_index().value_or(1'000'000); }

inline std::vector<int> first(int n) {
    std::vector<int> v(static_cast<std::size_t>(n));
    std::iota(v.begin(), v.end(), 0);
    return v;
}
template <class T>
std::vector<T> all_of(stream<T> s) {
    std::vector<T> got;
    for (T& v : s)
        got.push_back(std::move(v));
    return got;
}
template <class T>
void sort_by_index(std::vector<item_outcome<T>>& v) {
    std::sort(v.begin(), v.end(), [](const auto& a, const auto& b) { return a.index() < b.index(); });
}

/// How often each item began.
class log_of_calls {
public:
    explicit log_of_calls(std::string file) : file_(std::move(file)) {}
    const std::string& file() const noexcept { return file_; }
    std::map<std::size_t, int> read() const {
        std::map<std::size_t, int> began;
        std::ifstream in(file_);
        for (std::size_t index = 0; in >> index;)
            ++began[index];
        return began;
    }

private:
    std::string file_;
};
/// A folder of a test's own. It outlives the workers, which may go on for a moment with what nobody wants any more.
class logs {
public:
    logs() {
        std::string name = (std::filesystem::temp_directory_path() / "tenure-map-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
        folder_ = name;
    }
    logs(const logs&) = delete;
    logs& operator=(const logs&) = delete;
    ~logs() { std::filesystem::remove_all(folder_); }
    log_of_calls next() { return log_of_calls(folder_ + "/" + std::to_string(++files_)); }

private:
    std::string folder_;
    int files_ = 0;
};

inline core::runtime_options on_epoll(unsigned workers = 2) {
    return {.threads = workers, .io = std::make_unique<io::epoll_driver>()};
}

/// A runtime with a pool of two workers; at the end nothing is left.
class WorkerProcesses : public testing::Test {
protected:
    ~WorkerProcesses() override {
        pool_.reset();
        EXPECT_TRUE(rt_.close().abandoned.empty());
        EXPECT_TRUE(rt_.audit().clean());
        siginfo_t info{};
        EXPECT_EQ(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
        EXPECT_EQ(errno, ECHILD);
    }
    runtime& rt() { return rt_; }
    log_of_calls new_log() { return logs_.next(); }
    process::pool& workers(process::pool_options o = {.workers = 2, .grace = 20ms}) {
        if (!pool_) pool_ = std::make_unique<process::pool>(rt_, std::move(o));
        return *pool_;
    }

private:
    logs logs_;
    runtime rt_{on_epoll()};
    std::unique_ptr<process::pool> pool_;
};

} // namespace map_runners
