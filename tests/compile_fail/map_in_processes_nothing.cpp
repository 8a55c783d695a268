// layer: parallel
// expect: map: the function returns nothing: use map_outcomes
// expect-errors: 1
#include <tenure/parallel/map.hpp>

#include <vector>

void look_at(int) {}

void f(tenure::core::runtime& rt, tenure::runner::runner& r) {
    (void)tenure::parallel::map(rt, r, std::vector<int>{1, 2}, tenure::runner::fn<&look_at>);
}
