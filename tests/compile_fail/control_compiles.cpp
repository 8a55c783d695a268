// expect-success
// The facade on its own, with no flag but the include roots.
#include <tenure/tenure.hpp>

int main() {}
