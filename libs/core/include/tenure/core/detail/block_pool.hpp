// Memory for coroutine frames and task objects: free lists of the calling thread, by size class.
//
// A block may be released by another thread than the one that took it; it joins that thread's list. Lists that have grown
// by a batch hand it to a depot, from which lists that ran dry take it back: one lock for 64 blocks.
// What the depot holds beyond `depot_limit` goes back to the heap, so a burst does not keep its memory for ever.
// Under the sanitizers every block is a heap block of its own: a pool would hide use after free.
#pragma once
#include <cstddef>
#include <new>

namespace tenure::inline v0::core::detail {

/// Bytes of free blocks that the depot keeps for all threads together.
inline constexpr std::size_t depot_limit = std::size_t(64) << 20;

/// Bytes: a cache line, so that tasks of two workers never share one.
inline constexpr std::size_t block_granule = 64;
inline constexpr std::size_t block_classes = 32; // up to 2 KiB

// Of class `index`, below block_classes. Not inlined: a coroutine may be on another thread after each await.
void* take_block_of(std::size_t index, std::size_t bytes);
void release_block_of(void* block, std::size_t index, std::size_t bytes) noexcept;

/// Owner of the block: the caller, until release_block() with the same size. Aligned as by operator new.
/// Throws: std::bad_alloc.
inline void* take_block(std::size_t bytes) { // the size is mostly a constant, and so is its class
    const std::size_t index = (bytes - 1) / block_granule;
    return index < block_classes ? take_block_of(index, bytes) : ::operator new(bytes);
}
inline void release_block(void* block, std::size_t bytes) noexcept {
    const std::size_t index = (bytes - 1) / block_granule;
    index < block_classes ? release_block_of(block, index, bytes) : ::operator delete(block);
}

/// Gives a class and all derived from it memory of the pool.
struct pooled {
    static void* operator new(std::size_t bytes) { return take_block(bytes); }
    static void operator delete(void* block, std::size_t bytes) noexcept { release_block(block, bytes); }
};

} // namespace tenure::inline v0::core::detail
