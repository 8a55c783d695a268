// layer: core
// expect-success
// The control of layer_above_is_not_seen: the same header, from a layer that may include it.
#include <tenure/core/task.hpp>

int main() {}
