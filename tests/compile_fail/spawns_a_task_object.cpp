// layer: core
// expect: spawn takes a callable and its arguments, not a task: write spawn(f, args...), not spawn(f(args...))
#include <tenure/core/group.hpp>

tenure::core::task<int> child(int);
void parent(tenure::core::group g) { (void)g.spawn(child(1)); }
