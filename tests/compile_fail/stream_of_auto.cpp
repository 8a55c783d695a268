// layer: core
// expect: spell its type out, not auto
#include <tenure/core/stream.hpp>

void f(tenure::core::group g) {
    auto s = tenure::core::spawn_stream(g, [](auto out) -> tenure::core::task<> { co_await out.send(1); });
}
