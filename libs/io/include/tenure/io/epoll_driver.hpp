// Where the workers of a runtime with I/O park: in one epoll instance, all of them.
#pragma once
#include <tenure/base/ref.hpp>
#include <tenure/core/driver.hpp>
#include <tenure/io/detail/registry.hpp>

#include <memory>

namespace tenure::inline v0::io {

/// Waits for descriptors, child processes and the next timer: `core::runtime rt({.io = std::make_unique<epoll_driver>()})`.
/// There is no reactor thread: a worker that has nothing to do waits here itself, and completes what became ready.
/// Owner: the runtime. Descriptors may outlive it; they can then only be closed.
/// Threads: any.
class epoll_driver final : public core::driver {
public:
    /// Throws: std::system_error if the kernel has no descriptor or no memory to give.
    epoll_driver();
    ~epoll_driver() override;

    base::time_point now() noexcept override { return std::chrono::steady_clock::now(); }
    void park(base::time_point until) override { registry_->poll(until); }
    void unpark() noexcept override { registry_->unpark(); }
    /// Descriptors: `descriptor` objects that have not been closed. Processes: children not yet reaped.
    core::driver_usage usage() noexcept override { return registry_->usage(); }

    /// For what is built on readiness: descriptors, signals, children.
    detail::registry& registrations() noexcept { return *registry_; }

    /// The epoll driver of the runtime that runs the calling task.
    /// Throws: usage_error outside a task, or if the runtime has another driver.
    static epoll_driver& current();
    /// `d` as an epoll driver. Throws: usage_error if it is another one.
    static epoll_driver& of(core::driver& d);

private:
    const base::ref<detail::registry> registry_;
};

} // namespace tenure::inline v0::io
