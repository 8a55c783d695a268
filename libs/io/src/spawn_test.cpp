#include <tenure/io/spawn.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <iterator>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace tenure::inline v0::io {
namespace {

/// argv as spawn_options wants it; alive as long as this.
class arguments {
public:
    arguments(std::initializer_list<const char*> words) : words_(words.begin(), words.end()) {
        for (std::string& word : words_)
            pointers_.push_back(word.data());
        pointers_.push_back(nullptr);
    }
    char* const* get() const { return pointers_.data(); }

private:
    std::vector<std::string> words_;
    std::vector<char*> pointers_;
};

struct pipe_pair {
    unique_fd read;
    unique_fd write;
    pipe_pair() {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0) std::abort();
        read.reset(ends[0]);
        write.reset(ends[1]);
    }
};

std::string rest_of(int fd) {
    std::string text;
    std::array<char, 512> bytes;
    ssize_t size = 0;
    while ((size = read(fd, bytes.data(), bytes.size())) > 0)
        text.append(bytes.data(), static_cast<std::size_t>(size));
    return text;
}

int reap(pid_t pid) {
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

/// Runs a command to its end. Returns: what it wrote.
std::string output_of(const arguments& argv, spawn_options options = {}) {
    pipe_pair out;
    options.argv = argv.get();
    options.out = out.write.get();
    const spawned child = spawn(options);
    out.write.reset();
    if (!child) return std::string("error ") + std::strerror(child.error.code);
    std::string text = rest_of(out.read.get());
    reap(child.pid);
    return text;
}

spawn_error error_of(const arguments& argv, spawn_options options = {}) {
    options.argv = argv.get();
    const spawned child = spawn(options);
    if (child) reap(child.pid);
    EXPECT_EQ(child.pid > 0, !child.error);
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child was left";
    return child.error;
}

std::string contents(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<int> descriptors_of(pid_t pid) {
    std::vector<int> found;
    DIR* listing = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
    while (const dirent* entry = readdir(listing))
        if (entry->d_name[0] != '.') found.push_back(std::atoi(entry->d_name));
    closedir(listing);
    std::sort(found.begin(), found.end());
    return found;
}

/// Returns when cat, which reads `input`, has got there: before, its dynamic loader opens libraries.
void wait_until_it_reads(const pipe_pair& input) {
    ASSERT_EQ(write(input.write.get(), "x", 1), 1);
    for (int unread = 1; unread > 0; sched_yield())
        ASSERT_EQ(ioctl(input.write.get(), FIONREAD, &unread), 0);
}

/// Runs `body` in a process of its own, whose descriptors, limits and filters it may spoil.
/// Returns: its exit status.
int apart(const std::function<int()>& body) {
    const pid_t pid = fork();
    if (pid == 0) _exit(body());
    const int status = reap(pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

/// A `cat` that runs until its input is closed, so that it can be looked at.
class Waiting : public ::testing::Test {
protected:
    void start(spawn_options options = {}) {
        options.argv = argv_.get();
        options.in = input_.read.get();
        child_ = spawn(options);
        ASSERT_TRUE(child_) << child_.error.code;
        input_.read.reset();
    }
    ~Waiting() override {
        input_.write.reset();
        if (child_) reap(child_.pid);
    }
    std::string status_line(const std::string& key) const {
        const std::string text = contents("/proc/" + std::to_string(child_.pid) + "/status");
        const std::size_t at = text.find(key);
        return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
    }

    arguments argv_{"cat"};
    pipe_pair input_;
    spawned child_;
};

TEST_F(Waiting, IsTheLeaderOfItsOwnGroup) {
    start();
    EXPECT_EQ(getpgid(child_.pid), child_.pid);
    EXPECT_EQ(getsid(child_.pid), getsid(0));
}

TEST_F(Waiting, HasThreeDescriptors) {
    const pipe_pair leak;
    const unique_fd high(fcntl(leak.read.get(), F_DUPFD, 200)); // not close-on-exec
    ASSERT_GE(high.get(), 200);
    start();
    wait_until_it_reads(input_);
    EXPECT_EQ(descriptors_of(child_.pid), (std::vector<int>{0, 1, 2}));
}

TEST_F(Waiting, HasNoSignalBlockedIgnoredOrHandled) {
    sigset_t term;
    sigset_t before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    const auto old_int = signal(SIGINT, SIG_IGN);
    const auto old_usr1 = signal(SIGUSR1, [](int) {});
    start();
    EXPECT_EQ(status_line("SigBlk"), "SigBlk:\t0000000000000000");
    EXPECT_EQ(status_line("SigIgn"), "SigIgn:\t0000000000000000");
    EXPECT_EQ(status_line("SigCgt"), "SigCgt:\t0000000000000000");
    sigset_t after;
    sigprocmask(SIG_SETMASK, &before, &after);
    EXPECT_EQ(sigismember(&after, SIGTERM), 1); // the caller's mask is as it was
    EXPECT_EQ(sigismember(&after, SIGUSR2), 0);
    signal(SIGINT, old_int);
    signal(SIGUSR1, old_usr1);
}

TEST_F(Waiting, PidfdTellsItsEnd) {
    spawn_options options;
    options.want_pidfd = true;
    start(options);
    ASSERT_TRUE(child_.pidfd);
    EXPECT_EQ(fcntl(child_.pidfd.get(), F_GETFD), FD_CLOEXEC);
    pollfd event{child_.pidfd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&event, 1, 0), 0);
    input_.write.reset();
    EXPECT_EQ(poll(&event, 1, -1), 1);
}

TEST(Spawn, StreamsAreTheGivenOnesOrNull) {
    EXPECT_EQ(output_of({"sh", "-c", "cat; echo out; echo err >&2"}), "out\n"); // no input, err to /dev/null
    pipe_pair err;
    spawn_options options;
    options.err = err.write.get();
    EXPECT_EQ(output_of({"sh", "-c", "echo err >&2"}, options), "");
    err.write.reset();
    EXPECT_EQ(rest_of(err.read.get()), "err\n");
}

TEST(Spawn, StreamsMayLieInEachOthersPlaces) {
    pipe_pair out;
    pipe_pair in;
    ASSERT_EQ(write(in.write.get(), "text", 4), 4);
    in.write.reset();
    EXPECT_EQ(apart([&] {
                  dup2(in.read.get(), 2);
                  dup2(out.write.get(), 0);
                  const int null = open("/dev/null", O_RDWR);
                  dup2(null, 1);
                  const arguments argv{"cat"};
                  spawn_options options;
                  options.argv = argv.get();
                  options.in = 2;
                  options.out = 0;
                  options.err = 1;
                  const spawned child = spawn(options);
                  return child ? reap(child.pid) : child.error.code;
              }),
              0);
    out.write.reset();
    EXPECT_EQ(rest_of(out.read.get()), "text");
}

TEST(Spawn, CallerMayHaveNoStandardStreams) {
    pipe_pair out;
    EXPECT_EQ(apart([&] {
                  const int high = fcntl(out.write.get(), F_DUPFD_CLOEXEC, 10);
                  for (int stream = 0; stream < 3; ++stream)
                      close(stream);
                  const arguments argv{"sh", "-c", "cat; echo out; echo err >&2"};
                  spawn_options options;
                  options.argv = argv.get();
                  options.out = high;
                  const spawned child = spawn(options);
                  return child ? reap(child.pid) : child.error.code;
              }),
              0);
    out.write.reset();
    EXPECT_EQ(rest_of(out.read.get()), "out\n");
}

TEST(Spawn, EnvironmentAndDirectoryAreTheGivenOnes) {
    setenv("SPAWN_TEST", "inherited", 1);
    EXPECT_EQ(output_of({"sh", "-c", "echo $SPAWN_TEST"}), "inherited\n");
    const arguments environment{"SPAWN_TEST=given"};
    spawn_options options;
    options.environment = environment.get();
    options.directory = "/";
    EXPECT_EQ(output_of({"sh", "-c", "echo $SPAWN_TEST; pwd"}, options), "given\n/\n");
    unsetenv("SPAWN_TEST");
}

class Executables : public ::testing::Test {
protected:
    Executables() {
        make_folder(folder_);
        make_folder(folder_ + "/a");
        make_folder(folder_ + "/b");
    }
    ~Executables() override {
        for (auto path = made_.rbegin(); path != made_.rend(); ++path)
            std::remove(path->c_str());
        setenv("PATH", path_.c_str(), 1);
    }
    void make_folder(const std::string& path) {
        ASSERT_EQ(mkdir(path.c_str(), 0755), 0);
        made_.push_back(path);
    }
    std::string make(const std::string& name, const std::string& text, mode_t mode) {
        const std::string path = folder_ + "/" + name;
        std::ofstream(path) << text;
        chmod(path.c_str(), mode);
        made_.push_back(path);
        return path;
    }
    void set_path(const std::string& path) { setenv("PATH", path.c_str(), 1); }

    std::string folder_ = ::testing::TempDir() + "spawn_test." + std::to_string(getpid());
    std::string path_ = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "";
    std::vector<std::string> made_;
};

TEST_F(Executables, FailuresAreValuesWithErrnoAndStage) {
    const std::string plain = make("plain", "x", 0644);
    const std::string garbage = make("garbage", "no program\n", 0755);
    const std::string orphan = make("orphan", "#!/no/such/interpreter\n", 0755);
    const auto exec_error = [](const arguments& argv) {
        const spawn_error error = error_of(argv);
        EXPECT_EQ(error.stage, spawn_stage::exec);
        return error.code;
    };
    EXPECT_EQ(exec_error({"/no/such/file"}), ENOENT);
    EXPECT_EQ(exec_error({"no-such-command-anywhere"}), ENOENT);
    EXPECT_EQ(exec_error({""}), ENOENT);
    EXPECT_EQ(exec_error({plain.c_str()}), EACCES);
    EXPECT_EQ(exec_error({folder_.c_str()}), EACCES);
    EXPECT_EQ(exec_error({garbage.c_str()}), ENOEXEC);
    EXPECT_EQ(exec_error({orphan.c_str()}), ENOENT);
    EXPECT_EQ(exec_error({(plain + "/below").c_str()}), ENOTDIR);
    EXPECT_EQ(exec_error({"/bin/true", std::string(200'000, 'x').c_str()}), E2BIG);
    EXPECT_EQ(exec_error({std::string(300, 'n').c_str()}), ENAMETOOLONG);
}

TEST_F(Executables, PathIsSearchedInOrder) {
    make("a/tool", "#!/bin/sh\necho a\n", 0755);
    make("b/tool", "#!/bin/sh\necho b\n", 0755);
    set_path(folder_ + "/a:" + folder_ + "/b");
    EXPECT_EQ(output_of({"tool"}), "a\n");
    EXPECT_EQ(find_executable("tool"), folder_ + "/a/tool");
    set_path("/no/such/folder:" + folder_ + "/b:" + folder_ + "/a");
    EXPECT_EQ(output_of({"tool"}), "b\n");
    EXPECT_EQ(find_executable("tool"), folder_ + "/b/tool");
    EXPECT_EQ(find_executable("other"), "");
}

TEST_F(Executables, WhatMayNotBeExecutedIsPassedOverButRemembered) {
    make("a/tool", "x", 0644);
    set_path(folder_ + "/a:" + folder_ + "/b");
    EXPECT_EQ(error_of({"tool"}).code, EACCES); // not ENOENT of the last folder
    make("b/tool", "#!/bin/sh\necho b\n", 0755);
    EXPECT_EQ(output_of({"tool"}), "b\n");
}

TEST_F(Executables, EmptyPathElementIsTheWorkingDirectory) {
    make("a/tool", "#!/bin/sh\necho here\n", 0755);
    const std::string folder = folder_ + "/a";
    spawn_options options;
    options.directory = folder.c_str();
    for (const char* path : {"", ":/no", "/no:", "/no::/no"}) {
        set_path(path);
        EXPECT_EQ(output_of({"tool"}, options), "here\n") << path;
    }
}

TEST_F(Executables, WithoutPathTheUsualFoldersAreSearched) {
    unsetenv("PATH");
    EXPECT_EQ(output_of({"echo", "x"}), "x\n");
}

TEST_F(Executables, FileIsExecutedWhateverItsNameIs) {
    spawn_options options;
    options.file = "/bin/sh";
    EXPECT_EQ(output_of({"no-such-name", "-c", "echo $0"}, options), "no-such-name\n");
}

TEST(Spawn, OtherStagesAreNamed) {
    spawn_options options;
    options.directory = "/no/such/folder";
    spawn_error error = error_of({"true"}, options);
    EXPECT_EQ(error.stage, spawn_stage::directory);
    EXPECT_EQ(error.code, ENOENT);

    options = {};
    options.out = 12345;
    error = error_of({"true"}, options);
    EXPECT_EQ(error.stage, spawn_stage::streams);
    EXPECT_EQ(error.code, EBADF);

    const pipe_pair no_terminal;
    options = {};
    options.terminal = no_terminal.read.get();
    error = error_of({"true"}, options);
    EXPECT_EQ(error.stage, spawn_stage::terminal);
    EXPECT_EQ(error.code, ENOTTY);

    options = {};
    options.cgroup = no_terminal.read.get();
    error = error_of({"true"}, options);
    EXPECT_EQ(error.stage, spawn_stage::start);
    EXPECT_NE(error.code, 0);
    EXPECT_STREQ(to_string(error.stage), "start");
}

TEST(Spawn, ShortageIsTransient) {
    EXPECT_EQ(apart([] {
                  rlimit limit{};
                  getrlimit(RLIMIT_NOFILE, &limit);
                  const int next = dup(0);
                  close(next);
                  limit.rlim_cur = static_cast<rlim_t>(next); // no further descriptor
                  setrlimit(RLIMIT_NOFILE, &limit);
                  const arguments argv{"/bin/true"};
                  spawn_options options;
                  options.argv = argv.get();
                  options.want_pidfd = true;
                  const spawned child = spawn(options);
                  return child.error.code == EMFILE && child.error.stage == spawn_stage::start &&
                                 child.error.transient()
                             ? 0
                             : 1;
              }),
              0);
    EXPECT_FALSE((spawn_error{ENOENT, spawn_stage::exec}).transient());
    EXPECT_TRUE((spawn_error{EAGAIN, spawn_stage::start}).transient());
}

TEST(Spawn, PromisedSignalStateSavesNothingThatMatters) {
    EXPECT_EQ(apart([] {
                  sigset_t all;
                  sigfillset(&all);
                  sigprocmask(SIG_SETMASK, &all, nullptr);
                  const arguments argv{"sh", "-c", "grep -q 'SigBlk.*0000000000000000' /proc/self/status"};
                  spawn_options options;
                  options.argv = argv.get();
                  options.signals = signal_state::all_blocked_none_ignored;
                  const spawned child = spawn(options);
                  return child ? WEXITSTATUS(reap(child.pid)) : 99;
              }),
              0);
}

/// Makes a system call fail with ENOSYS from now on, as old kernels and sandboxes do.
bool forbid(std::initializer_list<long> calls) {
    std::vector<sock_filter> code;
    code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    for (const long call : calls) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
    }
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

TEST(Spawn, WorksWithoutCloneThreeAndCloseRange) {
    EXPECT_EQ(apart([] {
                  if (!forbid({SYS_clone3, SYS_close_range})) return 1;
                  if (syscall(SYS_close_range, 1000U, 1000U, 0) == 0 || errno != ENOSYS) return 2;
                  pipe_pair leak;
                  fcntl(leak.read.get(), F_DUPFD, 300);
                  pipe_pair input;
                  const arguments argv{"cat"};
                  spawn_options options;
                  options.argv = argv.get();
                  options.in = input.read.get();
                  options.want_pidfd = true;
                  const spawned child = spawn(options);
                  if (!child || !child.pidfd) return 3;
                  wait_until_it_reads(input);
                  const bool clean = descriptors_of(child.pid) == std::vector<int>{0, 1, 2};
                  input.read.reset();
                  input.write.reset();
                  if (reap(child.pid) != 0) return 4;
                  const arguments missing{"/no/such/file"};
                  options.argv = missing.get();
                  options.in = -1;
                  const spawned failed = spawn(options);
                  if (failed.error.code != ENOENT || failed.error.stage != spawn_stage::exec) return 5;
                  return clean ? 0 : 6;
              }),
              0);
}

TEST(Spawn, ThreadsStartChildrenAtTheSameTime) {
    std::array<int, 4> good{};
    std::vector<std::thread> threads;
    threads.reserve(good.size());
    for (int& mine : good)
        threads.emplace_back([&mine] {
            for (int i = 0; i < 25; ++i) {
                const std::string script = "exit " + std::to_string(i);
                const arguments argv{"sh", "-c", script.c_str()};
                spawn_options options;
                options.argv = argv.get();
                const spawned child = spawn(options);
                if (child && WEXITSTATUS(reap(child.pid)) == i) ++mine;
                const arguments missing{"/no/such/file"};
                options.argv = missing.get();
                if (spawn(options).error.code == ENOENT) ++mine;
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(good, (std::array<int, 4>{50, 50, 50, 50}));
}

} // namespace
} // namespace tenure::inline v0::io
