#include <tenure/process/detail/channel.hpp>
#include <tenure/wire/wire_error.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <linux/futex.h>
#include <new>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::process::detail {
namespace {

constexpr std::uint64_t page = 4096;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::system_category(), std::string("worker channel: ") + what);
}

// Not the private kind of base: the two that meet on the word are processes.
void futex(const std::atomic<std::uint32_t>& word, int operation, std::uint32_t value,
           const timespec* most = nullptr) noexcept {
    const int kept = errno;
    syscall(SYS_futex, &word, operation, value, most, nullptr, 0);
    errno = kept;
}

} // namespace

void sleep_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected, base::duration most) noexcept {
    if (most == base::duration::max()) return futex(word, FUTEX_WAIT, expected);
    const timespec t{static_cast<time_t>(most.count() / 1'000'000'000),
                     static_cast<long>(most.count() % 1'000'000'000)};
    futex(word, FUTEX_WAIT, expected, &t);
}
void wake_sleeper(const std::atomic<std::uint32_t>& word) noexcept { futex(word, FUTEX_WAKE, INT_MAX); }

channel_memory::channel_memory(std::uint64_t arena_bytes)
    : fd_(memfd_create("tenure-worker", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    if (!fd_) fail("memfd_create");
    const std::uint64_t calls_at = round_up(sizeof(channel), page);
    const std::uint64_t arena = round_up(arena_bytes, page);
    const std::uint64_t tree_at = calls_at + 4 * arena; // behind two, and a region as large as both
    const std::uint64_t size = tree_at + most_tree_bytes;
    rlimit files{};
    if (getrlimit(RLIMIT_FSIZE, &files) == 0 && files.rlim_cur < size) { // ftruncate would raise SIGXFSZ
        errno = EFBIG;
        fail("the limit on file sizes (ulimit -f) is below four times pool_options::max_message");
    }
    if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) fail("ftruncate");
    // A worker that made it smaller would end us by SIGBUS.
    if (fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) fail("F_ADD_SEALS");
    map(size);
    channel_ = new (at_) channel;
    channel_->header.calls_at = calls_at;
    channel_->header.results_at = calls_at + arena;
    channel_->header.arena_bytes = arena;
    channel_->header.parts_at = calls_at + 2 * arena;
    channel_->header.parts_bytes = 2 * arena;
    channel_->tree_at = tree_at;
    channel_->tree_bytes = most_tree_bytes;
    auto* const bytes = static_cast<std::byte*>(at_);
    calls_ = {bytes + calls_at, arena};
    results_ = {bytes + calls_at + arena, arena};
    parts_ = {bytes + calls_at + 2 * arena, 2 * arena};
    tree_ = {bytes + tree_at, most_tree_bytes};
}

channel_memory::channel_memory(io::unique_fd fd) : fd_(std::move(fd)) {
    struct stat status{};
    if (fstat(fd_.get(), &status) != 0) fail("fstat");
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (size < sizeof(channel)) throw wire::wire_error("a worker channel is at least as long as its header");
    map(size);
    channel_ = std::launder(static_cast<channel*>(at_));
    const channel_header& h = channel_->header;
    if (h.magic != channel_header().magic || h.version != protocol_version || h.slots != slot_count ||
        h.calls_at > size || h.results_at > size ||
        h.arena_bytes > size - std::max(h.calls_at, h.results_at) || h.parts_at > size ||
        h.parts_bytes > size - h.parts_at || channel_->tree_at > size ||
        channel_->tree_bytes > size - channel_->tree_at)
        throw wire::wire_error("this is no worker channel of version " + std::to_string(protocol_version) +
                               ": the parent was built from another version of tenure");
    auto* const bytes = static_cast<std::byte*>(at_);
    calls_ = {bytes + h.calls_at, h.arena_bytes};
    results_ = {bytes + h.results_at, h.arena_bytes};
    parts_ = {bytes + h.parts_at, h.parts_bytes};
    tree_ = {bytes + channel_->tree_at, channel_->tree_bytes};
}

void channel_memory::map(std::uint64_t size) {
    void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_.get(), 0);
    if (at == MAP_FAILED) fail("mmap");
    at_ = at;
    size_ = size;
}
channel_memory::~channel_memory() {
    if (at_) munmap(at_, size_);
}

void give_memory_back(std::span<std::byte> shared) noexcept {
    if (shared.size() > kept_bytes)
        madvise(shared.data() + kept_bytes, shared.size() - kept_bytes, MADV_REMOVE);
}

std::optional<std::uint64_t> block_queue::take(std::uint64_t n) noexcept {
    const std::uint64_t size = arena_.size();
    if (n > size) return std::nullopt;
    const std::uint64_t at = end_ % size;
    const std::uint64_t begin =
        at + n > size ? end_ + (size - at) : end_; // what is left at the end is too short
    if (begin + n - begin_ > size) return std::nullopt;
    end_ = round_up(begin + n, 64); // not beyond begin_ + size, which are multiples of 64
    highest_ = std::max(highest_, std::min(size, begin % size + n));
    return begin % size;
}
void block_queue::give_back(std::uint64_t until) noexcept {
    begin_ = until;
    if (begin_ != end_) return;
    begin_ = end_ = 0;
    if (highest_ <= kept_bytes) return;
    give_memory_back(arena_);
    highest_ = kept_bytes;
}

} // namespace tenure::inline v0::process::detail
