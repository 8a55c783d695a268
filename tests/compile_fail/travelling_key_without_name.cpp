// layer: runner
// expect(gcc): is not usable as a
// expect(clang): a key that travels needs a name that is not empty
#include <tenure/runner/travelling_key.hpp>

const tenure::runner::travelling_key<int> level{""};
