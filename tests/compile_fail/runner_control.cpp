// layer: runner
// expect-success
// The control of the runner_ cases: what they should have been.
#include <tenure/runner/local.hpp>

namespace runner = tenure::runner;

int add(int a, int b);
struct adds {
    int amount;
    int operator()(int x) const { return x + amount; }
};
tenure::core::task<int> f(runner::runner& r, tenure::core::group g, tenure::core::runtime& rt) {
    int sum = co_await runner::call(r, runner::fn<&add>, 1, 2);
    sum += co_await runner::call(r, [](int x) { return x; }, 1);
    sum += co_await runner::call(r, adds{1}, 2);
    auto first = runner::submit(g, r, runner::fn<&add>, 1, 2);
    auto second = runner::submit(rt, r, runner::fn<&add>, first, 2);
    co_return sum + co_await second;
}
