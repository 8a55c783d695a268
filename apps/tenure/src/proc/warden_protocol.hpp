// What engine and warden say to each other over one UNIX stream socket per job slot.
//
// Engine to warden: frames {kind, length, payload}. `run` carries argv and limits, with the descriptors of the
// item's standard streams attached to its first byte (SCM_RIGHTS). One `run` at a time: the next one may follow
// after the report of the previous. Control frames may come at any time and name the item they mean; one for
// an item that has already ended is ignored.
// Warden to engine: `report` structs of fixed size, exactly one `ended` for each `run`, sent when the item and
// all its descendants are gone; `stopped` may precede it.
// All wardens together read the queue of offers (item_offers.hpp): `run` frames, each a message, for whichever warden
// comes first. They look at it between two items only, so that an offer wakes nobody.
// Both ends are the same program on the same machine, so numbers travel as they lie in memory. Lengths are
// checked as if the peer were hostile: whatever does not fit exactly is a protocol error, never guessed at.
#pragma once

#include <tenure/io/spawn.hpp>
#include <tenure/io/unique_fd.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <type_traits>
#include <utility>
#include <vector>

namespace tenure::inline v0::app {

enum class frame_kind : std::uint32_t {
    run = 1,
    end,  ///< SIGTERM to all of the item, grace, SIGKILL
    kill, ///< SIGKILL to all of the item
    stop, ///< SIGSTOP to all of the item; its timeout does not run meanwhile
    cont, ///< undoes `stop`; an item on a terminal gets the foreground again if the engine has it
    quit, ///< kill what runs, then exit
};

struct frame_header {
    frame_kind kind{};
    std::uint32_t length = 0; ///< of the payload, bytes
};

inline constexpr std::size_t max_run_bytes =
    8u << 20; ///< payload of `run`; the kernel takes 6 MiB of argv at most

/// Of a whole frame that is offered: it is sent in one piece or not at all, and fits a reader's usual buffer.
inline constexpr std::size_t max_offer_bytes = std::size_t{16} * 1024;

/// What the engine asks for. argv is borrowed for the call that encodes it.
struct run_request {
    std::uint64_t id = 0; ///< chosen by the engine, not 0; comes back in the report
    std::span<const std::string> argv;
    std::optional<std::chrono::nanoseconds> timeout; ///< from exec to SIGTERM
    std::chrono::nanoseconds grace{};                ///< from SIGTERM to SIGKILL
    bool isolate = false;                            ///< in a PID namespace of its own
};

/// The standard streams of an item, given away with its request.
/// A terminal in `in` and `tty` set: the item gets its foreground.
struct run_streams {
    io::unique_fd out;
    io::unique_fd err;
    io::unique_fd in; ///< empty: /dev/null
    bool tty = false; ///< `in` is the controlling terminal of the session
};

enum class report_kind : std::uint32_t {
    ended = 1,
    stopped, ///< the item has stopped itself (SIGSTOP, SIGTTIN, SIGTTOU, SIGTSTP); sent once an item,
             ///< with tty for each stop, and then after the terminal has been taken back
};

enum class ended_by : std::uint32_t {
    itself = 0, ///< exited or was killed by somebody else, its own timeout not reached
    timeout,    ///< SIGTERM was sent because of its timeout, whatever the status says
    end_request,
    kill_request,
};

/// Times are CLOCK_MONOTONIC, ns.
struct report {
    report_kind kind = report_kind::ended;
    ended_by by = ended_by::itself;
    std::uint64_t id = 0;
    std::uint64_t next = 0; ///< the offered item that the warden has taken and starts now; 0: none

    std::int32_t spawn_errno = 0; ///< not 0: the item never ran, and nothing below is set
    std::uint32_t stage = 0;      ///< io::spawn_stage
    std::int32_t wait_status = 0; ///< as of waitpid; kind stopped: the signal
    std::uint32_t stops = 0;      ///< how often the item stopped itself

