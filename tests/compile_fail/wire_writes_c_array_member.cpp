// layer: wire
// expect: a member is a C array or a reference: use std::array
#include <tenure/wire/codec.hpp>

struct sums {
    int all[4];
    int total;
};
void f(tenure::wire::writer& w, const sums& v) { tenure::wire::write(w, v); }
