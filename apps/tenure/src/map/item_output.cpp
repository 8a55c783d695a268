#include "map/item_output.hpp"

#include "map/text.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace tenure::inline v0::app {

namespace {

// Writes all of it to a file; 0 or errno. `written` counts what was written even so.
int write_file(int file, std::string_view bytes, std::uint64_t& written) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(file, bytes.data(), bytes.size());
        if (n < 0) {
            if (errno == EINTR) continue;
            return errno;
        }
        bytes.remove_prefix(static_cast<std::size_t>(n));
        written += static_cast<std::uint64_t>(n);
    }
    return 0;
}

} // namespace

owned_fd open_nameless(const std::string& folder, mode_t mode) {
    owned_fd fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
    if (fd || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
    std::string name = folder + "/.tenure-XXXXXX";
    fd.reset(::mkostemp(name.data(), O_CLOEXEC));
    if (fd) ::unlink(name.c_str());
    return fd;
}

spill_place temporary_files() {
    const char* wanted = std::getenv("TMPDIR");
    std::string folder = wanted && *wanted ? wanted : "/tmp";
    return {folder, [folder] { return open_nameless(folder, 0600); }};
}

drain_state item_output::drain(stream s, int fd) {
    constexpr std::size_t most_at_once = 64 * 1024;
    keeper& k = kept(s);
    std::array<char, most_at_once> chunk; // left uninitialised: it costs nothing when the pipe is empty
    for (std::size_t budget = drain_budget; budget > 0;) {
        const bool splicing = k.file && !k.lost && k.can_splice;
        const ssize_t n =
            splicing ? ::splice(fd, nullptr, k.file.get(), nullptr, budget, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
                     : ::read(fd, chunk.data(), std::min(chunk.size(), budget));
        if (n == 0) return drain_state::ended;
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) return drain_state::waiting;
            if (!splicing) { // the pipe itself is at fault
                lose(k, errno);
                return drain_state::ended;
            }
            if (errno == EINVAL)
                k.can_splice = false;
            else
                lose(k, errno); // what is in the pipe is still there: read and dropped from now on
            continue;
        }
        const auto size = static_cast<std::size_t>(n);
        if (splicing)
            k.size += size;
        else
            take(k, std::string_view(chunk.data(), size));
        budget -= std::min(budget, size);
    }
    return drain_state::more;
}

void item_output::append(stream s, std::string_view bytes) { take(kept(s), bytes); }

void item_output::take(keeper& k, std::string_view bytes) {
    if (k.lost) return;
    if (!k.file) {
        if (k.memory.size() + bytes.size() <= memory_bytes) {
            k.memory += bytes;
            k.size += bytes.size();
            return;
        }
        if (const int error = spill(k)) {
            lose(k, error);
            return;
        }
    }
    if (const int error = write_file(k.file.get(), bytes, k.size)) lose(k, error);
}

// Moves the stream from memory into a file; on failure it stays where it was.
int item_output::spill(keeper& k) {
    owned_fd file = place_->open();
    if (!file) return errno;
    std::uint64_t written = 0;
    if (const int error = write_file(file.get(), k.memory, written)) return error;
    k.file = std::move(file);
    std::string().swap(k.memory); // an assignment would keep the memory
    return 0;
}

void item_output::lose(keeper& k, int error) {
    k.lost = true;
    if (trouble_.empty()) trouble_ = "output lost: " + errno_text(error) + " (" + place_->name + ")";
}

void item_output::discard() {
    streams_ = {};
    trouble_.clear();
}

void item_output::park() {
    for (keeper& k : streams_) {
        if (!k.file && !k.memory.empty()) spill(k); // when it cannot be, the memory stays in use
    }
}

std::size_t item_output::memory() const noexcept {
    return streams_[0].memory.capacity() + streams_[1].memory.capacity();
}

unsigned item_output::files() const noexcept {
    return (streams_[0].file ? 1U : 0U) + (streams_[1].file ? 1U : 0U);
}

release_step output_release::step(out_channel& out, out_channel& err) {
    for (std::uint64_t budget = step_bytes; stream_ < 2 && budget > 0;) {
        const stream s = stream_ == 0 ? stream::out : stream::err;
        out_channel& to = stream_ == 0 ? out : err;
        const std::uint64_t left = output_.size(s) - done_;
        sent result;
        if (left > 0 && output_.file(s) < 0)
            result = to.write(output_.in_memory(s).substr(static_cast<std::size_t>(done_)));
        else if (left > 0)
            result = to.copy(output_.file(s), static_cast<off_t>(done_), std::min(left, budget));
        done_ += result.bytes;
        budget -= std::min(budget, result.bytes);
        if (result.state == send_state::would_block) return {result.state, s, 0};
        if (result.state != send_state::done || done_ == output_.size(s)) {
            ++stream_;
            done_ = 0;
        }
        if (result.state != send_state::done) return {result.state, s, result.error};
    }
    return {};
}

} // namespace tenure::inline v0::app
