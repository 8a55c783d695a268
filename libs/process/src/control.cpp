#include "control.hpp"

#include <cerrno>
#include <cstring>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <system_error>

namespace tenure::inline v0::process::detail {

std::string random_word() {
    std::array<unsigned char, word_bytes / 2> bytes{};
    if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        throw std::system_error(errno, std::system_category(), "getrandom");
    std::string word;
    for (const unsigned char b : bytes) {
        word += "0123456789abcdef"[b >> 4];
        word += "0123456789abcdef"[b & 15];
    }
    return word;
}

std::array<control_socket, 2> control_socket::pair() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        throw std::system_error(errno, std::system_category(), "socketpair");
    return {control_socket(io::unique_fd(fds[0])), control_socket(io::unique_fd(fds[1]))};
}

bool control_socket::send(const control_message& m, std::span<const int> fds,
                          std::span<const std::byte> more) const noexcept {
    return send(m, fds, more, 0);
}
bool control_socket::try_send(const control_message& m, std::span<const int> fds) const noexcept {
    return send(m, fds, {}, MSG_DONTWAIT);
}
void control_socket::end() noexcept {
    shutdown(fd_.get(), SHUT_RDWR);
    fd_.reset();
}
bool control_socket::send(const control_message& m, std::span<const int> fds, std::span<const std::byte> more,
                          int flags) const noexcept {
    control_message copy = m;
    std::array<iovec, 2> parts{{{&copy, sizeof copy}, {const_cast<std::byte*>(more.data()), more.size()}}};
    msghdr h{};
    h.msg_iov = parts.data();
    h.msg_iovlen = parts.size();
    alignas(cmsghdr) std::array<char, CMSG_SPACE(carried_fds * sizeof(int))> room{};
    if (!fds.empty()) {
        h.msg_control = room.data();
        h.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* const c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
    }
    ssize_t n = 0;
    do
        n = sendmsg(fd_.get(), &h, MSG_NOSIGNAL | flags);
    while (n < 0 && errno == EINTR);
    return n == static_cast<ssize_t>(sizeof copy + more.size());
}

control_socket::result control_socket::receive(received& into) const { return read(into, 0); }
control_socket::result control_socket::peek(received& into) const { return read(into, MSG_PEEK); }

control_socket::result control_socket::read(received& into, int flags) const {
    constexpr int common = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
    ssize_t size = 0;
    do
        size = recv(fd_.get(), nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    if (size < 0) return errno == EAGAIN ? result::nothing : result::end;
    if (size < static_cast<ssize_t>(sizeof(control_message))) return result::end;

    into.more.resize(static_cast<std::size_t>(size) - sizeof into.message);
    std::array<iovec, 2> parts{{{&into.message, sizeof into.message}, {into.more.data(), into.more.size()}}};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(carried_fds * sizeof(int))> room{};
    msghdr h{};
    h.msg_iov = parts.data();
    h.msg_iovlen = parts.size();
    h.msg_control = room.data();
    h.msg_controllen = room.size();
    do
        size = recvmsg(fd_.get(), &h, common | flags);
    while (size < 0 && errno == EINTR);
    if (size < static_cast<ssize_t>(sizeof into.message)) return result::end;
    into.fds = {};
    into.fd_count = 0;
    for (cmsghdr* c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        std::array<int, carried_fds> fds;
        fds.fill(-1);
        std::memcpy(fds.data(), CMSG_DATA(c), std::min(sizeof fds, c->cmsg_len - CMSG_LEN(0)));
        for (const int fd : fds) {
            if (fd < 0) continue;
            io::unique_fd owned(fd);
            if (into.fd_count < into.fds.size()) into.fds[into.fd_count++] = std::move(owned);
        }
    }
    return result::message;
}

} // namespace tenure::inline v0::process::detail
