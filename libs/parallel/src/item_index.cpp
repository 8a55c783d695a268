#include <tenure/core/this_task.hpp>
#include <tenure/parallel/detail/item_place.hpp>
#include <tenure/parallel/item_index.hpp>

namespace tenure::inline v0::parallel {
namespace detail {

namespace {
thread_local constinit const item_place* innermost = nullptr;
} // namespace

item_place::item_place(base::task_id task, std::optional<std::size_t> index) noexcept
    : task_(task), index_(index), outer_(innermost) {
    innermost = this;
}
item_place::~item_place() { innermost = outer_; }

std::optional<std::size_t> item_place::index() {
    if (!innermost || innermost->task_ != running_task()) return std::nullopt;
    return innermost->index_;
}
base::task_id running_task() { return core::this_task::label().id; }

} // namespace detail

std::optional<std::size_t> item_index() { return detail::item_place::index(); }

} // namespace tenure::inline v0::parallel
