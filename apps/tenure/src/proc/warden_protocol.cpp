#include "proc/warden_protocol.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <sys/socket.h>

namespace tenure::inline v0::app {

namespace {

/// What precedes the words in the payload of `run`.
struct run_head {
    std::uint64_t id = 0;
    std::int64_t timeout_ns = 0;
    std::int64_t grace_ns = 0;
    std::uint32_t flags = 0;
    std::uint32_t argc = 0;
};

enum run_flag : std::uint32_t { isolate_flag = 1, input_flag = 2, tty_flag = 4, all_flags = 7 };

constexpr std::size_t max_descriptors = 3;

template <class T>
void append(std::string& out, const T& value) {
    static_assert(std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

} // namespace

int encode_run(std::string& out, const run_request& request, bool has_input, bool tty) {
    if (request.argv.empty() || request.id == 0) return EINVAL;
    std::size_t length = sizeof(run_head);
    for (const std::string& word : request.argv) {
        if (word.find('\0') != std::string::npos) return EINVAL;
        length += word.size() + 1;
        if (length > max_run_bytes) return E2BIG;
    }
    run_head head;
    head.id = request.id;
    head.timeout_ns = request.timeout ? std::max<std::int64_t>(request.timeout->count(), 0) : -1;
    head.grace_ns = std::max<std::int64_t>(request.grace.count(), 0);
    head.flags =
        (request.isolate ? isolate_flag : 0U) | (has_input ? input_flag : 0U) | (tty ? tty_flag : 0U);
    head.argc = static_cast<std::uint32_t>(request.argv.size());
    append(out, frame_header{frame_kind::run, static_cast<std::uint32_t>(length)});
    append(out, head);
    for (const std::string& word : request.argv)
        out.append(word.c_str(), word.size() + 1);
    return 0;
}

ssize_t send_with(int socket, std::string_view bytes, const run_streams* streams) {
    iovec all{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &all;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(max_descriptors * sizeof(int))> ancillary{};
    if (streams != nullptr) {
        const std::array<int, max_descriptors> fds{streams->out.get(), streams->err.get(), streams->in.get()};
        const std::size_t size = sizeof(int) * (streams->in ? 3 : 2);
        message.msg_control = ancillary.data();
        message.msg_controllen = CMSG_SPACE(size);
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(size);
        std::memcpy(CMSG_DATA(part), fds.data(), size);
    }
    ssize_t size = 0;
    do {
        size = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    return size;
}

void encode_control(std::string& out, frame_kind kind, std::uint64_t id) {
    append(out, frame_header{kind, sizeof id});
    append(out, id);
}

bool decode_run(std::span<char> payload, run_order& order) {
    run_head head;
    if (payload.size() < sizeof head) return false;
    std::memcpy(&head, payload.data(), sizeof head);
    const std::span<char> words = payload.subspan(sizeof head);
    if (head.id == 0 || head.timeout_ns < -1 || head.grace_ns < 0 || (head.flags & ~all_flags) != 0)
        return false;
    if ((head.flags & tty_flag) != 0 && (head.flags & input_flag) == 0) return false;
    // Each word takes a byte at least, so that argc cannot make us allocate more than was sent.
    if (head.argc == 0 || head.argc > words.size() || words.back() != '\0') return false;
    order.id = head.id;
    order.timeout_ns = head.timeout_ns;
    order.grace_ns = head.grace_ns;
    order.isolate = (head.flags & isolate_flag) != 0;
    order.has_input = (head.flags & input_flag) != 0;
    order.tty = (head.flags & tty_flag) != 0;
    order.argv.clear();
    order.argv.reserve(head.argc + std::size_t{1});
    char* word = words.data();
    char* const end = words.data() + words.size();
    while (word != end) {
        if (order.argv.size() == head.argc) return false;
        order.argv.push_back(word);
        word = static_cast<char*>(std::memchr(word, '\0', static_cast<std::size_t>(end - word))) + 1;
    }
    if (order.argv.size() != head.argc) return false;
    order.argv.push_back(nullptr);
    return true;
}

bool decode_control(std::span<const char> payload, std::uint64_t& id) {
    if (payload.size() != sizeof id) return false;
    std::memcpy(&id, payload.data(), sizeof id);
    return true;
}

std::span<char> frame_reader::payload() noexcept {
    return std::span(buffer_).subspan(begin_ + sizeof(frame_header), frame_ - sizeof(frame_header));
}

frame_reader::state frame_reader::next(bool wait) {
    begin_ += frame_;
    frame_ = 0;
    for (;;) {
        const state found = complete();
        if (found != state::none) return found;
        make_room();
        const state got = receive(wait);
        if (got != state::frame) return got;
    }
}

frame_reader::state frame_reader::complete() {
    const std::size_t have = end_ - begin_;
    frame_header header;
    if (have < sizeof header) return state::none;
    std::memcpy(&header, buffer_.data() + begin_, sizeof header);
    switch (header.kind) {
    case frame_kind::run:
        if (header.length > max_run_bytes) return state::broken;
        break;
    case frame_kind::end:
    case frame_kind::kill:
    case frame_kind::stop:
    case frame_kind::cont:
    case frame_kind::quit:
        if (header.length != sizeof(std::uint64_t)) return state::broken;
        break;
    default: return state::broken;
    }
    if (have < sizeof header + header.length) return state::none;
    kind_ = header.kind;
    frame_ = sizeof header + header.length;
    return state::frame;
}

void frame_reader::make_room() {
    if (begin_ == end_) {
        begin_ = end_ = 0;
        // The memory of a huge request is given back after it.
        if (buffer_.size() > usual_buffer) buffer_ = std::vector<char>(usual_buffer);
        return;
    }
    frame_header header;
    std::size_t need = usual_buffer;
    if (end_ - begin_ >= sizeof header) {
        std::memcpy(&header, buffer_.data() + begin_, sizeof header);
        need = std::max(need, sizeof header + header.length); // checked by complete()
    }
    if (begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (buffer_.size() < need) buffer_.resize(need);
}

frame_reader::state frame_reader::receive(bool wait) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * max_descriptors)];
    iovec bytes{buffer_.data() + end_, buffer_.size() - end_};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t size = 0;
    do {
        size = recvmsg(socket_, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (size < 0 && errno == EINTR && !wait);
    if (size < 0) {
        if (errno == EAGAIN || errno == EINTR) return state::none;
        return errno == ECONNRESET ? state::closed : state::broken;
    }
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            descriptors_.emplace_back(fd);
        }
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0) lost_ = true;
    if (size == 0) return state::closed;
    end_ += static_cast<std::size_t>(size);
    return state::frame;
}

} // namespace tenure::inline v0::app
