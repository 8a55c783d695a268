// expect: run takes a coroutine function without arguments: task<> app() or task<int> app()
#include <tenure/run.hpp>

int app() { return 0; }
int main() { return tenure::run(app); }
