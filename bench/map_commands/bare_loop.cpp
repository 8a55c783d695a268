// The floor under `tenure map true`: for each line of standard input starts `true LINE`, two at a time, with its output in
// a pipe that is drained, waits for its pidfd, reaps it. No deadline, no descendants, no results, no owner.
#include <tenure/io/spawn.hpp>

#include <array>
#include <cstdio>
#include <fcntl.h>
#include <iostream>
#include <poll.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace io = tenure::io;

namespace {

struct running {
    pid_t pid = -1;
    io::unique_fd pidfd;
    io::unique_fd out;
};

bool start(running& slot, std::string& item) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) < 0) return false;
    slot.out = io::unique_fd(ends[0]);
    const io::unique_fd write_end(ends[1]);
    std::string name = "true";
    const std::array<char*, 3> argv{name.data(), item.data(), nullptr};
    io::spawn_options options;
    options.argv = argv.data();
    options.out = write_end.get();
    options.want_pidfd = true;
    io::spawned child = io::spawn(options);
    slot.pid = child ? child.pid : -1;
    slot.pidfd = std::move(child.pidfd);
    return slot.pid > 0;
}

void finish(running& slot) {
    std::array<char, 4096> text{};
    while (read(slot.out.get(), text.data(), text.size()) > 0) {}
    waitpid(slot.pid, nullptr, 0);
    slot = {};
}

} // namespace

int main() {
    std::array<running, 2> slots;
    std::string item;
    bool more = true;
    for (;;) {
        std::array<pollfd, 2> ended{};
        nfds_t waiting = 0;
        for (running& slot : slots) {
            if (slot.pid < 0 && more) {
                more = static_cast<bool>(std::getline(std::cin, item));
                if (more && !start(slot, item)) {
                    std::perror("bare_loop: cannot start true");
                    return 1;
                }
            }
            if (slot.pid > 0) ended[waiting++] = {slot.pidfd.get(), POLLIN, 0};
        }
        if (waiting == 0) return 0;
        poll(ended.data(), waiting, -1);
        for (running& slot : slots)
            for (const pollfd& event : ended)
                if (slot.pid > 0 && event.fd == slot.pidfd.get() && event.revents != 0) finish(slot);
    }
}
