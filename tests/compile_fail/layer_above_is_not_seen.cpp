// layer: base
// expect(clang): 'tenure/core/task.hpp' file not found
// expect(gcc): tenure/core/task.hpp: No such file or directory
#include <tenure/core/task.hpp>

int main() {}
