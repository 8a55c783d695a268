// shared_buffer: values that a call hands to its worker, and a worker back, without a copy.
//
//   process::shared_buffer<double> samples = workers.buffer<double>(10'000'000);
//   read_into(std::span(samples.data(), samples.size()));                          // it is born where all workers see it
//   process::shared_buffer<double> done = co_await workers.call(fn<&filter>, std::move(samples));
//
// where `shared_buffer<double> filter(shared_buffer<double> b)` works on the same memory and gives it back. Passing one costs the
// same at any size.
#pragma once
#include <tenure/process/detail/message_blocks.hpp>
#include <tenure/wire/codec.hpp>

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace tenure::inline v0::process {

class pool;

namespace detail {

template <class T>
consteval bool can_be_shared() {
    static_assert(wire::detail::bulk<T>,
                  "a shared_buffer holds what lies in memory as it does in a message: numbers, enums, and "
                  "std::array or aggregates of these without padding; send anything else as a value, in a "
                  "std::vector");
    return true;
}

} // namespace detail

/// A number of T that never changes, in one block of memory. Made by pool::buffer() it lies where all workers of that pool see it:
/// given to a call of that pool it is handed over, not copied; so is one that a worker was given and returns. Made anywhere
/// else it lies in memory of its process, and is copied when it is sent. On runners of this process it is moved.
/// What a worker writes there is not looked at by anybody: every pattern of bits is a T.
/// Owner: of the memory, which outlives the pool if need be. A call that is given one owns it: it is gone with the call, also
///   with one that fails, unless the call returns it. One that a worker keeps beyond its call becomes empty.
/// Threads: as std::vector.
template <class T>
class shared_buffer {
    static_assert(detail::can_be_shared<T>());

public:
    using value_type = T;

    /// Without memory, and without elements; passing it is a usage_error.
    shared_buffer() noexcept = default;
    /// In memory of this process: n values, which are not set.
    /// Throws: std::bad_alloc.
    explicit shared_buffer(std::size_t n) : block_(detail::new_private_block(n, sizeof(T))) {}
    shared_buffer(shared_buffer&&) noexcept = default; // o is left as one without memory
    shared_buffer& operator=(shared_buffer&& o) noexcept {
        block_ = std::move(o.block_);
        return *this;
    }
    ~shared_buffer() = default;

    T* data() noexcept { return first(); }
    const T* data() const noexcept { return first(); }
    std::size_t size() const noexcept { return block_ ? block_->bytes().size() / sizeof(T) : 0; }
    bool empty() const noexcept { return size() == 0; }
    T& operator[](std::size_t i) noexcept { return first()[i]; }
    const T& operator[](std::size_t i) const noexcept { return first()[i]; }
    T* begin() noexcept { return first(); }
    T* end() noexcept { return first() + size(); }
    const T* begin() const noexcept { return first(); }
    const T* end() const noexcept { return first() + size(); }
    /// It has memory, though perhaps none for a single element.
    explicit operator bool() const noexcept { return static_cast<bool>(block_); }

private:
    friend class pool;
    friend struct wire::codec<shared_buffer>;
    explicit shared_buffer(base::ref<detail::shared_block> b) noexcept : block_(std::move(b)) {}
    T* first() const noexcept { return block_ ? reinterpret_cast<T*>(block_->bytes().data()) : nullptr; }
    base::ref<detail::shared_block> block_;
};

} // namespace tenure::inline v0::process

namespace tenure::inline v0::wire {

/// A byte: 0 what a vector of T is; 1 the place of its block, and its length in bytes, both uint64.
template <class T>
struct codec<process::shared_buffer<T>> {
    static constexpr std::size_t min_size = 9;
    static constexpr bool writes_in_place = true;
    static void write(writer& w, const process::shared_buffer<T>& b) {
        process::detail::write_block(w, b.block_, sizeof(T), detail::name_of<process::shared_buffer<T>>);
    }
    static process::shared_buffer<T> read(reader& r) {
        return process::shared_buffer<T>(
            process::detail::read_block(r, sizeof(T), detail::name_of<process::shared_buffer<T>>));
    }
};

} // namespace tenure::inline v0::wire
