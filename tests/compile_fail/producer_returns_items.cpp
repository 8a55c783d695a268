// layer: core
// expect: a producer returns task<>: what it has to give goes through its sink
#include <tenure/core/stream.hpp>

tenure::core::task<int> produce(tenure::core::sink<int>);

void f(tenure::core::group g) { auto s = tenure::core::spawn_stream(g, produce); }
