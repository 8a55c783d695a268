// What can go wrong, as small types. Errors own only text and other errors: never a task, a future or a pool.
#pragma once
#include <tenure/base/spawn_site.hpp>

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace tenure::inline v0::base {

/// Base of every error that the runtime itself throws.
class error : public std::runtime_error {
public:
    explicit error(const std::string& what, task_label task = {});
    /// The task that the error speaks of; id 0 if it speaks of none.
    const task_label& task() const noexcept { return *task_; }

private:
    std::shared_ptr<const task_label> task_; // shared: copying an exception must not throw
};

/// A deadline expired before the operation had ended.
class timeout_error : public error {
public:
    using error::error;
};
/// Work was offered to something that accepts no more: a group that has ended, a runtime that closes.
class closed_error : public error {
public:
    using error::error;
};
/// The awaited task was cancelled by somebody else, or a scope cancelled itself and has no value.
class task_cancelled : public error {
public:
    using error::error;
};
/// What would have given the result is gone.
class abandoned : public error {
public:
    using error::error;
};
/// A stream's producer gave neither an item nor a sign of life for as long as its limit allows.
class stalled_error : public error {
public:
    using error::error;
};
/// The API was used in a way that cannot work: a blocking wait inside a task, a result taken twice.
class usage_error : public error {
public:
    using error::error;
};
/// Every task waits and nothing can wake one: thrown by the deterministic test driver.
class deadlock_error : public error {
public:
    using error::error;
};

/// A failure, and whose it is. No id: of a group's body or a cleanup.
struct task_failure {
    task_label task;
    std::exception_ptr error;
};

/// Two or more failures of one group, in the order in which they happened. A single failure is rethrown as it is.
/// what() has a line for each: the task, where it was spawned, what() of its error.
class group_error : public error {
public:
    explicit group_error(std::vector<std::exception_ptr> errors, task_label task = {});
    explicit group_error(std::vector<task_failure> failures, task_label task = {});
    const std::vector<std::exception_ptr>& errors() const noexcept { return all_->errors; }
    const std::vector<task_failure>& failures() const noexcept { return all_->failures; }

private:
    struct contents {
        std::vector<task_failure> failures;
        std::vector<std::exception_ptr> errors;
    };
    std::shared_ptr<const contents> all_;
};

/// A task was never run: one whose future it was given failed, was cancelled, or had its value taken.
/// task() is that one. Tasks further down the line get the same error.
class dependency_failed : public error {
public:
    explicit dependency_failed(std::exception_ptr why, task_label parent = {});
    /// What the parent threw; task_cancelled if it was cancelled.
    const std::exception_ptr& why() const noexcept { return why_; }

private:
    std::exception_ptr why_;
};

/// Thrown by `checkpoint()` in plain functions only. Not a std::exception, so that a catch of those cannot eat it.
struct cancelled {};

/// what() of the exception, or a line that names its kind if it is no std::exception.
std::string describe(const std::exception_ptr& e);

enum class reason : unsigned char { none, cancelled, deadline, failure, shutdown };
const char* to_string(reason r) noexcept;

/// Why something was cancelled. Fixed by the first request.
struct cause {
    reason kind = reason::none;
    std::string message;
    task_label source{}; // the task that asked, if one did
};
using cause_ptr = std::shared_ptr<const cause>;

} // namespace tenure::inline v0::base
