// Where a thread keeps what item_index() tells.
#pragma once
#include <tenure/base/spawn_site.hpp>

#include <cstddef>
#include <optional>

namespace tenure::inline v0::parallel::detail {

/// While a task calls a map's function on this thread. What runs in it as another task (block_on) has another item, or none.
/// Confined to its thread.
class item_place {
public:
    explicit item_place(base::task_id task, std::optional<std::size_t> index = {}) noexcept;
    item_place(const item_place&) = delete;
    item_place& operator=(const item_place&) = delete;
    ~item_place();
    void is(std::size_t index) noexcept { index_ = index; }

    /// Of the running task.
    static std::optional<std::size_t> index();

private:
    const base::task_id task_;
    std::optional<std::size_t> index_;
    const item_place* const outer_;
};
/// 0: none.
base::task_id running_task();

} // namespace tenure::inline v0::parallel::detail
