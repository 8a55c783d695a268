#include "proc/cgroup.hpp"

#include "proc/subtree.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <span>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app {

namespace {

constexpr std::string_view name_prefix = "tenure-";

std::string read_text(int folder, const char* name) {
    const io::unique_fd file(openat(folder, name, O_RDONLY | O_CLOEXEC));
    std::string text;
    if (!file) return text;
    std::array<char, 4096> chunk;
    for (;;) {
        const ssize_t size = read(file.get(), chunk.data(), chunk.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return text;
        text.append(chunk.data(), static_cast<std::size_t>(size));
    }
}

/// Reads a small file that is kept open, from its start.
std::string_view read_again(int file, std::span<char> into) {
    const ssize_t size = pread(file, into.data(), into.size(), 0);
    return {into.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

std::string_view next_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
}

std::string_view next_word(std::string_view& line) {
    const std::size_t end = line.find(' ');
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
    return word;
}

/// mountinfo writes blanks and backslashes as three octal digits.
std::string unescape(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        int code = 0;
        if (text[i] == '\\' && i + 3 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr == text.data() + i + 4) {
            plain += static_cast<char>(code);
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

/// "key value" lines: the value of `key`, or -1.
std::int64_t value_of(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        std::string_view line = next_line(text);
        if (next_word(line) != key) continue;
        std::int64_t value = -1;
        std::from_chars(line.data(), line.data() + line.size(), value);
        return value;
    }
    return -1;
}

std::vector<std::string> directories_in(int parent, const char* name) {
    std::vector<std::string> found;
    const int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR* const listing = folder < 0 ? nullptr : fdopendir(folder);
    if (listing == nullptr) {
        if (folder >= 0) close(folder);
        return found;
    }
    while (const dirent* entry = readdir(listing)) {
        const std::string_view entry_name = entry->d_name;
        if (entry->d_type == DT_DIR && entry_name != "." && entry_name != "..")
            found.emplace_back(entry_name);
    }
    closedir(listing);
    return found;
}

bool is_populated(int events) {
    std::array<char, 128> text;
    return value_of(read_again(events, text), "populated") == 1;
}

bool wait_until_empty(int events, std::chrono::nanoseconds limit) {
    const std::int64_t until = monotonic_ns() + limit.count();
    while (is_populated(events)) {
        // The kernel announces a change of cgroup.events as POLLPRI.
        const std::int64_t left = until - monotonic_ns();
        if (left <= 0) return false;
        pollfd event{events, POLLPRI, 0};
        poll(&event, 1, static_cast<int>(left / 1'000'000) + 1);
    }
    return true;
}

/// Removes `name` and whatever cgroups an item made below it (a run of tenure inside an item does).
/// A process that was reaped may still be on its way out of its cgroup, and keep it busy for a moment.
// NOLINTNEXTLINE(misc-no-recursion): as deep as cgroups are nested; a directory that cannot be opened ends it
void remove_tree(int parent, const char* name) {
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno != EBUSY) return;
    const io::unique_fd events(
        openat(parent, (std::string(name) + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
    if (!events || !wait_until_empty(events.get(), std::chrono::seconds(1))) return;
    for (const std::string& below : directories_in(parent, name))
        remove_tree(parent, (std::string(name) + "/" + below).c_str());
    unlinkat(parent, name, AT_REMOVEDIR);
}

/// Tries with a process that only exits.
bool can_live_in(int cgroup) {
    clone_args args{};
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = SIGCHLD;
    args.cgroup = static_cast<std::uint64_t>(cgroup);
    const long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) syscall(SYS_exit_group, 0);
    if (pid < 0) return false;
    int status = 0;
    while (waitpid(static_cast<pid_t>(pid), &status, 0) < 0)
        if (errno != EINTR) return false;
    return WIFEXITED(status);
}

} // namespace

std::string own_cgroup(const std::string& mountinfo, const std::string& self) {
    // The line "0::PATH" is cgroup v2; others are hierarchies of v1.
    std::string_view own;
    for (std::string_view rest = self; !rest.empty();) {
        const std::string_view line = next_line(rest);
        if (line.starts_with("0::/")) own = line.substr(3);
    }
    if (own.empty()) return {};
    for (std::string_view rest = mountinfo; !rest.empty();) {
        // id parent major:minor root mount-point options [optional…] - type source super-options
        std::string_view line = next_line(rest);
        const std::size_t dash = line.find(" - cgroup2 ");
        if (dash == std::string_view::npos) continue;
        for (int skipped = 0; skipped < 3; ++skipped)
            next_word(line);
        const std::string root = unescape(next_word(line));
        const std::string point = unescape(next_word(line));
        // The mount may show a part of the tree only; we must be in that part.
        std::string_view inside = own;
        if (root != "/") {
            if (!inside.starts_with(root)) continue;
            inside.remove_prefix(root.size());
            if (!inside.empty() && inside.front() != '/') continue;
        }
        while (inside.ends_with('/'))
            inside.remove_suffix(1);
        return point + std::string(inside);
    }
    return {};
}

std::unique_ptr<run_cgroup> run_cgroup::create() {
    return create_in(
        own_cgroup(read_text(AT_FDCWD, "/proc/self/mountinfo"), read_text(AT_FDCWD, "/proc/self/cgroup")));
}

std::unique_ptr<run_cgroup> run_cgroup::create_in(const std::string& parent) {
    if (parent.empty()) return nullptr;
    remove_abandoned(parent);
    std::string path = parent + "/" + std::string(name_prefix) + std::to_string(getpid());
    if (mkdir(path.c_str(), 0755) < 0) return nullptr;
    io::unique_fd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // cgroup.kill came with Linux 5.14. Without it a cgroup gives us nothing that the wardens do not have.
    if (!directory || flock(directory.get(), LOCK_EX | LOCK_NB) < 0 ||
        faccessat(directory.get(), "cgroup.kill", W_OK, 0) < 0 || !can_live_in(directory.get())) {
        rmdir(path.c_str());
        return nullptr;
    }
    return std::unique_ptr<run_cgroup>(new run_cgroup(std::move(path), std::move(directory)));
}

void run_cgroup::remove_abandoned(const std::string& parent) {
    for (const std::string& name : directories_in(AT_FDCWD, parent.c_str())) {
        if (!name.starts_with(name_prefix)) continue;
        std::string path = parent + "/" + name;
        io::unique_fd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!directory || flock(directory.get(), LOCK_EX | LOCK_NB) < 0) continue;
        const io::unique_fd events(openat(directory.get(), "cgroup.events", O_RDONLY | O_CLOEXEC));
        if (!events || is_populated(events.get())) continue;
        run_cgroup(std::move(path), std::move(directory)).remove();
    }
}

void run_cgroup::remove() const {
    for (const std::string& slot : directories_in(directory(), "."))
        remove_tree(directory(), slot.c_str());
    rmdir(path_.c_str());
}

std::optional<slot_cgroup> slot_cgroup::create(const run_cgroup& run, unsigned slot) {
    slot_cgroup made;
    made.run_ = run.directory();
    made.name_ = "s" + std::to_string(slot);
    const bool fresh = mkdirat(made.run_, made.name_.c_str(), 0755) == 0;
    if (!fresh && (errno != EEXIST || !made.open_files())) return std::nullopt;
    if (!fresh) { // left by a warden that died
        if (made.populated()) made.kill();
        if (!made.wait_empty(std::chrono::seconds(1))) return std::nullopt;
        made.remove();
        if (mkdirat(made.run_, made.name_.c_str(), 0755) < 0) return std::nullopt;
        made.killed_ = false;
    }
    if (!made.open_files()) return std::nullopt;
    return made;
}

bool slot_cgroup::open_files() {
    directory_.reset(openat(run_, name_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const int folder = directory_.get();
    kill_.reset(openat(folder, "cgroup.kill", O_WRONLY | O_CLOEXEC));
    stat_.reset(openat(folder, "cpu.stat", O_RDONLY | O_CLOEXEC));
    events_.reset(openat(folder, "cgroup.events", O_RDONLY | O_CLOEXEC));
    return directory_ && kill_ && stat_ && events_;
}

void slot_cgroup::kill() {
    killed_ = true;
    // Only a machine without memory could refuse; the direct children are killed one by one anyway.
    [[maybe_unused]] const ssize_t written = pwrite(kill_.get(), "1", 1, 0);
}

bool slot_cgroup::populated() const { return is_populated(events_.get()); }

bool slot_cgroup::wait_empty(std::chrono::nanoseconds limit) const {
    return wait_until_empty(events_.get(), limit);
}

std::vector<pid_t> slot_cgroup::processes() const {
    const std::string text = read_text(directory_.get(), "cgroup.procs");
    std::vector<pid_t> found;
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view line = next_line(rest);
        pid_t pid = 0;
        std::from_chars(line.data(), line.data() + line.size(), pid);
        if (pid > 1) found.push_back(pid);
    }
    return found;
}

std::optional<slot_cgroup::cpu> slot_cgroup::usage() const {
    std::array<char, 1024> buffer;
    const std::string_view text = read_again(stat_.get(), buffer);
    const std::int64_t user = value_of(text, "user_usec");
    const std::int64_t system = value_of(text, "system_usec");
    if (user < 0 || system < 0) return std::nullopt;
    return cpu{user * 1000, system * 1000};
}

void slot_cgroup::remove() const { remove_tree(run_, name_.c_str()); }

} // namespace tenure::inline v0::app
