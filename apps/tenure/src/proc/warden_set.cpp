#include "proc/warden_set.hpp"

#include "proc/subtree.hpp"
#include "proc/warden.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app {

warden_set::warden_set(unsigned slots, warden_registry* registry, const run_cgroup* cgroup)
    : offers_(std::min<std::size_t>(slots, most_offers)),
      links_(slots),
      registry_(registry),
      cgroup_(cgroup) {}

warden_set::~warden_set() { end_now(); }

bool warden_set::open_queue() {
    if (!offers_.valid()) return false;
    int pair[2] = {-1, -1};
    // Messages: an offer is sent and read whole, or not at all.
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return false;
    queue_in_.reset(pair[0]);
    queue_out_.reset(pair[1]);
    return true;
}

int warden_set::start(unsigned slot) {
    warden_link& link = links_[slot];
    int pair[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return errno;
    io::unique_fd ours(pair[0]);
    const io::unique_fd theirs(pair[1]);
    const pid_t engine = getpid();
    const pid_t pid = fork();
    if (pid < 0) return errno;
    if (pid == 0) run_warden({slot, theirs.get(), queue_out_.get(), &offers_, engine, registry_, cgroup_});
    io::unique_fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd) {
        const int error = errno;
        ::kill(pid, SIGKILL);
        while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {}
        if (registry_ != nullptr) registry_->set(slot, 0);
        return error;
    }
    link.reset();
    link.pid_ = pid;
    link.slot_ = slot;
    link.offers_ = &offers_;
    link.socket_ = std::move(ours);
    link.pidfd_ = std::move(pidfd);
    return 0;
}

bool warden_set::offer(run_request& request, const run_streams& streams) {
    if (!queue_in_) return false;
    std::string frame;
    for (std::size_t tried = 0; tried < offers_.size(); ++tried) {
        request.id = fresh_id();
        item_offer& word = offers_[request.id % offers_.size()];
        if (!word.put(request.id)) continue;
        if (encode_run(frame, request, false, false) == 0 && frame.size() <= max_offer_bytes &&
            send_with(queue_in_.get(), frame, &streams) >= 0)
            return true;
        word.take_back(request.id);
        return false;
    }
    return false;
}

bool warden_set::take_back(std::uint64_t id) { return offers_[id % offers_.size()].take_back(id); }

bool warden_set::take_back_after(std::uint64_t id, unsigned slot) {
    item_offer& word = offers_[id % offers_.size()];
    return word.take_back(id) || word.settle(slot);
}

bool warden_set::bury(unsigned slot, std::chrono::nanoseconds patience) {
    warden_link& link = links_[slot];
    if (link.alive()) {
        ::kill(link.pid_, SIGKILL);
        const pid_t reaped = waitpid(link.pid_, nullptr, WNOHANG);
        if (reaped == 0) {
            if (!patience_.used_up({.signalled = 1}, false)) return false;
            hopeless_.push_back(link.pid_);
        }
        if (registry_ != nullptr) registry_->set(slot, 0);
        link.reset();
        if (cgroup_ != nullptr) {
            const std::string file = "s" + std::to_string(slot) + "/cgroup.kill";
            const io::unique_fd kill_file(openat(cgroup_->directory(), file.c_str(), O_WRONLY | O_CLOEXEC));
            [[maybe_unused]] const ssize_t written = write(kill_file.get(), "1", 1);
        }
        patience_ = {};
    }
    return strays_gone(patience);
}

bool warden_set::is_warden(pid_t pid) const {
    return std::any_of(links_.begin(), links_.end(),
                       [pid](const warden_link& link) { return link.pid_ == pid; });
}

bool warden_set::is_hopeless(pid_t pid) const {
    return std::find(hopeless_.begin(), hopeless_.end(), pid) != hopeless_.end();
}

bool warden_set::strays_gone(std::chrono::nanoseconds patience) {
    // Two looks in a row must find none: a list may lack an entry when another one leaves it at that moment.
    constexpr int rounds = 64;
    int clean = 0;
    std::erase_if(hopeless_, [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG | __WALL) == pid; });
    for (int round = 0; round < rounds; ++round) {
        std::vector<pid_t> dying;
        bool reaped = false;
        for (const pid_t child : children_of(getpid())) {
            if (is_warden(child) || is_hopeless(child)) continue;
            if (::kill(child, SIGKILL) < 0 && errno == EPERM) continue; // not ours to end
            if (waitpid(child, nullptr, WNOHANG | __WALL) == child)
                reaped = true;
            else
                dying.push_back(child);
        }
        if (!dying.empty() &&
            patience_.used_up({.signalled = static_cast<unsigned>(dying.size())}, reaped, patience)) {
            hopeless_.insert(hopeless_.end(), dying.begin(), dying.end());
            dying.clear();
        }
        if (dying.empty() && !reaped && ++clean == 2) {
            patience_ = {};
            return true;
        }
        if (!dying.empty() || reaped) clean = 0;
        if (!dying.empty() && !reaped) return false;
    }
    return false;
}

void warden_set::stop_all() {
    for (warden_link& link : links_)
        link.stop();
}

void warden_set::cont_all() {
    for (warden_link& link : links_)
        link.cont();
}

kill_round warden_set::end_now() {
    queue_in_.reset();
    queue_out_.reset();
    if (std::none_of(links_.begin(), links_.end(), [](const warden_link& link) { return link.alive(); }) &&
        waitpid(-1, nullptr, WNOHANG) < 0)
        return {};
    // Each warden reads the end of file, kills its item, and exits. To close the socket would not do: there may be a copy
    // of it. Nor can a warden tell of an item any more, so none starts another one.
    for (warden_link& link : links_) {
        if (link.socket_) ::shutdown(link.socket_.get(), SHUT_RDWR);
        link.socket_.reset();
    }
    sigset_t child_signal;
    sigset_t before;
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_signal, &before);
    const kill_round left = sweep([this](pid_t pid) { return is_warden(pid); }, std::chrono::seconds(1),
                                  [this](pid_t pid) { return is_hopeless(pid); });
    sigprocmask(SIG_SETMASK, &before, nullptr);
    for (unsigned slot = 0; slot < slots(); ++slot) {
        links_[slot].reset();
        if (registry_ != nullptr) registry_->set(slot, 0);
    }
    if (cgroup_ != nullptr) cgroup_->remove();
    return left;
}

} // namespace tenure::inline v0::app
