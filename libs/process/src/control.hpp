// What a pool and its supervisor say to each other, and a supervisor to a worker that it execs: messages on a SEQPACKET socket,
// with descriptors.
//
//   pool -> supervisor   hello (settings) · start (worker; channel, event, its output, block store) …
//   supervisor -> pool   started (worker, pid; pidfd) | failed (worker, errno, stage) · ended (worker, code, status) …
//   supervisor -> worker start (pid of the supervisor; channel, event, block store), once, before it is executed
// The end of the socket, at either side: the other one is gone or wants nothing more.
#pragma once
#include <tenure/io/unique_fd.hpp>
#include <tenure/process/options.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

namespace tenure::inline v0::process::detail {

enum class control : std::uint32_t { hello = 1, start = 2, started = 3, failed = 4, ended = 5 };

struct control_message {
    control what{};
    std::int32_t pid = 0;
    std::uint64_t worker = 0;
    std::int32_t code =
        0; // start: has_store, or 0 · started: 0 · failed: errno · ended: CLD_EXITED, CLD_KILLED, CLD_DUMPED
    std::int32_t status = 0; // failed: io::spawn_stage · ended: exit status or signal
};

/// The environment variable of a program that is to be a supervisor or a worker: "supervisor WORD" or "worker WORD", where
/// WORD is at the end of the first message on standard input, too.
inline constexpr const char* role_variable = "TENURE_WORKER";
inline constexpr std::size_t word_bytes = 16;
std::string random_word();

/// What follows the message `hello`.
struct settings {
    std::int32_t parent = 0;
    std::uint32_t start = 0; // start_method
    std::vector<std::string> program;
    std::uint64_t memory_limit = 0;
    std::int32_t nice = 0;
    std::vector<std::uint32_t> cpus;
    bool output_is_read = false; // standard output and error are pipes to the pool
    std::string word;
};

/// Descriptors that a message carries at most: those of `start`.
inline constexpr std::size_t carried_fds = 5;
/// Of `start`, as its code: the last descriptor is the pool's block store.
inline constexpr std::int32_t has_store = 1;
/// Channel and event; standard output and error, unless they are inherited; the pool's block store, if it has one.
using start_fds = std::array<io::unique_fd, carried_fds>;

class control_socket {
public:
    control_socket() = default;
    explicit control_socket(io::unique_fd fd) noexcept : fd_(std::move(fd)) {}
    /// Two ends, close-on-exec. Throws: std::system_error.
    static std::array<control_socket, 2> pair();

    int fd() const noexcept { return fd_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
    void close() noexcept { fd_.reset(); }
    [[nodiscard]] int release() noexcept { return fd_.release(); }

    /// False, with errno: it could not be sent.
    bool send(const control_message& m, std::span<const int> fds = {},
              std::span<const std::byte> more = {}) const noexcept;
    /// The same, and EAGAIN if it would block.
    bool try_send(const control_message& m, std::span<const int> fds) const noexcept;
    /// Ends it for both sides, whoever else may hold it.
    void end() noexcept;

    enum class result : std::uint8_t { message, nothing, end };
    struct received {
        control_message message;
        start_fds fds;
        std::size_t fd_count = 0; // less than were sent: there was no room for more in this process
        std::vector<std::byte> more;
    };
    /// Does not block. An error, or what is no message, is the end.
    result receive(received& into) const;
    /// The next message stays where it is.
    result peek(received& into) const;

private:
    bool send(const control_message& m, std::span<const int> fds, std::span<const std::byte> more,
              int flags) const noexcept;
    result read(received& into, int flags) const;
    io::unique_fd fd_;
};

} // namespace tenure::inline v0::process::detail
