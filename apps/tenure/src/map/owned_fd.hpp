#pragma once

#include <tenure/io/unique_fd.hpp>

namespace tenure::inline v0::app {

using owned_fd = io::unique_fd;

} // namespace tenure::inline v0::app
