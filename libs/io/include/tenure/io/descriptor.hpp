// descriptor: a file descriptor whose readiness tasks wait for.
#pragma once
#include <tenure/core/task.hpp>
#include <tenure/io/detail/readiness_operation.hpp>
#include <tenure/io/epoll_driver.hpp>
#include <tenure/io/unique_fd.hpp>

#include <cerrno>
#include <optional>
#include <span>
#include <string_view>

namespace tenure::inline v0::io {

/// Whose the file description behind a descriptor is.
enum class sharing : std::uint8_t {
    /// Ours alone: set to non-blocking.
    own,
    /// Others use it too (an inherited stdin or stdout, a terminal): O_NONBLOCK would hit them as well, so it is not set.
    /// Each attempt asks poll() first, and writes go in pieces of a page. Somebody who reads from it at the same moment can
    /// still make us block.
    shared,
};

/// A pipe, socket, terminal, eventfd or the like. Regular files are always ready.
/// Owner: holds the descriptor; the destructor takes it out of the driver, then closes it.
/// Threads: one task reads while one writes; a second one that waits in the same direction gets usage_error. A task that
///   still waits when the descriptor is closed gets closed_error.
class descriptor {
public:
    /// Inside a task: for the runtime that runs it. Throws: usage_error without an epoll driver; std::system_error.
    explicit descriptor(unique_fd fd, sharing s = sharing::own);
    /// For the runtime whose driver this is: `descriptor d(rt.io(), std::move(fd))`.
    descriptor(core::driver& of, unique_fd fd, sharing s = sharing::own);
    descriptor(descriptor&& other) noexcept;
    descriptor& operator=(descriptor&& other) noexcept;
    ~descriptor() { close(); }

    /// -1 after close(), release() and a move.
    int fd() const noexcept { return fd_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(fd_); }

    /// `co_await d.readable()`: there are bytes, the end, or an error to be read, unless somebody else reads it first.
    /// Cancel: the wait ends, nothing is lost. Throws: std::system_error; usage_error.
    auto readable() const { return detail::readiness_wait(target(), detail::direction::read); }
    /// The same for writing.
    auto writable() const { return detail::readiness_wait(target(), detail::direction::write); }

    /// `std::size_t n = co_await d.read_some(buffer)`: waits for bytes and reads what is there; 0: the end (or no room given).
    /// Cancel: nothing was read. Throws: std::system_error.
    auto read_some(std::span<char> to) const { return detail::read_operation(target(), to); }
    /// `co_await d.write_some(bytes)`: writes what fits, at least one byte unless `from` is empty.
    /// Cancel: nothing was written. Throws: std::system_error (EPIPE, never SIGPIPE).
    auto write_some(std::string_view from) const { return detail::write_operation(target(), from, false); }
    /// `co_await d.write_all(bytes)`: returns how many bytes that were, when the last one has been written.
    /// Cancel: a part may have been written. Throws: as write_some.
    auto write_all(std::string_view from) const { return detail::write_operation(target(), from, true); }

    /// Reads what is there now. Empty: nothing, wait for readable(). 0: the end. Throws: std::system_error.
    std::optional<std::size_t> try_read(std::span<char> to) const;
    /// Writes what fits now. Empty: nothing fits, wait for writable(). Throws: std::system_error.
    std::optional<std::size_t> try_write(std::string_view from) const;

    /// For system calls that this class lacks (accept4, recvmsg): calls f(fd), which gives -1 with errno like they do.
    /// Empty: it would block, wait for readable() or writable(). Otherwise what f returned, errors included; EINTR is tried
    /// again. Only for sharing::own.
    template <class F>
    auto try_read_io(F&& f) const -> std::optional<decltype(f(0))> {
        return try_io(detail::direction::read, f);
    }
    template <class F>
    auto try_write_io(F&& f) const -> std::optional<decltype(f(0))> {
        return try_io(detail::direction::write, f);
    }

    /// Takes it out of the driver and closes it.
    void close() noexcept;
    /// Takes it out of the driver and hands it over, non-blocking if it was made so.
    unique_fd release() noexcept;

    /// For operations that are built on readiness, like signals and children.
    detail::io_target target() const noexcept { return {registry_.get(), at_, fd_.get(), kind_}; }

private:
    void leave_driver() noexcept;

    template <class F>
    auto try_io(detail::direction d, F& f) const -> std::optional<decltype(f(0))> {
        const auto seen = registry_->peek(at_, d);
        for (;;) {
            const auto got = f(fd_.get());
            if (got != -1) return got;
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return got;
            registry_->drained(at_, d, seen.events);
            return std::nullopt;
        }
    }

    base::ref<detail::registry> registry_;
    unique_fd fd_;
    detail::registration at_;
    detail::io_kind kind_ = detail::io_kind::other;
};

} // namespace tenure::inline v0::io
