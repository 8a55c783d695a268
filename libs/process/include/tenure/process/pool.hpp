// pool: worker processes that run functions of this program.
//
//   int main() {
//       if (auto status = process::enter_worker()) return *status;      // not needed with tenure::run(app)
//       …
//       process::pool workers(4);                                        // inside a task
//       double a = co_await workers.call(fn<&integrate>, 0.0, 1.0);
//   }
#pragma once
#include <tenure/core/runtime.hpp>
#include <tenure/process/detail/call.hpp>
#include <tenure/process/errors.hpp>
#include <tenure/process/shared_buffer.hpp>
#include <tenure/runner/runner.hpp>

#include <sys/types.h>
#include <vector>

namespace tenure::inline v0::process {

namespace detail {
class pool_state;
}

/// What a pool has at this moment.
struct pool_status {
    std::vector<pid_t> workers;    // those that have started and have not ended
    pid_t supervisor = 0;          // their parent; 0: none
    std::size_t queued = 0;        // calls that no worker has been given
    std::size_t published = 0;     // calls that a worker has, or runs
    std::uint64_t replaced = 0;    // workers that were started in place of one that ended
    std::uint64_t supervisors = 0; // that were started
    std::uint64_t idled = 0;       // workers that have ended because they had nothing to do
};

/// Worker processes and the supervisor that starts and reaps them. A worker that dies costs the call that it ran; that call
/// fails with worker_died, calls that it had not begun run elsewhere, and another worker takes its place.
/// As a runner (runner/runner.hpp) it takes what every runner takes; call() has less overhead and options.
/// Owner: of the processes and of all that they start and leave behind. The destructor closes.
/// Threads: any. Its calls are awaited in tasks of the runtime that it was made for.
class pool final : public tenure::runner::runner {
public:
    /// Inside a task: for the runtime that runs it.
    /// Throws: usage_error (main() does not call enter_worker(), no epoll driver, options that make no sense);
    ///   std::system_error; start_error if the supervisor cannot be started.
    explicit pool(pool_options o = {});
    explicit pool(core::runtime& rt, pool_options o = {});
    /// n workers, whatever o.workers says; 0: one for each CPU that this process may use. Otherwise as above.
    explicit pool(unsigned n, pool_options o = {});
    pool(core::runtime& rt, unsigned n, pool_options o = {});
    ~pool() override;

    /// `R r = co_await p.call(f, args...)`: runs f(args...) in a worker. f is wire::fn<&function>, a lambda without captures or
    /// an aggregate function object; the arguments become f's parameter types, and are sent, before call() returns.
    /// An argument that is given as an rvalue (std::move) holds nothing afterwards.
    /// In f, this_task::checkpoint() and deadline() are those of the awaiting task.
    /// Owner: the awaiting task.
    /// Cancel: a call that no worker has begun never begins. One that runs sees it at its checkpoints; after the grace the
    ///   worker gets SIGTERM, after another one SIGKILL. The await ends when the call has: a value that it returns is kept.
    /// Timeout: call_options::timeout, from its begin in the worker; before, and with it, with_timeout.
    /// Throws: what f throws (errors.hpp: as its own type, or remote_error); worker_died; timeout_error; start_error;
    ///   closed_error if the pool was closed; usage_error if the call is longer than max_message, or awaited in a task of
    ///   another runtime; wire_error.
    template <class F, class... A>
        requires(!std::is_same_v<F, call_options>)
    auto call(const F& f, A&&... arguments) {
        return call(call_options{}, f, std::forward<A>(arguments)...);
    }
    template <class F, class... A>
    auto call(const call_options& o, const F& f, A&&... arguments) {
        return detail::await_call<typename detail::result_of<F>::type>(
            state_, detail::make_record(*state_, o, f, std::forward<A>(arguments)...));
    }

    /// `std::vector<std::byte> answer = co_await p.request(bytes)`: for workers that are another program
    /// (pool_options::program), which understands them. Otherwise as call().
    auto request(std::span<const std::byte> message, const call_options& o = {}) {
        auto r = std::make_unique<detail::call_record>(o);
        r->message.bytes(message.data(), message.size());
        return detail::await_answer(state_, std::move(r));
    }

    /// n values of T, which are not set, where all workers see them (shared_buffer.hpp): passing them to a call is no copy.
    /// Owner: the caller; it may outlive the pool. Of a pool whose workers are another program, or where the system
    ///   gives no such memory, it is memory of this process.
    /// Throws: usage_error if it is longer than max_message; std::length_error if there is no room beside the other buffers
    ///   and calls; std::bad_alloc.
    template <class T>
    shared_buffer<T> buffer(std::size_t n) {
        return shared_buffer<T>(new_block(n, sizeof(T)));
    }

    /// For runner::call(p, f, args...) and what is built on runners. Cancel, throws: as call().
    core::task<> run(tenure::runner::job& j) override;
    unsigned width() const noexcept override;
    std::uint64_t most_bytes() const noexcept override;
    std::string_view kind() const noexcept override { return "processes"; }
    std::shared_ptr<tenure::runner::runner> share() override;

    /// Accepts no more calls; fails those that no worker has begun, cancels those that run, tells the workers to leave, ends
    /// those that do not, and all that they left. Idempotent. Blocks this thread meanwhile.
    /// Timeout: twice the grace and about ten seconds.
    void close() noexcept;

    pool_status status();

private:
    class handle;
    base::ref<detail::shared_block> new_block(std::size_t n, std::size_t each);
    detail::pool_state& state() const noexcept;
    base::ref<detail::call_taker> state_; // a pool_state
    std::shared_ptr<handle> shared_;
};

} // namespace tenure::inline v0::process
