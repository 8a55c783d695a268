// expect: run takes a coroutine function without arguments, or of the runtime: task<> app() or task<int> app(tenure::runtime&)
#include <tenure/run.hpp>

int app() { return 0; }
int main() { return tenure::run(app); }
