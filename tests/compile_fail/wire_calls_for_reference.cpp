// layer: wire
// expect: the result is a reference or a pointer, which means nothing in another process: return a value
#include <tenure/wire/function.hpp>

const int& longest(const std::vector<int>& v);
void f(tenure::wire::writer& w, std::vector<int>& v) {
    tenure::wire::write_call(w, tenure::wire::fn<&longest>, v);
}
