// layer: runner
// expect: an argument cannot become the type of its parameter
#include <tenure/runner/local.hpp>

int add(int a, int b);
void f(tenure::core::runtime& rt, tenure::runner::threads& r) {
    (void)tenure::runner::submit(rt, r, tenure::runner::fn<&add>, 1, "two");
}
