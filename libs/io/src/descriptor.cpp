#include <tenure/io/descriptor.hpp>

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>

namespace tenure::inline v0::io {
namespace {

int flags_of(int fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) throw std::system_error(errno, std::system_category(), "descriptor: fcntl(F_GETFL)");
    return flags;
}

// Only writing depends on it.
detail::io_kind kind_of(int fd, int flags, sharing s) {
    using enum detail::io_kind;
    struct stat st{};
    if ((flags & O_ACCMODE) != O_RDONLY && ::fstat(fd, &st) != 0)
        throw std::system_error(errno, std::system_category(), "descriptor: fstat");
    if (S_ISFIFO(st.st_mode)) return s == sharing::own ? pipe : shared_pipe;
    if (S_ISSOCK(st.st_mode)) return s == sharing::own ? socket : shared_socket;
    return s == sharing::own ? other : shared_other;
}

std::optional<std::size_t> tried(ssize_t n, const char* operation) {
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EAGAIN) return std::nullopt;
    throw std::system_error(errno, std::system_category(), operation);
}

} // namespace

descriptor::descriptor(unique_fd fd, sharing s) : descriptor(epoll_driver::current(), std::move(fd), s) {}

descriptor::descriptor(core::driver& of, unique_fd fd, sharing s) : fd_(std::move(fd)) {
    auto& registry = epoll_driver::of(of).registrations();
    const int flags = flags_of(fd_.get());
    kind_ = kind_of(fd_.get(), flags, s);
    if (s == sharing::own && !(flags & O_NONBLOCK) && ::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK) != 0)
        throw std::system_error(errno, std::system_category(), "descriptor: fcntl(F_SETFL)");
    at_ = registry.open(fd_.get());
    registry_ = base::ref<detail::registry>::share(&registry);
}

descriptor::descriptor(descriptor&& other) noexcept = default;

descriptor& descriptor::operator=(descriptor&& other) noexcept {
    if (this == &other) return *this;
    close();
    registry_ = std::move(other.registry_);
    fd_ = std::move(other.fd_);
    at_ = other.at_;
    kind_ = other.kind_;
    return *this;
}

std::optional<std::size_t> descriptor::try_read(std::span<char> to) const {
    if (!registry_) throw base::closed_error("try_read: the descriptor has been closed");
    const auto seen = registry_->peek(at_, detail::direction::read);
    const auto got = tried(detail::try_read_once(target(), to), "try_read");
    if (!got) registry_->drained(at_, detail::direction::read, seen.events);
    return got;
}

std::optional<std::size_t> descriptor::try_write(std::string_view from) const {
    if (!registry_) throw base::closed_error("try_write: the descriptor has been closed");
    const auto seen = registry_->peek(at_, detail::direction::write);
    const auto put = tried(detail::try_write_once(target(), from), "try_write");
    if (!put) registry_->drained(at_, detail::direction::write, seen.events);
    return put;
}

void descriptor::leave_driver() noexcept {
    if (!registry_) return;
    registry_->close(at_);
    registry_ = nullptr;
}
void descriptor::close() noexcept {
    leave_driver();
    fd_.reset();
}
unique_fd descriptor::release() noexcept {
    leave_driver();
    return std::move(fd_);
}

} // namespace tenure::inline v0::io
