#include <tenure/parallel/map.hpp>

namespace tenure::inline v0::parallel {

const char* to_string(item_status s) noexcept {
    switch (s) {
    case item_status::done: return "done";
    case item_status::failed: return "failed";
    case item_status::timed_out: return "timed out";
    case item_status::cancelled: return "cancelled";
    case item_status::worker_died: return "worker died";
    }
    return "?";
}

} // namespace tenure::inline v0::parallel
