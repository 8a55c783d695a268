#include <tenure/base/mutex.hpp>
#include <tenure/core/detail/block_pool.hpp>

#include <array>
#include <new>
#include <utility>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TENURE_BYPASS_POOL 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define TENURE_BYPASS_POOL 1
#endif
#endif

namespace tenure::inline v0::core::detail {

#if defined(TENURE_BYPASS_POOL)

void* take_block_of(std::size_t, std::size_t bytes) { return ::operator new(bytes); }
void release_block_of(void* block, std::size_t, std::size_t) noexcept { ::operator delete(block); }

#else

namespace {

constexpr std::size_t granule = block_granule, classes = block_classes;
constexpr unsigned batch = 64; // blocks

struct free_block {
    free_block* next;
    free_block* next_batch; // of the first block of a batch in the depot
};

constexpr std::size_t size_of(std::size_t index) noexcept { return (index + 1) * granule; }

/// Lists of `batch` blocks each, by class. Never destroyed: blocks are released until the last thread has ended.
class depot {
public:
    /// A list of `batch` blocks, or null.
    free_block* take(std::size_t index) noexcept {
        base::mutex_lock l(m_);
        free_block* first = lists_[index];
        if (!first) return nullptr;
        lists_[index] = first->next_batch;
        held_ -= batch * size_of(index);
        return first;
    }
    /// False: the depot is full.
    bool put(std::size_t index, free_block* first) noexcept {
        const std::size_t bytes = batch * size_of(index);
        base::mutex_lock l(m_);
        if (held_ + bytes > depot_limit) return false;
        first->next_batch = lists_[index];
        lists_[index] = first;
        held_ += bytes;
        return true;
    }

private:
    base::mutex m_;
    std::array<free_block*, classes> lists_ TENURE_GUARDED_BY(m_){};
    std::size_t held_ TENURE_GUARDED_BY(m_) = 0; // bytes
};

depot& the_depot() noexcept {
    static auto* const kept = new depot;
    return *kept;
}

void free_list(free_block* first) noexcept {
    while (first) {
        free_block* following = first->next;
        ::operator delete(first);
        first = following;
    }
}

/// The free blocks of one thread: at most two batches of each class.
struct thread_lists {
    struct list {
        free_block* first;
        unsigned room; // for so many blocks more in `first`
    };
    std::array<list, classes> of;
    std::array<free_block*, classes> spare; // a whole batch, or null
};
thread_local constinit thread_lists own{}; // without constructor and destructor
// Of this thread while its lists are open, else of all: those are empty and have no room. A word of its own, since a word
// may be where it is reached without a call, also in a shared library.
constinit thread_lists closed{};
[[gnu::tls_model("initial-exec")]] thread_local constinit thread_lists* mine_or_closed = &closed;

struct flush_at_end {
    flush_at_end() noexcept {
        for (thread_lists::list& l : own.of)
            l.room = batch;
        mine_or_closed = &own;
    }
    flush_at_end(const flush_at_end&) = delete;
    flush_at_end& operator=(const flush_at_end&) = delete;
    ~flush_at_end() {
        mine_or_closed = &closed; // what the thread's other destructors release goes to the heap
        for (std::size_t i = 0; i < classes; ++i) {
            free_list(std::exchange(own.of[i], {}).first);
            free_block* const spare = std::exchange(own.spare[i], nullptr);
            if (spare && !the_depot().put(i, spare)) free_list(spare);
        }
    }
};
/// False: the thread is ending.
bool open_lists() noexcept {
    if (mine_or_closed != &closed) return true;
    static thread_local bool opened = false;
    if (std::exchange(opened, true)) return false; // once: after flush_at_end has run, never again
    static thread_local const flush_at_end at_end;
    return true;
}

[[gnu::noinline]] void* take_slowly(std::size_t index) {
    if (!open_lists()) return ::operator new(size_of(index));
    free_block* got = std::exchange(own.spare[index], nullptr);
    if (!got) got = the_depot().take(index);
    if (!got) return ::operator new(size_of(index));
    own.of[index] = {got->next, 1};
    return got;
}
[[gnu::noinline]] void release_slowly(free_block* b, std::size_t index) noexcept {
    if (!open_lists()) {
        ::operator delete(b);
        return;
    }
    thread_lists::list& mine = own.of[index];
    if (mine.room == 0) { // this list is a batch: keep it as the spare, the old spare goes
        free_block* const old = std::exchange(own.spare[index], std::exchange(mine.first, nullptr));
        if (old && !the_depot().put(index, old)) free_list(old);
        mine.room = batch;
    }
    b->next = mine.first;
    mine.first = b;
    --mine.room;
}

} // namespace

void* take_block_of(std::size_t index, std::size_t) {
    thread_lists::list& mine = mine_or_closed->of[index];
    free_block* const got = mine.first;
    if (!got) [[unlikely]]
        return take_slowly(index);
    mine.first = got->next;
    ++mine.room;
    return got;
}
void release_block_of(void* block, std::size_t index, std::size_t) noexcept {
    auto* const b = static_cast<free_block*>(block);
    thread_lists::list& mine = mine_or_closed->of[index];
    if (mine.room == 0) [[unlikely]]
        return release_slowly(b, index);
    b->next = mine.first;
    mine.first = b;
    --mine.room;
}

#endif

} // namespace tenure::inline v0::core::detail
