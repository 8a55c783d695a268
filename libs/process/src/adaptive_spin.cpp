#include <tenure/process/detail/adaptive_spin.hpp>

#include <sched.h>

namespace tenure::inline v0::process::detail {

adaptive_spin::adaptive_spin() noexcept {
    cpu_set_t cpus;
    possible_ = sched_getaffinity(0, sizeof cpus, &cpus) != 0 || CPU_COUNT(&cpus) > 1;
}

} // namespace tenure::inline v0::process::detail
