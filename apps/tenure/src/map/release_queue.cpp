#include "map/release_queue.hpp"

#include <sys/resource.h>

namespace tenure::inline v0::app {

release_limits release_limits::for_jobs(unsigned jobs) {
    release_limits limits;
    limits.window = std::max<std::uint64_t>(1024, 8ULL * jobs);
    struct rlimit descriptors{};
    if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0)
        limits.files = static_cast<unsigned>(std::clamp<rlim_t>(descriptors.rlim_cur / 4, 64, 16384));
    return limits;
}

} // namespace tenure::inline v0::app
