#include <tenure/core/all.hpp>

namespace tenure::inline v0::core::detail {

void throw_none_of(std::vector<base::task_failure> failures) {
    if (failures.empty()) throw base::task_cancelled("any(): every task was cancelled");
    throw base::group_error(std::move(failures));
}

} // namespace tenure::inline v0::core::detail
