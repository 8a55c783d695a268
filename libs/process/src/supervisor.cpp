// The supervisor: one thread, which runs nothing of the program. Workers are its children, so that one process reaps them all,
// and it is the subreaper of what they start: whatever they leave behind becomes its child and is ended.
//
// serving -the pool closes its end, or has died-> ending -no child left-> gone       There is no way back.
#include "roles.hpp"

#include <tenure/io/spawn.hpp>
#include <tenure/wire/codec.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::process::detail {
namespace {

io::unique_fd open_pidfd(pid_t pid) {
    return io::unique_fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

bool has_one_thread() {
    const io::unique_fd status(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    std::array<char, 4096> text;
    const ssize_t n = status ? read(status.get(), text.data(), text.size()) : -1;
    return n > 0 && std::string_view(text.data(), static_cast<std::size_t>(n)).find("\nThreads:\t1\n") !=
                        std::string_view::npos;
}

class supervisor {
public:
    supervisor(control_socket pool, const settings& s) : pool_(std::move(pool)), settings_(s) {}
    int run();

private:
    struct worker_process {
        std::uint64_t id;
        pid_t pid;
        control_socket line; // of one that was executed: it ends with us
    };
    struct started {
        pid_t pid = -1;
        io::unique_fd pidfd;
        io::spawn_error error;
        control_socket line;
    };

    /// `all`: it has every descriptor that it was sent.
    void start(std::uint64_t id, start_fds& fds, io::unique_fd store, bool all);
    started copy(start_fds& fds, io::unique_fd& store);
    started execute(const start_fds& fds, const io::unique_fd& store) const;
    /// True: no child is left.
    bool reap();
    void kill_orphans() const noexcept;
    void read_messages();

    control_socket pool_;
    const settings& settings_;
    const pid_t self_ = getpid();
    bool copies_ = false;
    bool ending_ = false;
    io::unique_fd parent_;
    io::unique_fd signals_;
    sigset_t none_{};
    std::vector<worker_process> workers_;
};

int supervisor::run() {
    prctl(PR_SET_NAME, "tenure-superv");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    parent_ = open_pidfd(settings_.parent);
    if (!parent_ || getppid() != settings_.parent) return 0; // it has died already
    copies_ = settings_.program.empty() &&
              static_cast<start_method>(settings_.start) == start_method::zygote && has_one_thread();
    sigset_t child;
    sigemptyset(&none_);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child, nullptr);
    signals_ = io::unique_fd(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) return 1;

    for (;;) {
        std::array<pollfd, 3> f{{{signals_.get(), POLLIN, 0},
                                 {ending_ ? -1 : pool_.fd(), POLLIN, 0},
                                 {ending_ ? -1 : parent_.get(), POLLIN, 0}}};
        // While it ends it looks again and again: a child that is killed may leave children of its own.
        poll(f.data(), f.size(), ending_ ? 2 : -1);
        if (f[1].revents) read_messages();
        if (f[2].revents) ending_ = true;
        signalfd_siginfo came;
        while (read(signals_.get(), &came, sizeof came) > 0) {}
        if (ending_) {
            for (const worker_process& w : workers_)
                kill(-w.pid, SIGKILL);
            kill_orphans();
            for (const worker_process& w : workers_)
                kill(w.pid, SIGKILL); // it may have left its group
        }
        if (reap() && ending_) return 0;
    }
}

void supervisor::read_messages() {
    control_socket::received r;
    for (;;) {
        switch (pool_.receive(r)) {
        case control_socket::result::nothing: return;
        case control_socket::result::end: ending_ = true; return;
        case control_socket::result::message: break;
        }
        if (r.message.what != control::start) continue;
        io::unique_fd store;
        std::size_t expected = settings_.output_is_read ? 4 : 2;
        if (r.message.code == has_store) store = std::move(r.fds[expected++]);
        start(r.message.worker, r.fds, std::move(store), r.fd_count == expected);
    }
}

void supervisor::start(std::uint64_t id, start_fds& fds, io::unique_fd store, bool all) {
    started s;
    if (!all) // what the system has left out cannot be had any more
        s.error = {EMFILE, io::spawn_stage::start};
    else
        s = copies_ ? copy(fds, store) : execute(fds, store);
    fds = {}; // the worker's output ends with the worker
    if (s.error) {
        (void)pool_.send({control::failed, 0, id, s.error.code, static_cast<std::int32_t>(s.error.stage)});
        return;
    }
    workers_.push_back({id, s.pid, std::move(s.line)});
    const int pidfd = s.pidfd.get();
    (void)pool_.send({control::started, s.pid, id}, {&pidfd, 1});
}

supervisor::started supervisor::copy(start_fds& fds, io::unique_fd& store) {
    started s;
    s.pid = fork();
    if (s.pid == 0) {
        setpgid(0, 0);
        sigprocmask(SIG_SETMASK, &none_, nullptr);
        if (!die_with_parent(self_)) _exit(0);
        prctl(PR_SET_CHILD_SUBREAPER, 0);
        prctl(PR_SET_NAME, "tenure-worker");
        pool_.close();
        parent_.reset();
        signals_.reset();
        if (fds[2] && fds[3]) {
            dup2(fds[2].get(), 1);
            dup2(fds[3].get(), 2);
            fds[2].reset();
            fds[3].reset();
        }
        take_on(settings_);
        work(std::move(fds[0]), std::move(fds[1]), std::move(store), settings_.output_is_read);
    }
    if (s.pid < 0) {
        s.error = {errno, io::spawn_stage::start};
        return s;
    }
    setpgid(s.pid, s.pid); // whoever of the two is first
    s.pidfd = open_pidfd(s.pid);
    if (!s.pidfd) {
        s.error = {errno, io::spawn_stage::start};
        kill(s.pid, SIGKILL);
        waitpid(s.pid, nullptr, 0);
    }
    return s;
}

supervisor::started supervisor::execute(const start_fds& fds, const io::unique_fd& store) const {
    started s;
    try {
        const std::string word = random_word();
        auto line = control_socket::pair();
        wire::writer more;
        wire::write(more, settings_);
        more.bytes(word.data(), word.size());
        const std::array<int, 3> given{fds[0].get(), fds[1].get(), store.get()};
        if (!line[0].send({control::start, self_, 0, store ? has_store : 0},
                          std::span(given).first(store ? 3 : 2), more.message())) {
            s.error = {errno, io::spawn_stage::start};
            return s;
        }
        const std::string role = std::string(role_variable) + "=worker " + word;
        std::vector<char*> environment;
        for (char** e = environ; *e; ++e)
            environment.push_back(*e);
        environment.push_back(const_cast<char*>(role.c_str()));
        environment.push_back(nullptr);
        std::vector<char*> argv;
        static char name[] = "tenure-worker";
        for (const std::string& a : settings_.program)
            argv.push_back(const_cast<char*>(a.c_str()));
        if (argv.empty()) argv.push_back(name);
        argv.push_back(nullptr);
        const auto inherited = [](int fd) { return fcntl(fd, F_GETFD) < 0 ? -1 : fd; };
        auto child = io::spawn({.argv = argv.data(),
                                .file = settings_.program.empty() ? "/proc/self/exe" : nullptr,
                                .environment = environment.data(),
                                .in = line[1].fd(),
                                .out = fds[2] ? fds[2].get() : inherited(1),
                                .err = fds[3] ? fds[3].get() : inherited(2),
                                .want_pidfd = true});
        s.error = child.error;
        s.pid = child.pid;
        s.pidfd = std::move(child.pidfd);
        s.line = std::move(line[0]);
    } catch (const std::system_error& e) {
        s.error = {e.code().value(), io::spawn_stage::start};
    } catch (const std::exception&) {
        s.error = {ENOMEM, io::spawn_stage::start};
    }
    return s;
}

bool supervisor::reap() {
    for (;;) {
        siginfo_t info{};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return errno == ECHILD;
        if (info.si_pid == 0) return false;
        const auto w = std::find_if(workers_.begin(), workers_.end(),
                                    [&](const worker_process& p) { return p.pid == info.si_pid; });
        if (w == workers_.end()) {
            waitpid(info.si_pid, nullptr, 0);
            continue;
        }
        kill(-w->pid, SIGKILL); // while the number is still its own
        waitpid(w->pid, nullptr, 0);
        const std::uint64_t id = w->id;
        workers_.erase(w);
        kill_orphans();
        if (!ending_) (void)pool_.send({control::ended, info.si_pid, id, info.si_code, info.si_status});
    }
}

// What a worker started, and is not its child any more, is ours.
void supervisor::kill_orphans() const noexcept {
    const std::string path = "/proc/self/task/" + std::to_string(self_) + "/children";
    const io::unique_fd list(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!list) return;
    std::string text;
    std::array<char, 4096> part;
    for (ssize_t n = 0; (n = read(list.get(), part.data(), part.size())) > 0;)
        text.append(part.data(), static_cast<std::size_t>(n));
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at < end) {
        pid_t pid = 0;
        const auto number = std::from_chars(at, end, pid);
        if (number.ec != std::errc()) return;
        at = number.ptr + 1;
        // Those in the group of a worker that lives are what it keeps in the background.
        const pid_t group = ending_ ? 0 : getpgid(pid);
        if (std::none_of(workers_.begin(), workers_.end(),
                         [&](const auto& w) { return w.pid == pid || w.pid == group; }))
            kill(pid, SIGKILL);
    }
}

} // namespace

int supervise(control_socket pool, const settings& s) { return supervisor(std::move(pool), s).run(); }

bool die_with_parent(pid_t parent) noexcept {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return getppid() == parent;
}

void take_on(const settings& s) noexcept {
    if (s.output_is_read) setvbuf(stdout, nullptr, _IOLBF, 0); // a pipe would get it by the block
    if (s.memory_limit != 0) {
        const rlimit limit{s.memory_limit, s.memory_limit};
        setrlimit(RLIMIT_DATA, &limit);
    }
    if (s.nice != 0) setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + s.nice);
    if (!s.cpus.empty()) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        for (const std::uint32_t c : s.cpus)
            if (c < CPU_SETSIZE) CPU_SET(c, &cpus);
        sched_setaffinity(0, sizeof cpus, &cpus);
    }
}

} // namespace tenure::inline v0::process::detail
