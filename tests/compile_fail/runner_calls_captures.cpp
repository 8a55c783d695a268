// layer: runner
// expect: captures are invisible to the compiler: pass them as arguments
#include <tenure/runner/local.hpp>

void f(tenure::runner::inline_runner& r, int i) {
    (void)tenure::runner::call(r, [i](int x) { return i + x; }, 1);
}
