// layer: wire
// expect: what is shared would silently become copies: send the value, or a std::unique_ptr
#include <tenure/wire/codec.hpp>

void f(tenure::wire::writer& w, const std::shared_ptr<int>& v) { tenure::wire::write(w, v); }
