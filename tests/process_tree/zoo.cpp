// Commands that behave badly, for tests: zoo KIND.
//
// Every process of a zoo keeps its standard error open, so that end of file on the other end of that pipe (the
// witness) proves that none is left. When the zoo stands, its last process writes "r" to standard output. Every
// process ends by itself within 25 s, so that one that escapes does no harm for long.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <new>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr unsigned lifetime_s = 25;
constexpr int bomb_size = 500;

std::string self_path;

void tell(std::string_view text) {
    if (write(STDOUT_FILENO, text.data(), text.size()) < 0) _exit(98);
}

void limit_life() {
    signal(SIGALRM, SIG_DFL);
    alarm(lifetime_s); // not inherited by fork
}

[[noreturn]] void hang() {
    limit_life();
    for (;;)
        pause();
}

[[noreturn]] void ready_and_hang() {
    limit_life();
    tell("r");
    hang();
}

/// Continues in a child; the parent goes on with `parent`.
template <class Parent>
void in_child(Parent parent) {
    const pid_t pid = fork();
    if (pid < 0) _exit(97);
    if (pid > 0) parent();
    limit_life();
}

[[noreturn]] void leave() { _exit(0); }

void burn(double seconds) {
    const std::clock_t end = std::clock() + static_cast<std::clock_t>(seconds * CLOCKS_PER_SEC);
    while (std::clock() < end) {}
}

/// A daemon: its own session, and a parent that has gone.
void become_daemon(void (*starter)()) {
    in_child(starter);
    setsid();
    in_child(leave);
}

[[noreturn]] void lose_environment() {
    char name[] = "x";
    char kind[] = "hang";
    char* arguments[] = {name, kind, nullptr};
    char* environment[] = {nullptr};
    execve(self_path.c_str(), arguments, environment);
    _exit(96);
}

[[noreturn]] void bomb() {
    void* memory =
        mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) _exit(95);
    auto& count = *new (memory) std::atomic<int>(1);
    limit_life();
    for (;;) {
        const int mine = count.fetch_add(1);
        if (mine == bomb_size) tell("r");
        if (mine >= bomb_size) hang();
        if (fork() == 0) {
            limit_life();
            if ((getpid() & 1) != 0) setsid();
        }
    }
}

/// Never stays: each process lives as long as it takes to start the next one.
[[noreturn]] void hop(long pause_us) {
    const std::time_t end = std::time(nullptr) + 15;
    tell("r");
    while (std::time(nullptr) < end) {
        if (fork() > 0) _exit(0);
        limit_life();
        setsid();
        const timespec pause{0, pause_us * 1000};
        if (pause_us > 0) nanosleep(&pause, nullptr);
    }
    _exit(0);
}

[[noreturn]] void own_subreaper() {
    in_child(hang);
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    in_child(hang);
    setsid();
    in_child(leave);
    ready_and_hang();
}

/// What a load is made of: mostly short commands, some that leave a daemon or an orphan behind.
[[noreturn]] void mix() {
    const int dice = getpid() % 10;
    if (dice < 6) _exit(0);
    if (dice < 8) {
        become_daemon(leave);
        lose_environment();
    }
    if (fork() == 0) {
        const timespec pause{0, 20'000'000};
        nanosleep(&pause, nullptr);
        _exit(0);
    }
    const timespec pause{0, 5'000'000};
    nanosleep(&pause, nullptr);
    _exit(0);
}

extern "C" void exit_seven(int) { _exit(7); }

[[noreturn]] void run(std::string_view kind) {
    if (kind == "exit") _exit(0);
    if (kind == "exit3") _exit(3);
    if (kind == "hang") hang();
    if (kind == "ready") ready_and_hang();
    if (kind == "plain") {
        in_child(hang);
        ready_and_hang();
    }
    if (kind == "setsid") {
        in_child(hang);
        setsid();
        ready_and_hang();
    }
    if (kind == "dfork" || kind == "env") {
        become_daemon(hang);
        tell("r");
        if (kind == "env") lose_environment();
        hang();
    }
    if (kind == "daemon" || kind == "envdaemon") {
        int up[2];
        if (pipe(up) < 0) _exit(93);
        const pid_t child = fork();
        if (child > 0) { // goes when the daemon stands
            close(up[1]);
            char byte = 0;
            _exit(read(up[0], &byte, 1) == 1 ? 0 : 92);
        }
        setsid();
        in_child(leave);
        tell("r");
        if (write(up[1], "r", 1) != 1) _exit(91);
        close(up[0]);
        close(up[1]);
        if (kind == "envdaemon") lose_environment();
        hang();
    }
    if (kind == "bomb") bomb();
    if (kind == "ignterm" || kind == "ignterm_setsid") {
        for (const int ignored : {SIGTERM, SIGINT, SIGHUP})
            signal(ignored, SIG_IGN);
        in_child(hang);
        if (kind == "ignterm_setsid") setsid();
        ready_and_hang();
    }
    if (kind == "term7") { // a clean end on SIGTERM
        signal(SIGTERM, exit_seven);
        ready_and_hang();
    }
    if (kind == "stop" || kind == "selfstop") {
        if (kind == "stop")
            in_child([] {
                limit_life();
                tell("r");
                raise(SIGSTOP);
                hang();
            });
        if (kind == "stop") setsid();
        limit_life();
        if (kind == "selfstop") {
            tell("r");
            raise(SIGSTOP);
            _exit(5); // when continued
        }
        hang();
    }
    if (kind == "zombie") {
        for (int i = 0; i < 50; ++i)
            if (fork() == 0) _exit(0);
        ready_and_hang();
    }
    if (kind == "hop") hop(0);
    if (kind == "slowhop") hop(200);
    if (kind == "subreap") own_subreaper();
    if (kind == "mix") mix();
    if (kind == "burn") {
        burn(0.2);
        _exit(0);
    }
    if (kind == "burn_ignoring_children") { // the kernel reaps the child, and nobody gets its CPU time
        signal(SIGCHLD, SIG_IGN);
        in_child([] {
            wait(nullptr);
            _exit(0);
        });
        burn(0.2);
        _exit(0);
    }
    if (kind == "burn_orphan") {
        int end[2];
        if (pipe(end) < 0) _exit(93);
        const pid_t child = fork();
        if (child > 0) { // lives as long as the orphan
            close(end[1]);
            char byte = 0;
            _exit(read(end[0], &byte, 1) == 0 ? 0 : 92);
        }
        setsid();
        in_child(leave);
        burn(0.2);
        _exit(0);
    }
    if (kind == "descriptors") {
        std::string open;
        for (int fd = 0; fd < 1024; ++fd)
            if (fcntl(fd, F_GETFD) >= 0) open += std::to_string(fd) + " ";
        tell(open + "\n");
        _exit(0);
    }
    if (kind == "getpid") {
        tell(std::to_string(getpid()) + "\n");
        _exit(0);
    }
    if (kind == "readline") { // waits for a line of standard input
        tell("r");
        char line[64];
        const ssize_t size = read(STDIN_FILENO, line, sizeof line);
        _exit(size > 0 ? line[0] - '0' : 99);
    }
    _exit(94);
}

} // namespace

int main(int count, char** arguments) {
    char path[4096];
    const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
    if (size > 0) self_path.assign(path, static_cast<std::size_t>(size));
    limit_life();
    run(count > 1 ? arguments[1] : "exit");
}
