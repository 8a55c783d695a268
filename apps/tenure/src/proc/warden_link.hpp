// The engine's end of one warden. Never blocks. How an engine drives it (poll or epoll, level-triggered):
//
//   wait for: socket() readable, and writable while wants_write(); pidfd() readable.
//   run(): when idle(). The streams are given away; the engine keeps the read ends of its pipes.
//   socket writable   -> flush()
//   socket readable   -> receive(): `got`: a report; after kind `ended` the link is idle again. Pipes of the
//                        item then have no writer left: read them to EOF.
//   broken / pidfd readable -> the warden has died; if busy(), its item has failed with "its warden died".
//                        warden_set::bury(slot) says how to go on.
//
// States: IDLE --run--> BUSY --receive(ended)--> IDLE, or BUSY with an offered item that the warden has taken;
//         any --broken--> DEAD --warden_set::start--> IDLE.
// Invariant: item() names, exactly while BUSY, the item that the warden runs as far as it has told.
#pragma once

#include "proc/item_offers.hpp"
#include "proc/shared_array.hpp"
#include "proc/warden_protocol.hpp"

#include <tenure/io/unique_fd.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>

namespace tenure::inline v0::app {

class warden_link {
public:
    enum class io_state {
        done,
        would_block, ///< call flush() when the socket is writable
        broken,      ///< the warden has gone
    };
    enum class received {
        nothing,
        got,
        broken, ///< the warden has gone, or does not speak the protocol
    };

    int socket() const noexcept { return socket_.get(); } ///< -1 while there is no warden
    int pidfd() const noexcept { return pidfd_.get(); }
    pid_t pid() const noexcept { return pid_; }
    bool alive() const noexcept { return pid_ > 0; }
    bool idle() const noexcept { return alive() && item_ == 0; }
    bool busy() const noexcept { return item_ != 0; }
    std::uint64_t item() const noexcept { return item_; } ///< 0: none

    /// Hands an item over. Precondition: idle().
    /// Owner: `streams` belongs to the link, which closes it as soon as the warden has its copies.
    /// Returns: 0, or E2BIG, EINVAL: the request was not taken and the streams are closed. A socket that is
    /// full or broken is not an error here: wants_write(), pidfd().
    int run(const run_request& request, run_streams streams);

    /// The item `id` is ended: with SIGTERM and grace, or at once. Nothing happens if it is no longer here.
    /// 0: whichever runs, be it one that the warden has taken and not told yet.
    /// A warden that was stopped is continued, since it could not obey.
    void end(std::uint64_t id);
    void kill(std::uint64_t id);
    void stop() { control(frame_kind::stop, 0); }
    void cont() { control(frame_kind::cont, 0); }
    /// The warden kills what it runs, and exits.
    void quit() { control(frame_kind::quit, 0); }

    bool wants_write() const noexcept { return sent_ < out_.size(); }
    io_state flush();

    /// Takes one report.
    received receive(report& into);

private:
    friend class warden_set;

    void control(frame_kind kind, std::uint64_t id);
    void wake() const;
    void reset();

    unsigned slot_ = 0;
    const shared_array<item_offer>* offers_ = nullptr;
    io::unique_fd socket_;
    io::unique_fd pidfd_;
    pid_t pid_ = -1;
    std::uint64_t item_ = 0;
    run_streams streams_;          // until attached to a byte that was sent
    std::size_t attach_at_ = npos; // offset in out_ of the byte that carries streams_
    std::string out_;              // frames; [sent_, size) is still to be sent
    std::size_t sent_ = 0;
    report partial_{}; // a report of which partial_bytes_ have arrived
    std::size_t partial_bytes_ = 0;

    static constexpr std::size_t npos = static_cast<std::size_t>(-1);
};

} // namespace tenure::inline v0::app
