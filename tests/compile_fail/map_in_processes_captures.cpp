// layer: parallel
// expect: captures are invisible to the compiler: pass them as arguments
// expect-errors: 1
#include <tenure/parallel/map.hpp>

#include <vector>

void f(tenure::core::runtime& rt, tenure::runner::runner& r, int by) {
    (void)tenure::parallel::map(rt, r, std::vector<int>{1, 2}, [by](int x) { return by + x; });
}
