// run(app): a program's main.
#pragma once
#include <tenure/core/task.hpp>
#include <tenure/runtime.hpp>

#include <functional>
#include <optional>
#include <type_traits>

namespace tenure::inline v0 {

struct run_options {
    /// Background workers. 0: the calling thread does all the work.
    unsigned threads = 0;
    /// How long app may clean up after the first signal. 0: not at all.
    base::duration grace = std::chrono::seconds(10);
    /// How the runtime is closed when app has ended.
    close_options at_end{};
    /// SIGINT and SIGTERM as described at run().
    bool handle_signals = true;
};

namespace detail {

/// The exit status that the program gives itself; empty: it has none to give.
using app_function = std::function<core::task<std::optional<int>>(runtime&)>;
int run_app(app_function app, run_options o);

template <class... A, class F>
core::task<std::optional<int>> status_of(F& app, A&... rt) {
    if constexpr (std::is_void_v<core::detail::task_value_t<F&, A&...>>) {
        co_await app(rt...);
        co_return std::nullopt;
    } else {
        co_return co_await app(rt...);
    }
}

template <class F, class... A>
concept app_coroutine =
    core::detail::returns_task<F&, A...> && (std::is_void_v<core::detail::task_value_t<F&, A...>> ||
                                             std::is_same_v<core::detail::task_value_t<F&, A...>, int>);

} // namespace detail

/// `int main() { return tenure::run(app); }`: runs the coroutine app() to its end and gives the program's exit status:
///   0, or the int that app returns · 1 after a failure of app or of a close hook, which is printed · 130 or 143 after SIGINT
///   or SIGTERM · 70 if tasks could not be ended: they are named, and the program leaves at once, without destructors.
/// app may take the runtime that it runs on, `task<> app(tenure::runtime& rt)`: rt.on_close(f) registers what is to run after
///   all tasks have ended, however they ended.
/// The first SIGINT or SIGTERM cancels app, which has the grace to clean up. The second takes the rest of the grace away:
///   what has not ended is named and left, close hooks run, and the status is 130 or 143. The third, or the second if no
///   task gets to run, ends the program in the handler, whatever it is doing. A signal that is ignored at the start stays
///   ignored.
/// In a process that was started to be a worker of this program it serves as one instead (process/enter_worker.hpp).
/// Owner: of the runtime and all that app spawns; nothing is left when it returns. What is, is printed.
/// Threads: one run() at a time in a process. Handlers are restored at the end.
/// Throws: usage_error inside a task or beside another run(); std::system_error without descriptors or threads.
template <class F>
int run(F app, run_options o = {}) {
    static_assert(detail::app_coroutine<F> || detail::app_coroutine<F, runtime&>,
                  "run takes a coroutine function without arguments, or of the runtime: task<> app() or "
                  "task<int> app(tenure::runtime&)");
    return detail::run_app(
        [&app]([[maybe_unused]] runtime& rt) {
            if constexpr (detail::app_coroutine<F, runtime&>)
                return detail::status_of(app, rt);
            else
                return detail::status_of(app);
        },
        o);
}

} // namespace tenure::inline v0
