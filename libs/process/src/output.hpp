// The standard output and error of a pool's workers, when the pool reads them: a pipe for each, and the lines in it.
//
// WHO DELIVERS  Whoever calls deliver(), one at a time: a task of the runtime that is launched when something is there and ends
//   when nothing is; while the pool closes, a thread of this object.
// INVARIANTS
//  1. Of each stream bytes go through `text`, under the lock and in order; lines are taken from its front by whoever delivers.
//  2. No user code runs under the lock, which is a leaf below the pool's.
//  3. A worker that lives has a pipe, the bound of a line and one read here, at most; all that have ended, kept_of_ended.
//  4. The end of a pipe says nothing: a process that the worker has left may hold it. ended() says that the worker has.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/mutex.hpp>
#include <tenure/base/ref.hpp>
#include <tenure/core/runtime.hpp>
#include <tenure/io/unique_fd.hpp>
#include <tenure/process/options.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace tenure::inline v0::process::detail {

class worker_outputs final : public base::ref_counted {
public:
    using hook = base::ref<core::detail::shared_hook>;
    /// Throws: std::system_error.
    explicit worker_outputs(const pool_options& o, hook report_to);
    ~worker_outputs() override;

    /// What the worker is to have as standard output and error. Throws: std::system_error.
    std::array<io::unique_fd, 2> add(std::uint64_t worker);
    /// What it writes is delivered with its pid: from now on.
    void started(std::uint64_t worker, pid_t pid) noexcept;
    /// It has ended, or never was: takes what is left in its pipes. The tail of its standard error.
    std::string ended(std::uint64_t worker) noexcept;

    /// deliver() would find something, or it lacks_a_pid().
    bool waits() noexcept;
    /// The last deliver() left output of a worker that has not been said to have started.
    bool lacks_a_pid() noexcept;
    /// Becomes readable when it would; not for what ended() has taken.
    int fd() const noexcept { return epoll_.get(); }
    /// Reads what is there, once, and gives the lines to whom they are for. False: nothing was there, or it is going on elsewhere.
    bool deliver() noexcept;

    /// Delivers on a thread if something waits: for a caller that has to go on. True: the thread exists.
    bool deliver_beside() noexcept;
    /// When all workers have ended: delivers what is left, but does not wait longer than that for whoever takes it.
    void finish(base::duration patience) noexcept;

private:
    struct stream {
        std::uint64_t worker;
        pid_t pid;
        int number; // 1, 2
        io::unique_fd fd;
        std::string text;
        std::string tail;
        bool over;
    };
    struct batch {
        pid_t pid;
        int number;
        std::string text;
    };
    using streams = std::vector<std::unique_ptr<stream>>;

    bool something_waits() noexcept TENURE_REQUIRES(m_);
    void read_what_is_there() TENURE_REQUIRES(m_);
    /// True: there may be more.
    bool read_once(stream& s, bool keep) TENURE_REQUIRES(m_);
    std::vector<batch> take_lines() TENURE_REQUIRES(m_);
    void give(const batch& b) noexcept;
    void give_line(const worker_line& l) noexcept;
    void deliver_until_stopped() noexcept;

    const std::function<void(const worker_line&)> to_; // none: to our own output
    const hook report_to_;
    const io::unique_fd epoll_; // of the pipes
    const io::unique_fd stop_event_;
    std::atomic<bool> finished_{false}; // no more lines; relaxed: only saves some
    base::mutex m_;
    base::condition changed_;
    streams streams_ TENURE_GUARDED_BY(m_);
    bool lacks_a_pid_ TENURE_GUARDED_BY(m_) = false;
    bool delivering_ TENURE_GUARDED_BY(m_) = false;
    std::thread::id by_ TENURE_GUARDED_BY(m_);
    bool stop_ TENURE_GUARDED_BY(m_) = false;        // the thread is to end when nothing is left
    bool thread_ended_ TENURE_GUARDED_BY(m_) = true; // or there is none
    std::thread thread_;                             // confined to whoever closes
};

} // namespace tenure::inline v0::process::detail
