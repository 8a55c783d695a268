#include "test_engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app::testing {

namespace {

using clock = std::chrono::steady_clock;

struct pipe_ends {
    io::unique_fd read;
    io::unique_fd write;
};

pipe_ends make_pipe() {
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) < 0) return {};
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return {io::unique_fd(ends[0]), io::unique_fd(ends[1])};
}

} // namespace

test_engine::test_engine(unsigned slots, const run_cgroup* cgroup, warden_registry* registry)
    : wardens_(slots, registry, cgroup), slots_(slots) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    wardens_.open_queue();
}

bool test_engine::ready_to_run(unsigned index) {
    slots_[index] = test_slot{};
    return wardens_[index].alive() || wardens_.start(index) == 0;
}

bool test_engine::run(unsigned index, std::vector<std::string> argv, const item_limits& limits, int witness) {
    if (!ready_to_run(index)) return false;
    test_slot& slot = slots_[index];
    pipe_ends out = make_pipe();
    run_streams streams;
    streams.out = std::move(out.write);
    slot.out_end = std::move(out.read);
    if (witness < 0) {
        pipe_ends err = make_pipe();
        streams.err = std::move(err.write);
        slot.err_end = std::move(err.read);
    } else {
        streams.err.reset(fcntl(witness, F_DUPFD_CLOEXEC, 3));
    }
    run_request request;
    request.id = wardens_.fresh_id();
    request.argv = argv;
    request.timeout = limits.timeout;
    request.grace = limits.grace;
    request.isolate = limits.isolate;
    return wardens_[index].run(request, std::move(streams)) == 0;
}

std::uint64_t test_engine::offer(std::vector<std::string> argv) {
    run_streams streams;
    streams.out.reset(open("/dev/null", O_WRONLY | O_CLOEXEC));
    streams.err.reset(open("/dev/null", O_WRONLY | O_CLOEXEC));
    run_request request;
    request.argv = argv;
    request.grace = 1s;
    return wardens_.offer(request, streams) ? request.id : 0;
}

bool test_engine::run_on_terminal(unsigned index, std::vector<std::string> argv, int terminal) {
    if (!ready_to_run(index)) return false;
    run_streams streams;
    for (io::unique_fd* stream : {&streams.in, &streams.out, &streams.err})
        stream->reset(fcntl(terminal, F_DUPFD_CLOEXEC, 3));
    streams.tty = true;
    run_request request;
    request.id = wardens_.fresh_id();
    request.argv = argv;
    request.grace = 1s;
    return wardens_[index].run(request, std::move(streams)) == 0;
}

void test_engine::drain(test_slot& slot, bool out, bool err) {
    std::array<char, 4096> bytes;
    if (out && slot.out_end) {
        const ssize_t size = read(slot.out_end.get(), bytes.data(), bytes.size());
        if (size > 0) slot.out.append(bytes.data(), static_cast<std::size_t>(size));
        if (size == 0) slot.out_end.reset();
    }
    if (err && slot.err_end) {
        const ssize_t size = read(slot.err_end.get(), bytes.data(), bytes.size());
        if (size == 0) {
            slot.err_end.reset();
            slot.all_gone = true;
            slot.gone_at = clock::now();
        }
    }
}

void test_engine::serve(unsigned index, short socket, bool died) {
    test_slot& slot = slots_[index];
    warden_link& link = wardens_[index];
    if ((socket & POLLOUT) != 0) link.flush();
    if ((socket & (POLLIN | POLLHUP)) != 0) {
        report got;
        switch (link.receive(got)) {
        case warden_link::received::got:
            if (got.kind == report_kind::ended) {
                slot.ended = got;
                slot.all.push_back(got);
            } else {
                slot.stops.push_back(got);
            }
            return; // a warden that has died too is seen in the next round
        case warden_link::received::broken: died = true; break;
        case warden_link::received::nothing: break;
        }
    }
    if (died) {
        slot.warden_died = link.busy();
        slot.burying = true;
    }
    if (slot.burying) slot.burying = !wardens_.bury(index);
}

bool test_engine::until(const std::function<bool()>& done, std::chrono::milliseconds limit) {
    const clock::time_point end = clock::now() + limit;
    while (!done()) {
        if (clock::now() >= end) return false;
        std::vector<pollfd> events;
        bool burying = false;
        for (unsigned i = 0; i < slots_.size(); ++i) {
            const warden_link& link = wardens_[i];
            events.push_back(
                {link.socket(), static_cast<short>(POLLIN | (link.wants_write() ? POLLOUT : 0)), 0});
            events.push_back({link.pidfd(), POLLIN, 0});
            events.push_back({slots_[i].out_end.get(), POLLIN, 0});
            events.push_back({slots_[i].err_end.get(), POLLIN, 0});
            burying = burying || slots_[i].burying;
        }
        for (const watched& other : watched_)
            events.push_back({other.fd, POLLIN, 0});
        poll(events.data(), events.size(), burying ? 1 : 5);
        for (std::size_t i = 0; i < slots_.size(); ++i) {
            drain(slots_[i], events[4 * i + 2].revents != 0, events[4 * i + 3].revents != 0);
            serve(static_cast<unsigned>(i), events[4 * i].revents, events[4 * i + 1].revents != 0);
        }
        for (std::size_t i = 0; i < watched_.size(); ++i)
            if (events[std::size_t{4} * slots_.size() + i].revents != 0) watched_[i].readable();
    }
    return true;
}

report test_engine::result(unsigned index) {
    const bool came = until([&] { return slots_[index].ended.has_value(); });
    EXPECT_TRUE(came) << "no report of slot " << index;
    return slots_[index].ended.value_or(report{});
}

bool test_engine::wrote(unsigned index, const std::string& text) {
    return until([&] { return slots_[index].out.find(text) != std::string::npos; });
}

std::string zoo() { return TENURE_TEST_BIN_DIR "/zoo"; }

std::size_t open_descriptors() {
    std::size_t count = 0;
    DIR* listing = opendir("/proc/self/fd");
    while (readdir(listing) != nullptr)
        ++count;
    closedir(listing);
    return count - 3; // ".", ".." and the listing itself
}

bool no_child_within(std::chrono::milliseconds limit) {
    const clock::time_point end = clock::now() + limit;
    for (;;) {
        const pid_t pid = waitpid(-1, nullptr, WNOHANG | __WALL);
        if (pid < 0 && errno == ECHILD) return true;
        if (clock::now() >= end) return false;
        if (pid == 0) pause_for(500us);
    }
}

std::size_t strangers(warden_set& wardens) {
    std::size_t count = 0;
    for (const pid_t pid : descendants_of(getpid())) {
        bool is_warden = false;
        for (unsigned i = 0; i < wardens.slots(); ++i)
            is_warden = is_warden || wardens[i].pid() == pid;
        process_stat stat;
        if (!is_warden && read_stat(pid, stat) && !stat.dead()) ++count;
    }
    return count;
}

void hear_interrupts() {
    for (const int number : {SIGINT, SIGQUIT, SIGHUP})
        signal(number, SIG_DFL);
}

void signal_process(pid_t pid, int signal) {
    if (pid <= 1) std::abort();
    kill(pid, signal);
}

void signal_group(pid_t leader, int signal) {
    if (leader <= 1 || leader == getpgrp()) std::abort();
    kill(-leader, signal);
}

void pause_for(std::chrono::nanoseconds time) {
    const timespec pause{time.count() / 1'000'000'000, time.count() % 1'000'000'000};
    nanosleep(&pause, nullptr);
}

} // namespace tenure::inline v0::app::testing
