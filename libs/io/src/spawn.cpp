#include <tenure/io/spawn.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

// Code that runs between clone and exec, on foreign memory: no instrumentation, which would keep books there.
#if defined(__clang__)
#define TENURE_CHILD_CODE __attribute__((disable_sanitizer_instrumentation))
#else
#define TENURE_CHILD_CODE __attribute__((no_sanitize("address", "thread", "undefined")))
#endif

namespace tenure::inline v0::io {

namespace {

constexpr std::size_t kernel_sigset_bytes = 8;
constexpr int last_signal = 64;

/// The kernel's sigset_t. glibc's sigprocmask would leave its two internal signals unblocked, and their
/// handlers must not run in the child.
using kernel_sigset = unsigned long;

struct child_task {
    const spawn_options* options;
    char* const* environment;
    const char* const* files; // candidates to execute, NULL-terminated
    // Written by the child, read by the parent when the child has ended or executed: the same memory.
    volatile int code = 0;
    volatile spawn_stage stage = spawn_stage::none;
};

[[noreturn]] TENURE_CHILD_CODE inline __attribute__((always_inline)) void
give_up(child_task& task, spawn_stage stage, int code) {
    task.code = code;
    task.stage = stage;
    for (;;)
        syscall(SYS_exit_group, 127);
}

TENURE_CHILD_CODE inline __attribute__((always_inline)) long dup_to(long from, int to) {
    if (from == to) return syscall(SYS_fcntl, to, F_SETFD, 0);
    return syscall(SYS_dup3, from, to, 0);
}

/// Makes 0, 1 and 2. Returns: -1 with errno set on failure.
TENURE_CHILD_CODE inline __attribute__((always_inline)) long make_streams(const spawn_options& options) {
    long from[3] = {options.in, options.out, options.err};
    for (int i = 0; i < 3; ++i)
        if (from[i] < 0) {
            from[i] = syscall(SYS_openat, AT_FDCWD, "/dev/null", i == 0 ? O_RDONLY : O_WRONLY, 0);
            if (from[i] < 0) return -1;
        }
    // Nothing is overwritten that is still needed: what lies in 0..2 in the wrong place moves up first.
    for (int i = 0; i < 3; ++i)
        if (from[i] < 3 && from[i] != i) {
            from[i] = syscall(SYS_fcntl, from[i], F_DUPFD, 3);
            if (from[i] < 0) return -1;
        }
    for (int i = 0; i < 3; ++i)
        if (dup_to(from[i], i) < 0) return -1;
    return 0;
}

struct kernel_dirent { // linux_dirent64
    unsigned long long inode;
    long long offset;
    unsigned short length;
    unsigned char type;
    char name[1];
};

/// close_range(3, …) for kernels and sandboxes without it. Returns: false if /proc is of no help either.
TENURE_CHILD_CODE inline __attribute__((always_inline)) bool close_listed() {
    const long directory = syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);
    if (directory < 0) return false;
    alignas(kernel_dirent) char buffer[2048];
    for (;;) {
        const long size = syscall(SYS_getdents64, directory, buffer, sizeof buffer);
        if (size <= 0) break;
        for (long at = 0; at < size;) {
            const kernel_dirent* entry = reinterpret_cast<const kernel_dirent*>(buffer + at);
            at += entry->length;
            long fd = 0;
            const char* digit = entry->name;
            if (*digit < '0' || *digit > '9') continue; // "." and ".."
            for (; *digit != '\0'; ++digit)
                fd = fd * 10 + (*digit - '0');
            if (fd >= 3 && fd != directory) syscall(SYS_close, fd);
        }
    }
    syscall(SYS_close, directory);
    return true;
}

TENURE_CHILD_CODE inline __attribute__((always_inline)) long close_others() {
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 3U, ~0U, 0) == 0) return 0;
#endif
    if (close_listed()) return 0;
    rlimit limit{};
    if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit) < 0) return -1;
    for (unsigned long fd = 3; fd < limit.rlim_cur; ++fd)
        syscall(SYS_close, fd);
    return 0;
}

TENURE_CHILD_CODE inline __attribute__((always_inline)) void default_signals(signal_state state) {
    struct {
        void* handler;
        unsigned long flags;
        void* restorer;
        unsigned long mask;
    } const by_default{}; // SIG_DFL is 0, and so is the rest
    if (state == signal_state::unknown)
        for (int signal = 1; signal <= last_signal; ++signal)
            syscall(SYS_rt_sigaction, signal, &by_default, nullptr, kernel_sigset_bytes);
    const kernel_sigset none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, kernel_sigset_bytes);
}

