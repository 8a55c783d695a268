// layer: core
// expect: an item of a channel must be nothrow-movable, or it could be lost on its way: send a std::unique_ptr to it
#include <tenure/core/stream.hpp>

#include <mutex>

tenure::core::task<> produce(tenure::core::sink<std::mutex>) { co_return; }

void f(tenure::core::group g) { auto s = tenure::core::spawn_stream(g, produce); }
