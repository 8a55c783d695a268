// layer: core
// expect: spawn takes a callable and its arguments, not a task: write spawn(f, args...), not spawn(f(args...))
#include <tenure/core/runtime.hpp>

tenure::core::task<int> child(int);
void parent(tenure::core::runtime& rt) { (void)rt.submit(child(1)); }
