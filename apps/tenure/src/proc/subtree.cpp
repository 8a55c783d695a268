#include "proc/subtree.hpp"

#include <tenure/io/unique_fd.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unordered_set>

namespace tenure::inline v0::app {

namespace {

struct close_directory {
    void operator()(DIR* directory) const noexcept { closedir(directory); }
};
using directory_handle = std::unique_ptr<DIR, close_directory>;

/// All of a small /proc file. Returns: false when it cannot be opened.
bool read_all(const char* path, std::string& into) {
    const io::unique_fd file(open(path, O_RDONLY | O_CLOEXEC));
    if (!file) return false;
    into.clear();
    std::array<char, 4096> chunk;
    for (;;) {
        const ssize_t size = read(file.get(), chunk.data(), chunk.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return true;
        into.append(chunk.data(), static_cast<std::size_t>(size));
    }
}

/// Calls `with` for each entry of a /proc folder whose name is a number.
template <class With>
bool for_each_number(const char* path, With with) {
    const directory_handle directory(opendir(path));
    if (!directory) return false;
    while (const dirent* entry = readdir(directory.get())) {
        const std::string_view name = entry->d_name;
        pid_t number = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
        if (error == std::errc{} && end == name.data() + name.size()) with(number);
    }
    return true;
}

void append_numbers(std::string_view text, std::vector<pid_t>& into) {
    while (!text.empty()) {
        pid_t pid = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
        if (error == std::errc{} && pid > 1) into.push_back(pid);
        const std::size_t used = static_cast<std::size_t>(end - text.data());
        text.remove_prefix(std::min(text.size(), used + 1));
    }
}

bool kernel_lists_children() {
    static const bool lists = access("/proc/thread-self/children", R_OK) == 0;
    return lists;
}

void append_children_of_task(pid_t pid, pid_t task, std::vector<pid_t>& into) {
    std::array<char, 64> path;
    std::snprintf(path.data(), path.size(), "/proc/%d/task/%d/children", pid, task);
    std::string text;
    if (read_all(path.data(), text)) append_numbers(text, into);
}

std::vector<pid_t> children_by_parent(pid_t parent) {
    std::vector<pid_t> found;
    for_each_number("/proc", [&](pid_t pid) {
        process_stat stat;
        if (pid > 1 && read_stat(pid, stat) && stat.parent == parent) found.push_back(pid);
    });
    return found;
}

} // namespace

std::int64_t monotonic_ns() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool parse_stat(std::string_view text, process_stat& into) {
    // pid (name) state ppid pgrp …: the name may hold anything, parentheses too, so the last one counts.
    const std::size_t close = text.rfind(')');
    if (close == std::string_view::npos || text.size() < close + 4) return false;
    into.state = text[close + 2];
    const char* at = text.data() + close + 4;
    const char* const end = text.data() + text.size();
    const auto parent = std::from_chars(at, end, into.parent);
    if (parent.ec != std::errc{} || parent.ptr == end) return false;
    return std::from_chars(parent.ptr + 1, end, into.group).ec == std::errc{};
}

bool read_stat(pid_t pid, process_stat& into) {
    std::array<char, 32> path;
    std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid);
    std::string text;
    return read_all(path.data(), text) && parse_stat(text, into);
}

std::vector<pid_t> children_of(pid_t pid) {
    if (!kernel_lists_children()) return children_by_parent(pid);
    std::vector<pid_t> found;
    if (pid == getpid()) { // single-threaded by contract
        append_children_of_task(pid, pid, found);
        return found;
    }
    std::array<char, 32> path;
    std::snprintf(path.data(), path.size(), "/proc/%d/task", pid);
    for_each_number(path.data(), [&](pid_t task) { append_children_of_task(pid, task, found); });
    return found;
}

std::vector<pid_t> descendants_of(pid_t pid) {
    // A parent that ends while we walk hands its children to `pid`, behind our back if they were not met yet: so
    // `pid` is asked again until it has nobody new. Bounded, because a process may hop for ever.
    constexpr int rounds = 8;
    std::vector<pid_t> found;
    std::unordered_set<pid_t> met;
    std::size_t walked = 0;
    for (int round = 0; round < rounds; ++round) {
        const auto add_children = [&](pid_t parent) {
            for (const pid_t child : children_of(parent))
                if (met.insert(child).second) found.push_back(child);
        };
        add_children(pid);
        if (walked == found.size()) break;
        for (; walked < found.size(); ++walked)
            add_children(found[walked]);
    }
    return found;
}

bool signal_descendant(pid_t pid, std::initializer_list<int> signals, const std::vector<pid_t>& known,
                       const std::function<bool(const process_stat&)>& wanted) {
    const io::unique_fd pinned(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!pinned) return false;
    // From here on the pidfd means one process. Is it the one that we found?
    process_stat stat;
    if (!read_stat(pid, stat) || stat.dead()) return false;
    if (stat.parent != getpid() && std::find(known.begin(), known.end(), stat.parent) == known.end())
        return false;
    if (!wanted(stat)) return false;
    for (const int signal : signals)
        if (syscall(SYS_pidfd_send_signal, pinned.get(), signal, nullptr, 0) < 0) return false;
    return true;
}

reaper::found reaper::next() {
    for (;;) {
        pid_ = wait4(-1, &status_, WNOHANG | WUNTRACED | __WALL, &usage_);
        if (pid_ > 0) return WIFSTOPPED(status_) ? found::stopped : found::one;
        if (pid_ == 0) return found::nothing;
        if (errno != EINTR) return found::no_children;
    }
}

kill_round kill_children(const std::function<bool(pid_t)>& spared) {
    kill_round round;
    for (const pid_t child : children_of(getpid())) {
        if (spared && spared(child)) continue;
        if (::kill(child, SIGKILL) == 0)
            ++round.signalled;
        else if (errno == EPERM)
            ++round.refused;
    }
    return round;
}

bool kill_patience::used_up(const kill_round& round, bool reaped, std::chrono::nanoseconds limit) noexcept {
    const std::int64_t now = monotonic_ns();
    if (reaped || since_ == 0) since_ = now;
    return now - since_ >= (round.signalled > 0 ? limit : with_foreign).count();
}

kill_round sweep(const std::function<bool(pid_t)>& is_warden, std::chrono::nanoseconds patience,
                 const std::function<bool(pid_t)>& hopeless) {
    const std::int64_t forced_at = monotonic_ns() + patience.count();
    kill_patience on_killed;
    sigset_t child_signal;
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    reaper reap;
    for (;;) {
        bool reaped = false;
        reaper::found found = reap.next();
        for (; found == reaper::found::one || found == reaper::found::stopped; found = reap.next())
            reaped = reaped || found == reaper::found::one;
        if (found == reaper::found::no_children) return {};

        const std::int64_t now = monotonic_ns();
        unsigned waited_for = 0;
        unsigned given_up = 0;
        kill_round round = kill_children([&](pid_t child) {
            if (hopeless && hopeless(child)) {
                ++given_up;
                return true;
            }
            const bool spare = now < forced_at && is_warden && is_warden(child);
            waited_for += spare ? 1 : 0;
            return spare;
        });
        const bool all_hopeless = waited_for == 0 && round.signalled + round.refused == 0 && given_up > 0;
        if (all_hopeless || (waited_for == 0 && on_killed.used_up(round, reaped))) {
            round.signalled += given_up;
            if (round.all() == 0) round.unseen = 1; // there is no /proc, perhaps
            return round;
        }
        // A process that forks and exits all the time is caught by being quick, not by waiting.
        if (reaped) continue;
        const timespec pause{0, 1'000'000};
        sigtimedwait(&child_signal, nullptr, &pause);
    }
}

void block_all_but_children() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    for (int signal = 1; signal <= SIGRTMAX; ++signal) {
        struct sigaction action{};
        action.sa_handler = SIG_DFL;
        if (signal == SIGCHLD) action.sa_handler = [](int) {};
        sigaction(signal, &action, nullptr); // refused for SIGKILL, SIGSTOP and the C library's own two
    }
}

bool wait_for(std::span<pollfd> events, std::int64_t timeout_ns) {
    static const sigset_t only_children = [] {
        sigset_t mask;
        sigfillset(&mask);
        sigdelset(&mask, SIGCHLD);
        return mask;
    }();
    timespec timeout{};
    if (timeout_ns >= 0) timeout = {timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
    for (pollfd& event : events)
        event.revents = 0;
    const int ready =
        ppoll(events.data(), events.size(), timeout_ns >= 0 ? &timeout : nullptr, &only_children);
    if (ready > 0) return true;
    for (pollfd& event : events)
        event.revents = 0;
    return false;
}

} // namespace tenure::inline v0::app
