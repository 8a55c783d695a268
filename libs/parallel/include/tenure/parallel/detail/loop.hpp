// How the indices of a loop are handed out, and who works on them.
#pragma once
#include <tenure/base/mutex.hpp>
#include <tenure/core/runtime.hpp>
#include <tenure/parallel/options.hpp>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

namespace tenure::inline v0::parallel {

/// parallel_for(rt, n, body, {.jobs = 4, .grain = 100})
struct loop_options {
    /// How many threads work, the calling one among them; a negative number counts from the processors: -1 all, -2 all but one.
    /// Other than the calling thread they are workers of the runtime.
    int jobs = -1;
    /// How many indices at least are worked on one after the other by one thread. For reduce: exactly so many, but at the end; 0:
    /// n / 1024.
    std::size_t grain = 0;
    std::string name = "parallel_for";
};

namespace detail {

struct chunk {
    std::size_t begin, end;
};

/// One loop. Its chunks get smaller towards the end, so that all threads end at about the same time.
class chunked {
public:
    chunked(std::size_t n, const loop_options& o, const base::spawn_site& at);
    template <class Work>
    void run(core::runtime& rt, Work&& work) {
        run_erased(rt, [](void* w, chunk c) { (*static_cast<std::remove_reference_t<Work>*>(w))(c); }, &work);
    }

private:
    using work_fn = void (*)(void*, chunk);
    class state;
    void run_erased(core::runtime& rt, work_fn work, void* context);
    std::size_t n_;
    unsigned jobs_;
    std::size_t grain_;
    const std::string& name_;
    base::spawn_site site_;
};

/// Chunks that depend on n and the grain alone.
class fixed_chunks {
public:
    fixed_chunks(std::size_t n, const loop_options& o);
    std::size_t count() const noexcept { return n_ / size_ + (n_ % size_ != 0); }
    chunk operator[](std::size_t k) const noexcept {
        return {k * size_, n_ - k * size_ < size_ ? n_ : (k + 1) * size_};
    }
    /// As items.
    std::vector<chunk> all() const;
    /// The options for a loop over the chunks.
    loop_options each_alone() const;

private:
    std::size_t n_, size_;
    const loop_options& options_;
};

} // namespace detail
} // namespace tenure::inline v0::parallel
