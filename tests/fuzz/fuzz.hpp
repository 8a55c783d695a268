// What a fuzz target needs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <span>

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it by this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

inline void require(bool holds, const char* what) {
    if (holds) return;
    std::cerr << "does not hold: " << what << '\n';
    std::abort();
}

/// Takes bytes from the front of an input.
class input {
public:
    input(const std::uint8_t* data, std::size_t size) : left_(std::as_bytes(std::span(data, size))) {}
    /// 0 when there are none left.
    std::size_t number() { return left_.empty() ? 0 : static_cast<std::size_t>(take(1).front()); }
    std::span<const std::byte> take(std::size_t n) {
        const auto taken = left_.first(n < left_.size() ? n : left_.size());
        left_ = left_.subspan(taken.size());
        return taken;
    }
    std::span<const std::byte> rest() { return take(left_.size()); }

private:
    std::span<const std::byte> left_;
};

} // namespace fuzz
