// layer: runner
// expect: captures are invisible to the compiler: pass them as arguments
#include <tenure/runner/local.hpp>

void f(tenure::core::runtime& rt, tenure::runner::threads& r, int i) {
    (void)tenure::runner::submit(rt, r, [i](int x) { return i + x; }, 1);
}
