// layer: runner
// expect: a parameter is a pointer, which means nothing in another process
#include <tenure/runner/local.hpp>

int first(const int* from);
void f(tenure::runner::threads& r, const int* from) {
    (void)tenure::runner::call(r, tenure::runner::fn<&first>, from);
}
