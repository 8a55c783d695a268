// layer: core
// expect: a stream that is dropped cancels its producer
#include <tenure/core/stream.hpp>

#pragma GCC diagnostic error "-Wunused-result"

tenure::core::stream<int> numbers();

void f() { numbers(); }
