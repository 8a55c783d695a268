// layer: core
// expect: with_group takes a coroutine: [](group g) -> task<T> { … }
#include <tenure/core/group.hpp>

tenure::core::task<> parent() {
    co_await tenure::core::with_group([](tenure::core::group) { return 1; });
}