/// The next candidate may still be right, as execvp sees it.
TENURE_CHILD_CODE inline __attribute__((always_inline)) bool try_next(int code) {
    return code == ENOENT || code == ENOTDIR || code == EACCES || code == ESTALE || code == ENODEV ||
           code == ETIMEDOUT;
}

TENURE_CHILD_CODE int child_main(void* argument) {
    child_task& task = *static_cast<child_task*>(argument);
    const spawn_options& options = *task.options;
    if (syscall(SYS_setpgid, 0, 0) < 0) give_up(task, spawn_stage::process_group, errno);
    if (options.terminal >= 0) {
        // Allowed from the background because SIGTTOU is blocked.
        const pid_t self = static_cast<pid_t>(syscall(SYS_getpid));
        if (syscall(SYS_ioctl, options.terminal, TIOCSPGRP, &self) < 0)
            give_up(task, spawn_stage::terminal, errno);
    }
    if (options.directory != nullptr && syscall(SYS_chdir, options.directory) < 0)
        give_up(task, spawn_stage::directory, errno);
    if (make_streams(options) < 0) give_up(task, spawn_stage::streams, errno);
    if (close_others() < 0) give_up(task, spawn_stage::descriptors, errno);
    default_signals(options.signals);

    int code = ENOENT;
    bool denied = false;
    for (const char* const* file = task.files; *file != nullptr; ++file) {
        syscall(SYS_execve, *file, options.argv, task.environment);
        code = errno;
        if (!try_next(code)) give_up(task, spawn_stage::exec, code);
        denied = denied || code == EACCES;
    }
    // A file that was found but may not be executed says more than the folders that lack it.
    give_up(task, spawn_stage::exec, denied ? EACCES : code);
}

/// clone or clone3 with up to three arguments, and child_main on the new stack in the child. Not the C library's
/// clone(), which ThreadSanitizer takes for a fork.
/// Returns: the child's pid, or -errno.
#if defined(__x86_64__)
long raw_clone(long number, std::uintptr_t a, std::uintptr_t b, std::uintptr_t c, child_task& task) {
    long result = number;
    register std::uintptr_t no_tid asm("r10") = 0;
    register std::uintptr_t no_tls asm("r8") = 0;
    register int (*function)(void*) asm("r9") = &child_main;
    asm volatile("syscall\n\t"
                 "test %%rax, %%rax\n\t"
                 "jnz 1f\n\t"
                 "xor %%ebp, %%ebp\n\t"
                 "mov %%rbx, %%rdi\n\t"
                 "call *%%r9\n\t"
                 "ud2\n"
                 "1:"
                 : "+a"(result)
                 : "D"(a), "S"(b), "d"(c), "r"(no_tid), "r"(no_tls), "r"(function),
                   "b"(static_cast<void*>(&task))
                 : "rcx", "r11", "cc", "memory");
    return result;
}
#elif defined(__aarch64__)
long raw_clone(long number, std::uintptr_t a, std::uintptr_t b, std::uintptr_t c, child_task& task) {
    register long call asm("x8") = number;
    register std::uintptr_t result asm("x0") = a;
    register std::uintptr_t second asm("x1") = b;
    register std::uintptr_t third asm("x2") = c;
    register std::uintptr_t no_tls asm("x3") = 0;
    register std::uintptr_t no_tid asm("x4") = 0;
    register void* argument asm("x9") = &task;
    register int (*function)(void*) asm("x10") = &child_main;
    asm volatile("svc 0\n\t"
                 "cbnz x0, 1f\n\t"
                 "mov x29, xzr\n\t"
                 "mov x0, x9\n\t"
                 "blr x10\n\t"
                 "brk 1\n"
                 "1:"
                 : "+r"(result)
                 : "r"(call), "r"(second), "r"(third), "r"(no_tls), "r"(no_tid), "r"(argument), "r"(function)
                 : "cc", "memory", "x30");
    return static_cast<long>(result);
}
#else
#error "spawn() starts children with a few lines of assembly: add those of this processor"
#endif

// Relaxed: a hint that each thread may find out by itself.
std::atomic<bool> clone3_works{true};