    std::uint32_t descendants_ended = 0; ///< other processes of the item that had to be signalled
    std::uint32_t unkillable = 0;        ///< still there: not ours to signal, deaf to SIGKILL, or not found

    std::int64_t started_ns = 0; ///< before its process was made
    std::int64_t ended_ns = 0;   ///< the item itself reaped
    std::int64_t gone_ns = 0;    ///< the last descendant reaped
    std::int64_t user_ns = 0;    ///< CPU time of the item and all its descendants
    std::int64_t system_ns = 0;
    std::int64_t max_rss_bytes = 0; ///< of the largest single process
    std::int64_t term_late_ns = -1; ///< from the deadline to SIGTERM; -1: no timeout

    /// Only behind such an item a warden takes the next one that is offered. After any other the engine has to decide.
    bool succeeded() const noexcept {
        return spawn_errno == 0 && by == ended_by::itself && wait_status == 0 && unkillable == 0;
    }

    io::spawn_error spawn_error() const noexcept {
        return {spawn_errno, static_cast<io::spawn_stage>(stage)};
    }
};
static_assert(std::is_trivially_copyable_v<report>);

/// Appends a `run` frame.
/// Returns: 0, E2BIG (more than max_run_bytes), or EINVAL (no argv, or a NUL byte in a word).
int encode_run(std::string& out, const run_request& request, bool has_input, bool tty);

/// Sends what the socket takes of `bytes`, with `streams` (if given) attached to the first one. Never blocks.
/// Returns: as sendmsg.
ssize_t send_with(int socket, std::string_view bytes, const run_streams* streams);

/// Appends a control frame about item `id`; 0 means whichever runs.
void encode_control(std::string& out, frame_kind kind, std::uint64_t id);

/// A `run` frame as the warden sees it. argv points into the reader's buffer, valid until the next read.
struct run_order {
    std::uint64_t id = 0;
    std::int64_t timeout_ns = -1; ///< -1: none
    std::int64_t grace_ns = 0;
    bool isolate = false;
    bool has_input = false;
    bool tty = false;
    std::vector<char*> argv; ///< NULL-terminated
};

/// Reads the payload of `run`. Returns: false when any byte of it is not as it must be.
bool decode_run(std::span<char> payload, run_order& order);

/// Reads the payload of a control frame. Returns: false when it is not as it must be.
bool decode_control(std::span<const char> payload, std::uint64_t& id);

/// Takes frames with their descriptors from a socket.
class frame_reader {
public:
    enum class state {
        frame,  ///< frame() is one
        none,   ///< nothing complete yet, and reading would block
        closed, ///< the peer has gone
        broken, ///< a protocol error, or a read error
    };

    /// Borrows the socket.
    explicit frame_reader(int socket) : socket_(socket) {}

    /// Next frame. Invalidates the one before. Blocks only if `wait`.
    state next(bool wait);

    frame_kind kind() const noexcept { return kind_; }
    std::span<char> payload() noexcept;

    /// Descriptors that came and were not taken yet, in order.
    /// Those of a `run` are complete when its frame is.
    std::vector<io::unique_fd>& descriptors() noexcept { return descriptors_; }
    /// Descriptors were lost because this process could hold no more (EMFILE). Cleared by reading it.
    bool take_lost() noexcept { return std::exchange(lost_, false); }

private:
    static constexpr std::size_t usual_buffer = max_offer_bytes;

    state complete();
    state receive(bool wait);
    void make_room();

    int socket_;
    std::vector<char> buffer_ = std::vector<char>(usual_buffer);
    std::size_t begin_ = 0; // first byte not consumed
    std::size_t end_ = 0;   // behind the last byte received
    std::size_t frame_ = 0; // bytes of the frame handed out, header included
    frame_kind kind_{};
    bool lost_ = false;
    std::vector<io::unique_fd> descriptors_;
};

} // namespace tenure::inline v0::app
