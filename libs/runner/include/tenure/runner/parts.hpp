// Jobs of several parts: calls that travel together and run one after the other, each with a result of its own. When one of them
// is ended by force, the results of those before it are kept, and those after it have not begun.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/runner/runner.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>

namespace tenure::inline v0::runner {

/// Why a part has no value.
enum class part_failure : std::uint8_t { thrown, timed_out, worker_died };

/// What a job of several parts is to a runner that carries it elsewhere. run() of such a job
///   - tells the results in the order of the parts, each once, by read_value() or failed(), before it returns;
///   - tells a part that has taken longer than timeout() on time, as failed(), and returns; what runs is the
///     runner's to end;
///   - tells a part that ended its process as failed(), and returns;
///   - may return with fewer than all results, if at least one was told: the parts without one have not begun;
///   - throws if it can blame no part.
/// Owner: the job. Threads: one at a time.
class parts {
public:
    parts() = default;
    parts(const parts&) = delete;
    parts& operator=(const parts&) = delete;
    /// After job::write_call().
    virtual std::size_t count() const noexcept = 0;
    /// Of each part, from its begin; base::duration::max(): none.
    virtual base::duration timeout() const noexcept = 0;
    /// The next part's result; more may follow it. Throws: wire_error.
    virtual void read_value(wire::reader& r) = 0;
    /// The next part has failed.
    virtual void failed(std::exception_ptr e, part_failure how) = 0;

protected:
    ~parts() = default;
};

/// Where the function of such a job leaves its results, in the process that runs it:
///   auto& out = part_results::here();
///   while (…) { out.begin(); … wire::write(out.value(), v); … if (!out.end()) return; }
/// Threads: that of the function.
class part_results {
public:
    part_results(const part_results&) = delete;
    part_results& operator=(const part_results&) = delete;
    /// Throws: usage_error if this thread runs no jobs of a runner.
    static part_results& here();

    /// Throws: task_cancelled if the job was told to stop.
    virtual void begin() = 0;
    /// Empty after begin().
    virtual wire::writer& value() noexcept = 0;
    /// The part has a value. False: no more parts.
    virtual bool end() = 0;
    /// The part has failed with the exception that is being handled. False: no more parts.
    /// Throws: that exception, if the job is cancelled.
    virtual bool end_failed() = 0;

protected:
    part_results() noexcept;
    ~part_results();

private:
    part_results* const outer_;
};

} // namespace tenure::inline v0::runner
