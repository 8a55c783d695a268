#include "proc/warden_link.hpp"

#include <cerrno>
#include <csignal>
#include <sys/socket.h>

namespace tenure::inline v0::app {

namespace {

constexpr std::size_t usual_capacity = std::size_t{64} * 1024;

} // namespace

int warden_link::run(const run_request& request, run_streams streams) {
    const std::size_t at = out_.size();
    if (const int error = encode_run(out_, request, static_cast<bool>(streams.in), streams.tty)) return error;
    item_ = request.id;
    attach_at_ = at;
    streams_ = std::move(streams);
    flush();
    return 0;
}

void warden_link::end(std::uint64_t id) {
    control(frame_kind::end, id);
    wake();
}

void warden_link::kill(std::uint64_t id) {
    control(frame_kind::kill, id);
    wake();
}

void warden_link::wake() const {
    if (alive()) ::kill(pid_, SIGCONT); // it is not reaped yet: its pid means nobody else
}

void warden_link::control(frame_kind kind, std::uint64_t id) {
    if (!alive() || (id != 0 && id != item_)) return;
    encode_control(out_, kind, id);
    flush();
}

warden_link::io_state warden_link::flush() {
    while (wants_write()) {
        const bool attach = attach_at_ == sent_;
        // The descriptors travel with the byte that starts their frame.
        const std::size_t end = attach_at_ != npos && attach_at_ > sent_ ? attach_at_ : out_.size();
        const ssize_t size = send_with(socket_.get(), std::string_view(out_).substr(sent_, end - sent_),
                                       attach ? &streams_ : nullptr);
        if (size < 0) {
            // ETOOMANYREFS: too many descriptors in flight, until wardens have taken theirs.
            if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS)
                return io_state::would_block;
            return io_state::broken;
        }
        if (attach) {
            streams_ = {};
            attach_at_ = npos;
        }
        sent_ += static_cast<std::size_t>(size);
    }
    sent_ = 0;
    out_.clear();
    if (out_.capacity() > usual_capacity) out_.shrink_to_fit();
    return io_state::done;
}

warden_link::received warden_link::receive(report& into) {
    char* const bytes = reinterpret_cast<char*>(&partial_);
    while (partial_bytes_ < sizeof partial_) {
        const ssize_t size =
            recv(socket_.get(), bytes + partial_bytes_, sizeof partial_ - partial_bytes_, MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) return received::nothing;
        if (size <= 0) return received::broken;
        partial_bytes_ += static_cast<std::size_t>(size);
    }
    partial_bytes_ = 0;
    if (item_ == 0 || partial_.id != item_) return received::broken;
    if (partial_.kind == report_kind::ended) {
        const std::uint64_t next = partial_.next;
        if (next != 0 && !(*offers_)[next % offers_->size()].settle(slot_)) return received::broken;
        item_ = next;
    } else if (partial_.kind != report_kind::stopped) {
        return received::broken;
    }
    into = partial_;
    return received::got;
}

void warden_link::reset() { *this = warden_link{}; }

} // namespace tenure::inline v0::app
