// layer: runner
// expect: wrong number of arguments for this function
#include <tenure/runner/local.hpp>

int add(int a, int b);
void f(tenure::runner::threads& r) { (void)tenure::runner::call(r, tenure::runner::fn<&add>, 1); }
