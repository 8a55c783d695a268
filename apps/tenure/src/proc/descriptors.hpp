#pragma once

#include <vector>

namespace tenure::inline v0::app {

/// Closes every descriptor of this process from 3 on that is not in `keep` (which may hold others and -1).
void close_all_but(std::vector<int> keep);

} // namespace tenure::inline v0::app
