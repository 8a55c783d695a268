// layer: core
// expect: defer owns its arguments: no raw pointers
#include <tenure/core/cleanup.hpp>

tenure::core::task<> cleanup(int*);
tenure::core::task<> parent() {
    int local = 0;
    co_await tenure::core::defer(std::chrono::seconds(1), cleanup, &local);
}
