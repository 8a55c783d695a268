// layer: core
// expect: f cannot be called with these arguments; they are copied, references need std::ref
#include <tenure/core/group.hpp>

tenure::core::task<> child(int&&, int&);
void parent(tenure::core::group g) {
    int local = 0;
    (void)g.spawn(child, 1, local);
}
