// What is wrong with a message, and where.
#pragma once
#include <tenure/base/error.hpp>

#include <cstddef>
#include <string>

namespace tenure::inline v0::wire {

/// A message cannot be read or written. what() names the type, the offset and the reason.
class wire_error : public base::error {
public:
    explicit wire_error(const std::string& what, std::size_t offset = 0) : error(what), offset_(offset) {}
    /// Bytes before the value that could not be read or written.
    std::size_t offset() const noexcept { return offset_; }

private:
    std::size_t offset_;
};

/// Values lie at most this deep inside each other: a container, a pointer and a type with a codec of its own count one
/// each. Both sides keep to it, because each level takes stack on either.
inline constexpr int max_depth = 200;

} // namespace tenure::inline v0::wire
