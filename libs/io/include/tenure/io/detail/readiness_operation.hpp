// The awaits on a descriptor: try, and while that says EAGAIN wait for the next report. No allocation.
#pragma once
#include <tenure/core/operation.hpp>
#include <tenure/io/detail/registry.hpp>

#include <span>
#include <string_view>
#include <sys/types.h>
#include <utility>

namespace tenure::inline v0::io::detail {

enum class io_kind : std::uint8_t { pipe, socket, other, shared_pipe, shared_socket, shared_other };

/// What an operation knows about its descriptor: copies, so that it can tell when the descriptor has been closed.
struct io_target {
    registry* at = nullptr;
    registration slot;
    int fd = -1;
    io_kind kind = io_kind::other;
};

/// One attempt at a system call, never blocking: its result, or -1 with errno (EAGAIN: not now). Retries EINTR.
ssize_t try_read_once(const io_target& t, std::span<char> to) noexcept;
ssize_t try_write_once(const io_target& t, std::string_view from) noexcept;
/// True unless poll() says that the attempt would block.
bool poll_says_ready(int fd, direction d) noexcept;
inline bool is_shared(io_kind k) noexcept { return k >= io_kind::shared_pipe; }

class readiness_operation : public core::detail::operation, public core::detail::link {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;

    bool ready();
    void start(core::detail::strand& s, core::detail::frame&);
    bool try_cancel() noexcept final { return target_.at->withdraw(target_.slot, side_, *waiting_); }
    void woken(core::detail::strand& s) noexcept final;
    bool child_ended(core::detail::strand&, core::detail::ending) noexcept final {
        return true;
    } // it starts no child

protected:
    readiness_operation(io_target t, direction d, const char* name) noexcept
        : target_(t), name_(name), side_(d) {}
    ~readiness_operation() = default;

    /// True: it has ended, its result (or error_) is there. False: it would block. `known_ready`: by the last report.
    virtual bool attempt(bool known_ready) noexcept = 0;
    /// True if errno means: wait. Otherwise it is kept for check().
    bool would_block() noexcept;
    /// Throws what went wrong, if something did; afterwards the operation may be awaited again.
    void check();

    const io_target target_;

private:
    enum class refusal : std::uint8_t { none, busy, closed, foreign };
    bool try_once() noexcept;
    void wait(core::detail::strand& s) noexcept;

    const char* name_;
    core::detail::strand* waiting_ = nullptr;
    int error_ = 0;
    std::uint32_t seen_ = 0; // reports before the last attempt
    const direction side_;
    bool tried_ = false; // by ready(), which found that it would block
    refusal refused_ = refusal::none;
};

class readiness_wait final : public readiness_operation {
public:
    readiness_wait(io_target t, direction d) noexcept
        : readiness_operation(t, d, d == direction::read ? "readable" : "writable"), side_(d) {}
    void result() { check(); }

private:
    bool attempt(bool known_ready) noexcept override;
    const direction side_;
};

class read_operation final : public readiness_operation {
public:
    read_operation(io_target t, std::span<char> to) noexcept
        : readiness_operation(t, direction::read, "read_some"), to_(to) {}
    std::size_t result() {
        check();
        return done_;
    }

private:
    bool attempt(bool known_ready) noexcept override;
    std::span<char> to_;
    std::size_t done_ = 0;
};

class write_operation final : public readiness_operation {
public:
    write_operation(io_target t, std::string_view from, bool all) noexcept
        : readiness_operation(t, direction::write, all ? "write_all" : "write_some"),
          from_(from),
          all_(all) {}
    std::size_t result() {
        const std::size_t n = std::exchange(done_, 0);
        check();
        return n;
    }

private:
    bool attempt(bool known_ready) noexcept override;
    std::string_view from_;
    std::size_t done_ = 0;
    bool all_;
};

} // namespace tenure::inline v0::io::detail
