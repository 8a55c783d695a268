// layer: wire
// expect: make it an aggregate (public members, no constructor, no base class), or specialise tenure::wire::codec
#include <tenure/wire/codec.hpp>

class closed {
public:
    explicit closed(int v) : v_(v) {}

private:
    int v_;
};
void f(tenure::wire::writer& w, const std::vector<closed>& v) { tenure::wire::write(w, v); }
