// layer: runner
// expect-success
// The control of the travelling_key_ cases: what they should have been.
#include <tenure/core/context_scope.hpp>
#include <tenure/runner/travelling_key.hpp>

#include <string>

inline const tenure::runner::travelling_key<std::string> session{"app.session"};
tenure::core::task<> f();
tenure::core::task<> g() { co_await tenure::core::with_value(session, std::string("a"), f); }
bool is_set() { return tenure::core::this_task::value(session) != nullptr; }
