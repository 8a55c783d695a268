// layer: parallel
// expect: map: the function takes one argument, an item
// expect-errors: 1
#include <tenure/parallel/map.hpp>

#include <vector>

int add(int a, int b) { return a + b; }

void f(tenure::core::runtime& rt, tenure::runner::runner& r) {
    (void)tenure::parallel::map(rt, r, std::vector<int>{1, 2}, tenure::runner::fn<&add>);
}
