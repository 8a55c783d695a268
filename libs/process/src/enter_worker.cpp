#include "roles.hpp"

#include <tenure/process/enter_worker.hpp>
#include <tenure/wire/codec.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::process {
namespace detail {
namespace {

std::atomic<bool> entry_is_known{false}; // relaxed: it only decides which error a pool gives

bool is_packet_socket(int fd) {
    int type = 0;
    int family = 0;
    socklen_t n = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type != SOCK_SEQPACKET) return false;
    n = sizeof family;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n) == 0 && family == AF_UNIX;
}

/// Standard input becomes /dev/null, and the socket a descriptor that no child gets.
control_socket take_standard_input() {
    control_socket socket{io::unique_fd(fcntl(0, F_DUPFD_CLOEXEC, 3))};
    const io::unique_fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (null) dup2(null.get(), 0);
    return socket;
}

std::optional<int> enter(std::string_view role) {
    const std::size_t space = role.find(' ');
    if (space == std::string_view::npos || !is_packet_socket(0)) return std::nullopt;
    const std::string word(role.substr(space + 1));
    role = role.substr(0, space);

    // It stays in the socket until it is known to be for us.
    control_socket::received first;
    control_socket input{io::unique_fd(0)};
    const auto seen = input.peek(first);
    (void)input.release(); // it is not ours yet
    if (seen != control_socket::result::message) return std::nullopt;
    if (word.size() != word_bytes || first.more.size() < word_bytes ||
        std::memcmp(first.more.data() + first.more.size() - word_bytes, word.data(), word_bytes) != 0)
        return std::nullopt;
    unsetenv(role_variable);

    control_socket socket = take_standard_input();
    (void)socket.receive(first);
    wire::reader r(std::span(first.more).first(first.more.size() - word_bytes));
    const auto s = wire::read<settings>(r);
    r.finish();
    if (role == "supervisor")
        _exit(supervise(std::move(socket), s)); // it ran nothing that would have to be ended
    if (role != "worker") return std::nullopt;
    if (!die_with_parent(first.message.pid)) return 0;
    if (first.fd_count != (first.message.code == has_store ? 3u : 2u))
        throw std::system_error(EMFILE, std::system_category(), "what it shares with its pool");
    prctl(PR_SET_NAME, "tenure-worker");
    take_on(s);
    work(std::move(first.fds[0]), std::move(first.fds[1]), std::move(first.fds[2]), s.output_is_read);
}

} // namespace

bool worker_entry_is_known() noexcept { return entry_is_known.load(std::memory_order_relaxed); }

} // namespace detail

std::optional<int> enter_worker() {
    detail::entry_is_known.store(true, std::memory_order_relaxed);
    const char* const role = std::getenv(detail::role_variable);
    if (!role) return std::nullopt;
    try {
        return detail::enter(role);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "tenure: this process was started to be a worker and cannot: %s\n", e.what());
        return 1;
    }
}

} // namespace tenure::inline v0::process
