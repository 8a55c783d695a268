// layer: wire
// expect: captures are invisible to the compiler: pass them as arguments
#include <tenure/wire/function.hpp>

void f(tenure::wire::writer& w, int i) {
    tenure::wire::write_call(w, [i](int x) { return i + x; }, 1);
}
