// stand_in: another thread in place of a worker whose function may not come back.
#pragma once
#include <tenure/base/mutex.hpp>
#include <tenure/core/detail/strand.hpp>

namespace tenure::inline v0::core {

/// A plain function says on its worker where it begins and ends something that may take for ever; whoever notices that it does
/// calls for another thread, which works in the worker's place until the function has come back.
/// Owner: whoever holds it; it must outlive the function.
/// Threads: begin() and end() on the worker, call() on any.
class stand_in {
public:
    /// Does nothing outside of a plain function that runs as a task, or without background workers.
    void begin() noexcept;
    void end() noexcept;
    /// True: another thread works now. False: there was no need, or none is to be had (runtime_options::blocking_threads).
    bool call() noexcept;

private:
    base::mutex m_;
    detail::scheduler* worker_of_ TENURE_GUARDED_BY(m_) = nullptr; // between begin() and end()
    bool called_ TENURE_GUARDED_BY(m_) = false;
};

} // namespace tenure::inline v0::core
