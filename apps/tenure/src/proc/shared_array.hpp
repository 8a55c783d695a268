#pragma once

#include <cstddef>
#include <new>
#include <sys/mman.h>
#include <type_traits>

namespace tenure::inline v0::app {

/// An array of fixed size in memory that this process shares with those that it forks.
/// Owner: each process unmaps its own view.
template <class T>
class shared_array {
    static_assert(std::is_trivially_destructible_v<T>);

public:
    explicit shared_array(std::size_t size) : size_(size) {
        void* memory =
            mmap(nullptr, size * sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return;
        items_ = static_cast<T*>(memory);
        for (std::size_t i = 0; i < size; ++i)
            new (&items_[i]) T();
    }
    shared_array(const shared_array&) = delete;
    shared_array& operator=(const shared_array&) = delete;
    ~shared_array() {
        if (valid()) munmap(items_, size_ * sizeof(T));
    }

    /// False: the memory could not be had.
    bool valid() const noexcept { return items_ != nullptr; }
    std::size_t size() const noexcept { return size_; }
    T& operator[](std::size_t index) const noexcept { return items_[index]; }

private:
    T* items_ = nullptr;
    std::size_t size_;
};

} // namespace tenure::inline v0::app
