// layer: core
// expect: the first parameter of f says what the task is ready with
#include <tenure/core/group.hpp>

tenure::core::task<> parent(tenure::core::group g) {
    co_await g.start([](int) {}, 1);
}
