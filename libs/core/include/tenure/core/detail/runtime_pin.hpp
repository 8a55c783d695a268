// How a handle that may outlive its runtime uses it: it knows the runtime by a name that is never given twice, and pins it.
//
// INVARIANTS
//  1. A runtime leaves the table only while nobody pins it and it has no task, all seen under the table's lock: what is
//     pinned is not destroyed. A pin is short and runs no user code.
//  2. What was launched by whoever pinned an open runtime is seen by retire(), which waits for the pin: close() waits for
//     what was launched.
//  3. A runtime that had to abandon something stays in the table, shut: it is never freed, and its timers can still be taken
//     out.
//  4. Whoever watches the table hears of each change under its lock: what was heard last is how many there are.
// The table's lock is a leaf: nothing is locked under it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenure::inline v0::core::detail {

class scheduler;

/// The runtime at this address, in its time.
struct runtime_name {
    scheduler* at = nullptr;
    std::uint32_t epoch = 0;
};

/// Keeps a runtime from being destroyed while it lives; converts to false if it is gone already.
class runtime_pin {
public:
    explicit runtime_pin(runtime_name who) noexcept;
    runtime_pin(const runtime_pin&) = delete;
    runtime_pin& operator=(const runtime_pin&) = delete;
    ~runtime_pin();
    explicit operator bool() const noexcept { return runtime_ != nullptr; }
    /// It still takes callbacks.
    bool open() const noexcept { return open_; }
    scheduler* operator->() const noexcept { return runtime_; }
    scheduler& operator*() const noexcept { return *runtime_; }

    /// A new runtime; returns its epoch.
    static std::uint32_t enlist(scheduler& s);
    /// True: no task and no pin is left, none can come, and it can be destroyed. False: it has tasks; ask again.
    static bool retire(scheduler& s) noexcept;
    /// Not open any more: it could not be retired.
    static void shut(scheduler& s) noexcept;
    /// The destructor's: for a runtime that never closed. Waits for pins, too.
    static void strike(scheduler& s) noexcept;

    /// All that live.
    static std::vector<runtime_name> all();
    /// Calls `changed` with the number of runtimes: now, and whenever it changes. One for a process, for ever.
    /// It must not ask the table.
    static void watch(void (*changed)(std::size_t runtimes) noexcept) noexcept;

private:
    scheduler* runtime_ = nullptr;
    std::uint32_t epoch_ = 0;
    bool open_ = false;
};

} // namespace tenure::inline v0::core::detail
