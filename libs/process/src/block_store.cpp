#include <tenure/process/detail/block_store.hpp>
#include <tenure/process/detail/channel.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <new>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::process::detail {
namespace {

constexpr std::uint64_t granule = 4096; // a page: what a block has, no other one touches

} // namespace

// ---- places

block_places::block_places(std::uint64_t bytes) {
    if (bytes >= granule) ranges_.emplace(0, range{bytes / granule * granule, false});
}

std::optional<std::uint64_t> block_places::take(std::uint64_t bytes) {
    const std::uint64_t whole = round_up(std::max<std::uint64_t>(1, bytes), granule);
    for (auto r = ranges_.begin(); r != ranges_.end(); ++r) {
        if (r->second.taken || r->second.bytes < whole) continue;
        if (r->second.bytes > whole)
            ranges_.emplace_hint(std::next(r), r->first + whole, range{r->second.bytes - whole, false});
        r->second = {whole, true};
        return r->first;
    }
    return std::nullopt;
}

void block_places::trim(std::uint64_t place, std::uint64_t bytes) noexcept {
    const auto r = ranges_.find(place);
    const std::uint64_t whole = round_up(std::max<std::uint64_t>(1, bytes), granule);
    if (r == ranges_.end() || whole >= r->second.bytes) return;
    std::uint64_t rest = r->second.bytes - whole;
    auto next = std::next(r);
    try {
        const bool joins = next != ranges_.end() && !next->second.taken;
        if (joins) rest += next->second.bytes;
        const auto after = ranges_.emplace_hint(next, place + whole, range{rest, false});
        if (joins) ranges_.erase(std::next(after));
        r->second.bytes = whole;
    } catch (const std::bad_alloc&) { // it stays too long
    }
}

void block_places::give_back(std::uint64_t place) noexcept {
    const auto r = ranges_.find(place);
    if (r == ranges_.end()) return;
    r->second.taken = false;
    if (const auto next = std::next(r); next != ranges_.end() && !next->second.taken) {
        r->second.bytes += next->second.bytes;
        ranges_.erase(next);
    }
    if (r != ranges_.begin())
        if (const auto before = std::prev(r); !before->second.taken) {
            before->second.bytes += r->second.bytes;
            ranges_.erase(r);
        }
}

// ---- the store

class block_store::block final : public shared_block {
public:
    block(base::ref<block_store> store, std::span<std::byte> bytes) noexcept
        : shared_block(bytes), store_(std::move(store)) {}
    ~block() override { store_->give_back(bytes_); }
    const block_store* store() const noexcept override { return store_.get(); }
    void keep(std::size_t n) noexcept { bytes_ = bytes_.first(std::min(n, bytes_.size())); }

private:
    base::ref<block_store> store_;
};

block_store::block_store(io::unique_fd fd, std::span<std::byte> memory)
    : fd_(std::move(fd)), memory_(memory), owner_(getpid()), places_(memory.size()) {}
block_store::~block_store() { munmap(memory_.data(), memory_.size()); }

std::span<std::byte> block_store::map(int fd, std::uint64_t bytes) noexcept {
    void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (at == MAP_FAILED) return {};
    return {static_cast<std::byte*>(at), bytes};
}

base::ref<block_store> block_store::make(std::uint64_t bytes) {
    rlimit files{};
    if (getrlimit(RLIMIT_FSIZE, &files) == 0) bytes = std::min<std::uint64_t>(bytes, files.rlim_cur);
    bytes = bytes / granule * granule;
    if (bytes == 0) return nullptr;
    io::unique_fd fd(memfd_create("tenure-blocks", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    // A worker that made it smaller would end us by SIGBUS.
    if (!fd || ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
        fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return nullptr;
    const auto memory = map(fd.get(), bytes);
    if (memory.empty()) return nullptr;
    return base::ref<block_store>::adopt(new block_store(std::move(fd), memory));
}

base::ref<block_store> block_store::attach(io::unique_fd fd) {
    struct stat status{};
    std::span<std::byte> memory;
    if (fstat(fd.get(), &status) == 0 && status.st_size > 0)
        memory = map(fd.get(), static_cast<std::uint64_t>(status.st_size));
    if (memory.empty())
        throw std::system_error(errno, std::system_category(), "worker: the pool's block store");
    return base::ref<block_store>::adopt(new block_store(io::unique_fd(), memory));
}

base::ref<shared_block> block_store::take(std::uint64_t bytes) {
    if (bytes > memory_.size() || getpid() != owner_) return nullptr;
    std::optional<std::uint64_t> place;
    {
        base::mutex_lock l(m_);
        place = places_.take(bytes);
    }
    if (!place) return nullptr;
    const auto at = memory_.subspan(*place, bytes);
    try {
        return base::ref<shared_block>::adopt(new block(base::ref<block_store>::share(this), at));
    } catch (...) {
        give_back(at);
        throw;
    }
}

void block_store::trim(shared_block& b, std::uint64_t bytes) noexcept {
    static_cast<block&>(b).keep(bytes);
    base::mutex_lock l(m_);
    places_.trim(place_of(b), bytes);
}

void block_store::give_back(std::span<std::byte> bytes) noexcept {
    if (getpid() != owner_)
        return; // nor may it lock: another thread had the lock, perhaps, when it was forked
    const auto place = static_cast<std::uint64_t>(bytes.data() - memory_.data());
    const std::uint64_t end = round_up(place + bytes.size(), granule);
    const std::uint64_t from = std::max(place, kept_bytes);
    // While it is still ours: nobody else has written there.
    if (from < end) madvise(memory_.data() + from, end - from, MADV_REMOVE);
    base::mutex_lock l(m_);
    places_.give_back(place);
}

std::span<std::byte> message_memory::move_to_larger(std::span<const std::byte> message, std::size_t bytes) {
    auto larger = store_->take(bytes);
    if (!larger) return {};
    if (!message.empty()) std::memcpy(larger->bytes().data(), message.data(), message.size());
    block_ = std::move(larger);
    return block_->bytes();
}

} // namespace tenure::inline v0::process::detail
