// layer: core
// expect: a producer's first parameter says what it is a stream of: task<> f(sink<std::string> out, ...)
#include <tenure/core/stream.hpp>

tenure::core::task<> produce(int until);

void f(tenure::core::group g) { auto s = tenure::core::spawn_stream(g, produce, 3); }
