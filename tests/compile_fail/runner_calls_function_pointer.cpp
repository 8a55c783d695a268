// layer: runner
// expect: a function pointer means nothing in another process: name the function, tenure::fn<&f>
#include <tenure/runner/local.hpp>

int add(int a, int b);
void f(tenure::runner::threads& r) { (void)tenure::runner::call(r, add, 1, 2); }
