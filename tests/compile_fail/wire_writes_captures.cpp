// layer: wire
// expect: A lambda's captures are invisible: use an aggregate function object
#include <tenure/wire/codec.hpp>

void f(tenure::wire::writer& w, int i) {
    const auto closure = [i] { return i; };
    tenure::wire::write(w, closure);
}
