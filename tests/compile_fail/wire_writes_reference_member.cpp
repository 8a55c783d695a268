// layer: wire
// expect: a member is a reference, which means nothing in another process: use the value
#include <tenure/wire/codec.hpp>

struct refers {
    const int& value;
    int other;
};
void f(tenure::wire::writer& w, const refers& v) { tenure::wire::write(w, v); }
