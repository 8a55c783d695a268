// layer: runner
// expect: a pointer means nothing in another process: send the value, or a std::unique_ptr
#include <tenure/runner/travelling_key.hpp>

struct session;
const tenure::runner::travelling_key<session*> current{"app.session"};
