// layer: core
// expect: select_any needs something to wait for
#include <tenure/core/select.hpp>

tenure::core::task<> f() { (void)co_await tenure::core::select_any(); }
