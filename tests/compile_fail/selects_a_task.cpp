// layer: core
// expect: select_any waits for c.receive(), c.send(v), s.next(), sleep_for(d), sleep_until(t), a future, a context, or an optional of one of these
#include <tenure/core/select.hpp>

tenure::core::task<int> give();

tenure::core::task<> f() { (void)co_await tenure::core::select_any(give()); }
