#include <tenure/io/epoll_driver.hpp>
#include <tenure/runtime.hpp>

namespace tenure::inline v0 {
namespace {
runtime_options with_io(runtime_options o) {
    if (!o.io) o.io = std::make_unique<io::epoll_driver>();
    return o;
}
} // namespace

runtime::runtime(runtime_options o) : core::runtime(with_io(std::move(o))) {}

} // namespace tenure::inline v0
