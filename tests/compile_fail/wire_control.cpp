// layer: wire
// expect-success
// The control of the wire_ cases: what they should have been.
#include <tenure/wire/function.hpp>

enum tight : int { one = 1, two = 2 };
struct base {
    std::array<int, 4> all;
};
struct sound {
    base b;
    int value;
    std::unique_ptr<sound> next;
    tight kind;
};
void f(tenure::wire::writer& w, tenure::wire::reader& r, const sound& v, std::string_view text) {
    tenure::wire::write(w, v);
    tenure::wire::write(w, text);
    (void)tenure::wire::read<sound>(r);
    (void)tenure::wire::read<tenure::wire::view<char>>(r);
}

struct adds {
    int amount;
    int operator()(int x) const { return x + amount; }
};
int length(tenure::wire::view<char> text);
void g(tenure::wire::writer& w, const std::string& text) {
    tenure::wire::write_call(w, adds{1}, 2);
    tenure::wire::write_call(w, [](int x) { return x; }, 1);
    tenure::wire::write_call(w, tenure::wire::fn<&length>, text);
}