/// Returns: the child's pid, or -errno.
long start_child(const spawn_options& options, child_task& task, char* stack, std::size_t stack_bytes,
                 int* pidfd) {
    std::uint64_t flags = CLONE_VM | CLONE_VFORK;
    if (options.want_pidfd) flags |= CLONE_PIDFD;
    if (clone3_works.load(std::memory_order_relaxed)) {
        clone_args args{};
        args.flags = flags;
        args.pidfd = reinterpret_cast<std::uintptr_t>(pidfd);
        args.exit_signal = SIGCHLD;
        args.stack = reinterpret_cast<std::uintptr_t>(stack);
        args.stack_size = stack_bytes;
        if (options.cgroup >= 0) {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = static_cast<std::uint64_t>(options.cgroup);
        }
        const long result =
            raw_clone(SYS_clone3, reinterpret_cast<std::uintptr_t>(&args), sizeof args, 0, task);
        // Sandboxes refuse clone3 with either; a refused cgroup is told as it is.
        if (result != -ENOSYS && (result != -EPERM || options.cgroup >= 0)) return result;
        if (result == -ENOSYS) clone3_works.store(false, std::memory_order_relaxed);
    }
    if (options.cgroup >= 0) return -ENOSYS;
    return raw_clone(SYS_clone, flags | SIGCHLD, reinterpret_cast<std::uintptr_t>(stack + stack_bytes),
                     reinterpret_cast<std::uintptr_t>(pidfd), task);
}

/// Every file that execvp would try, NUL-terminated one after the other.
struct candidates {
    std::string text;
    std::vector<const char*> files;

    explicit candidates(const char* name) {
        if (*name == '\0') { // as execvp: no folder has a file of this name
            files = {nullptr};
            return;
        }
        std::vector<std::size_t> starts;
        auto add = [&](std::string_view folder) {
            starts.push_back(text.size());
            text.append(folder);
            if (!folder.empty()) text += '/';
            text.append(name);
            text += '\0';
        };
        if (std::strchr(name, '/') != nullptr) {
            add({});
        } else {
            const char* path = std::getenv("PATH");
            std::string_view rest = path != nullptr ? path : "/bin:/usr/bin";
            for (;;) {
                const std::size_t colon = rest.find(':');
                add(rest.substr(0, colon)); // an empty folder is the working directory
                if (colon == std::string_view::npos) break;
                rest.remove_prefix(colon + 1);
            }
        }
        for (const std::size_t start : starts)
            files.push_back(text.data() + start);
        files.push_back(nullptr);
    }
};

spawned run_child(const spawn_options& options, const char* const* files) {
    // The child's stack: in this frame, which stays as it is while this thread is suspended. execve itself
    // runs on the kernel's stack; child_main and the calls it makes need about 3 KiB.
    alignas(64) std::array<char, std::size_t{16} * 1024> stack;
    child_task task{&options, options.environment != nullptr ? options.environment : environ, files};

    // A handler of ours that ran in the child would change our memory.
    const bool block = options.signals == signal_state::unknown;
    const kernel_sigset all = ~kernel_sigset{0};
    kernel_sigset before = 0;
    if (block) syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, kernel_sigset_bytes);
    int pidfd = -1;
    const long pid = start_child(options, task, stack.data(), stack.size(), &pidfd);
    if (block) syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, kernel_sigset_bytes);

    spawned result;
    if (pid < 0) {
        result.error = {static_cast<int>(-pid), spawn_stage::start};
        return result;
    }
    result.pidfd.reset(pidfd);
    result.pid = static_cast<pid_t>(pid);
    if (task.code != 0) {
        while (waitpid(result.pid, nullptr, __WALL) < 0 && errno == EINTR) {}
        result.error = {task.code, task.stage};
        result.pid = -1;
        result.pidfd.reset();
    }
    return result;
}

} // namespace

const char* to_string(spawn_stage stage) noexcept {
    switch (stage) {
    case spawn_stage::none: return "none";
    case spawn_stage::start: return "start";
    case spawn_stage::process_group: return "process group";
    case spawn_stage::terminal: return "terminal";
    case spawn_stage::streams: return "streams";
    case spawn_stage::directory: return "working directory";
    case spawn_stage::descriptors: return "descriptors";
    case spawn_stage::exec: return "exec";
    case spawn_stage::isolation: return "isolation";
    }
    return "unknown";
}

bool spawn_error::transient() const noexcept {
    return code == EAGAIN || code == ENOMEM || code == EMFILE || code == ENFILE;
}

spawned spawn(const spawn_options& options) {
    if (options.file != nullptr) {
        const char* const files[] = {options.file, nullptr};
        return run_child(options, files);
    }
    const candidates found(options.argv[0]);
    return run_child(options, found.files.data());
}

std::string find_executable(const char* name) {
    const candidates found(name);
    for (const char* const* file = found.files.data(); *file != nullptr; ++file) {
        struct stat status{};
        if (faccessat(AT_FDCWD, *file, X_OK, AT_EACCESS) == 0 && stat(*file, &status) == 0 &&
            S_ISREG(status.st_mode))
            return *file;
    }
    return {};
}

} // namespace tenure::inline v0::io
