#include "proc/isolate.hpp"

#include "proc/descriptors.hpp"
#include "proc/subtree.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app {

namespace {

struct identity {
    uid_t user;
    gid_t group;
};

bool write_file(const char* path, const std::string& text) {
    const io::unique_fd file(open(path, O_WRONLY | O_CLOEXEC));
    return file && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

/// Maps the user to itself: the item sees the same owner of its files as outside.
bool map_identity(identity self) {
    const auto line = [](unsigned id) { return std::to_string(id) + " " + std::to_string(id) + " 1\n"; };
    return write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", line(self.user)) &&
           write_file("/proc/self/gid_map", line(self.group));
}

/// A /proc that shows the pids of this namespace, seen by nobody else.
bool mount_own_proc() {
    return mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0;
}

class init {
public:
    init(int control, const io::spawn_options& options) : control_(control), options_(options) {}

    [[noreturn]] void run(const identity* map) {
        prctl(PR_SET_NAME, "tenure-init");
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        // A warden that died before the line above has closed its end, which wait() below notices.
        // Above all the copies of the warden's sockets go.
        close_all_but({control_, options_.in, options_.out, options_.err, options_.terminal});
        if ((map != nullptr && !map_identity(*map)) || !mount_own_proc())
            fail({errno, io::spawn_stage::isolation});
        options_.cgroup = -1; // init is in it already
        const io::spawned started = io::spawn(options_);
        if (!started) fail(started.error);
        item_ = started.pid;
        // The item's pipes must end when its processes have closed them.
        for (const int fd : {options_.in, options_.out, options_.err})
            if (fd > 2 && fd != options_.terminal) close(fd);
        for (;;) {
            reap();
            wait();
        }
    }

private:
    [[noreturn]] void fail(io::spawn_error error) {
        tell({init_event_kind::failed, error.code, static_cast<std::uint32_t>(error.stage), 1, 0});
        _exit(1);
    }

    void tell(const init_event& event) {
        // Without a warden there is nobody to tell and nothing to stay for.
        if (send(control_, &event, sizeof event, MSG_NOSIGNAL) < 0) _exit(1);
    }

    void reap() {
        for (;;) {
            const reaper::found found = reaper_.next();
            if (found == reaper::found::stopped && reaper_.pid() == item_)
                tell({init_event_kind::stopped, WSTOPSIG(reaper_.status()), 0, 0, 0});
            if (found == reaper::found::one) {
                max_rss_ = std::max<std::int64_t>(max_rss_, reaper_.usage().ru_maxrss * 1024);
                if (reaper_.pid() == item_) {
                    status_ = reaper_.status();
                    ended_ = true;
                }
            }
            if (found == reaper::found::nothing || found == reaper::found::no_children) {
                const bool alone = found == reaper::found::no_children;
                if (ended_ && !told_) tell({init_event_kind::ended, status_, 0, alone ? 1U : 0U, max_rss_});
                told_ = ended_;
                if (alone) _exit(0);
                return;
            }
        }
    }

    void wait() {
        pollfd event{control_, POLLIN, 0};
        if (!wait_for({&event, 1}, -1)) return;
        char order = 0;
        const ssize_t size = recv(control_, &order, 1, MSG_DONTWAIT);
        if (size == 0 || (size < 0 && errno != EAGAIN)) _exit(1);
        if (size == 1) obey(static_cast<init_order>(order));
    }

    void obey(init_order order) {
        // kill(-1) is confined to this namespace and never reaches init itself. Not with pid 1 of the machine.
        if (getpid() != 1) _exit(1);
        switch (order) {
        case init_order::terminate:
            kill(-1, SIGTERM);
            kill(-1, SIGCONT);
            break;
        case init_order::stop: kill(-1, SIGSTOP); break;
        case init_order::cont: kill(-1, SIGCONT); break;
        case init_order::foreground:
            if (ended_) break;
            if (options_.terminal >= 0) tcsetpgrp(options_.terminal, item_);
            kill(-item_, SIGCONT);
            break;
        }
    }

    int control_;
    io::spawn_options options_;
    pid_t item_ = -1;
    reaper reaper_;
    std::int64_t max_rss_ = 0;
    int status_ = 0;
    bool ended_ = false; // the item was reaped
    bool told_ = false;  // and the warden knows
};

/// A fork into new namespaces. Returns: as fork, or -errno.
long fork_isolated(std::uint64_t flags, int cgroup) {
    clone_args args{};
    args.flags = flags;
    args.exit_signal = SIGCHLD;
    if (cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = static_cast<std::uint64_t>(cgroup);
    }
    const long result = syscall(SYS_clone3, &args, sizeof args);
    return result < 0 ? -errno : result;
}

} // namespace

isolated start_isolated(const io::spawn_options& options) {
    isolated result;
    int pair[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        result.error = {errno, io::spawn_stage::start};
        return result;
    }
    result.control.reset(pair[0]);
    const io::unique_fd inner(pair[1]);
    const identity self{geteuid(), getegid()};

    constexpr std::uint64_t spaces = CLONE_NEWPID | CLONE_NEWNS;
    const identity* map = nullptr;
    long pid = self.user == 0 ? fork_isolated(spaces, options.cgroup) : -EPERM;
    if (pid == -EPERM) {
        map = &self;
        pid = fork_isolated(spaces | CLONE_NEWUSER, options.cgroup);
    }
    if (pid == 0) init(inner.get(), options).run(map);
    if (pid < 0) {
        const int code = static_cast<int>(-pid);
        const io::spawn_error transient{code, io::spawn_stage::start};
        result.error = transient.transient() ? transient : io::spawn_error{code, io::spawn_stage::isolation};
        return result;
    }
    result.init = static_cast<pid_t>(pid);
    return result;
}

} // namespace tenure::inline v0::app
