// The runtime with I/O: core's, and workers that park in epoll.
#pragma once
#include <tenure/core/runtime.hpp>

namespace tenure::inline v0 {

using core::audit_report;
using core::close_options;
using core::close_report;
using core::runtime_options;
using core::task_activity;
using core::task_tree;
using core::tree_entry;

/// core::runtime; unless options name another driver, its idle workers park in an io::epoll_driver.
class runtime : public core::runtime {
public:
    explicit runtime(runtime_options o = {});
};

} // namespace tenure::inline v0
