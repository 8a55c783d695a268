#include "map/out_channel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenure::inline v0::app {

namespace {

sent failure(int error, std::uint64_t bytes) {
    if (error == EAGAIN) return {send_state::would_block, bytes, 0};
    if (error == EPIPE || error == ECONNRESET) return {send_state::closed, bytes, 0};
    return {send_state::failed, bytes, error};
}

bool cannot_be_done_this_way(int error) {
    return error == EINVAL || error == ENOSYS || error == EXDEV || error == EOPNOTSUPP || error == EBADF ||
           error == EPERM;
}

} // namespace

out_channel::out_channel(int fd) : fd_(fd) {
    struct stat about{};
    if (::fstat(fd, &about) != 0 || S_ISREG(about.st_mode)) {
        copying_ = copying::copy_file_range;
        return;
    }
    if (S_ISSOCK(about.st_mode)) {
        kind_ = kind::socket;
        return;
    }
    copying_ = copying::sendfile;
    if (!S_ISFIFO(about.st_mode) && ::isatty(fd) != 1) {
        kind_ = kind::device;
        return;
    }
    const std::string again = "/proc/self/fd/" + std::to_string(fd);
    own_.reset(::open(again.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (own_) {
        fd_ = own_.get();
        kind_ = kind::non_blocking;
    } else { // no /proc, not our terminal, or a pipe without a reader
        kind_ = kind::cautious;
        copying_ = copying::read_and_write;
    }
}

ssize_t out_channel::write_once(const char* data, std::size_t size) {
    if (kind_ == kind::socket) return ::send(fd_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (kind_ == kind::cautious) {
        pollfd room{fd_, POLLOUT, 0};
        if (::poll(&room, 1, 0) == 0) {
            errno = EAGAIN;
            return -1;
        }
        size = std::min<std::size_t>(size, PIPE_BUF); // what a pipe that is writable has room for
    }
    return ::write(fd_, data, size);
}

sent out_channel::write(std::string_view bytes) {
    std::uint64_t written = 0;
    while (!bytes.empty()) {
        const ssize_t n = write_once(bytes.data(), bytes.size());
        if (n < 0) {
            if (errno == EINTR) continue;
            return failure(errno, written);
        }
        bytes.remove_prefix(static_cast<std::size_t>(n));
        written += static_cast<std::uint64_t>(n);
    }
    return {send_state::done, written, 0};
}

ssize_t out_channel::copy_once(int file, off_t offset, std::size_t length) {
    switch (copying_) {
    case copying::copy_file_range: return ::copy_file_range(file, &offset, fd_, nullptr, length, 0);
    case copying::sendfile: return ::sendfile(fd_, file, &offset, length);
    case copying::read_and_write: break;
    }
    std::array<char, 32 * 1024> chunk;
    const ssize_t n = ::pread(file, chunk.data(), std::min(length, chunk.size()), offset);
    return n <= 0 ? n : write_once(chunk.data(), static_cast<std::size_t>(n));
}

sent out_channel::copy(int file, off_t offset, std::uint64_t length) {
    constexpr std::uint64_t most_at_once = 1U << 30;
    std::uint64_t copied = 0;
    while (copied < length) {
        const auto size = static_cast<std::size_t>(std::min(length - copied, most_at_once));
        const ssize_t n = copy_once(file, offset + static_cast<off_t>(copied), size);
        if (n > 0) {
            copied += static_cast<std::uint64_t>(n);
            continue;
        }
        const int error = n == 0 ? EIO : errno;
        if (error == EINTR) continue;
        // Nothing was transferred: either the data is at fault, or the way.
        if (copying_ != copying::read_and_write && (n == 0 || cannot_be_done_this_way(error))) {
            copying_ = copying_ == copying::copy_file_range ? copying::sendfile : copying::read_and_write;
            continue;
        }
        return failure(error, copied);
    }
    return {send_state::done, copied, 0};
}

bool out_channel::wait_writable(int wake_fd) const {
    std::array<pollfd, 2> both{{{fd_, POLLOUT, 0}, {wake_fd, POLLIN, 0}}}; // poll skips a negative descriptor
    while (true) {
        const int ready = ::poll(both.data(), both.size(), -1);
        if (ready < 0 && errno == EINTR) continue;
        return ready < 0 || both[1].revents == 0;
    }
}

sent out_channel::write_all(std::string_view bytes, int wake_fd) {
    std::uint64_t written = 0;
    while (true) {
        const sent s = write(bytes.substr(static_cast<std::size_t>(written)));
        written += s.bytes;
        if (s.state != send_state::would_block || !wait_writable(wake_fd)) return {s.state, written, s.error};
    }
}

} // namespace tenure::inline v0::app
