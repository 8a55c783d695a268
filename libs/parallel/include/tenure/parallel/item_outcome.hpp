// How an item of a map ended.
#pragma once
#include <tenure/base/outcome.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

namespace tenure::inline v0::parallel {

enum class item_status : std::uint8_t { done, failed, timed_out, cancelled, worker_died };
const char* to_string(item_status s) noexcept;

/// How one item ended: what map_outcomes() gives.
template <class T>
class item_outcome {
public:
    /// `failure`: what it is called if `how` is a failure.
    item_outcome(std::size_t index, base::outcome<T> how, item_status failure = item_status::failed,
                 unsigned attempts = 1)
        : index_(index), attempts_(attempts), failure_(failure), how_(std::move(how)) {}

    std::size_t index() const noexcept { return index_; }    ///< of the item: the first one is 0
    unsigned attempts() const noexcept { return attempts_; } ///< with the one that gave this
    item_status status() const noexcept {
        if (how_.has_value()) return item_status::done;
        return how_.has_failed() ? failure_ : item_status::cancelled;
    }
    explicit operator bool() const noexcept { return how_.has_value(); }
    /// The value. Throws: what the function threw; timeout_error; task_cancelled.
    decltype(auto) value() & { return how_.value(); }
    decltype(auto) value() const& { return how_.value(); }
    decltype(auto) value() && { return std::move(how_).value(); }
    /// What value() would throw; null for a value, and for an item that was cancelled.
    std::exception_ptr error() const { return how_.error(); }

private:
    std::size_t index_;
    unsigned attempts_;
    item_status failure_;
    base::outcome<T> how_;
};

} // namespace tenure::inline v0::parallel
