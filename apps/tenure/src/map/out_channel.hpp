#pragma once

#include "map/owned_fd.hpp"

#include <cstdint>
#include <string_view>
#include <sys/types.h>

namespace tenure::inline v0::app {

enum class send_state {
    done,
    would_block, ///< the reader is slow: wait until poll_fd() is writable, then go on
    closed,      ///< the reader has gone (EPIPE)
    failed,      ///< any other error, such as a full disk
};

struct sent {
    send_state state = send_state::done;
    std::uint64_t bytes = 0; ///< taken by the other side, whatever the state
    int error = 0;           ///< errno when failed
};

/// One of tenure's own outputs, written to without ever blocking, whatever it is connected to.
/// A pipe or terminal is opened a second time, non-blocking: the flag is never set on the description that
/// other processes share. A socket is written to with MSG_DONTWAIT. Files and other devices do not block.
/// SIGPIPE must be ignored in this process.
class out_channel {
public:
    /// `fd` is borrowed and must stay open.
    explicit out_channel(int fd);

    /// Writes what fits.
    sent write(std::string_view bytes);

    /// Copies `length` bytes of the regular file `file` from `offset` on, inside the kernel where that can be
    /// done. A file that turns out to be shorter is `failed` with EIO.
    sent copy(int file, off_t offset, std::uint64_t length);

    /// What to poll for POLLOUT.
    int poll_fd() const noexcept { return fd_; }

    /// Waits until the channel can take more; false when `wake_fd` (-1: none) became readable first. Blocks.
    bool wait_writable(int wake_fd = -1) const;

    /// Writes all of it, waiting for a slow reader; ends early, with would_block, when `wake_fd` becomes
    /// readable. Blocks.
    sent write_all(std::string_view bytes, int wake_fd = -1);

private:
    // `cautious`: a pipe or terminal that could not be opened a second time; written to only when poll says so,
    // and no more than must then fit.
    enum class kind { file, device, non_blocking, cautious, socket };
    // How copy() does it; it goes one further when the kernel cannot do it that way.
    enum class copying { copy_file_range, sendfile, read_and_write };

    ssize_t write_once(const char* data, std::size_t size);
    ssize_t copy_once(int file, off_t offset, std::size_t length);

    owned_fd own_; // the second, non-blocking description of a pipe or terminal
    int fd_;       // what is written to: own_ or the borrowed one
    kind kind_ = kind::file;
    copying copying_ = copying::read_and_write;
};

} // namespace tenure::inline v0::app
