#include <tenure/base/error.hpp>
#include <tenure/core/operation.hpp>
#include <tenure/io/epoll_driver.hpp>

namespace tenure::inline v0::io {

epoll_driver::epoll_driver() : registry_(base::ref<detail::registry>::adopt(new detail::registry(*this))) {}
epoll_driver::~epoll_driver() { registry_->driver_is_gone(); }

epoll_driver& epoll_driver::current() {
    const auto* s = core::detail::current_strand();
    if (!s)
        throw base::usage_error(
            "outside a task there is no runtime to wait in: make it inside a task, or hand over the "
            "driver, as in descriptor(rt.io(), fd)");
    return of(s->sched->io());
}
epoll_driver& epoll_driver::of(core::driver& d) {
    if (auto* found = dynamic_cast<epoll_driver*>(&d)) return *found;
    throw base::usage_error(
        "this runtime has no I/O: make it a tenure::runtime, or give core::runtime an epoll driver, "
        "as in core::runtime rt({.io = std::make_unique<io::epoll_driver>()})");
}

} // namespace tenure::inline v0::io
