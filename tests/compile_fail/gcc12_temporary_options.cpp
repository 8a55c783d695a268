// layer: core
// expect(gcc): GCC 12 destroys temporary options twice inside co_await: give them a name first
// expect(clang): only_gcc_refuses_this
// GCC 12 miscompiles this shape; other compilers must accept it, which start_test.cpp shows.
#include <tenure/core/group.hpp>

#if defined(__clang__)
#error only_gcc_refuses_this
#endif
tenure::core::task<> parent(tenure::core::group g) {
    co_await g.start({.name = "server"}, [](tenure::core::started<> ready) { ready(); });
}
