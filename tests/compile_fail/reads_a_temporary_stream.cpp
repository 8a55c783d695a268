// layer: core
// expect(clang): call to deleted member function 'next'
// expect(gcc): use of deleted function
#include <tenure/core/stream.hpp>

tenure::core::task<> produce(tenure::core::sink<int>);

tenure::core::task<> f(tenure::core::group g) {
    (void)co_await tenure::core::spawn_stream(g, produce).next();
}
