// wait_listener: told when a function of run_blocking waits for others.
#pragma once

namespace tenure::inline v0::core {
namespace detail {
class blocking_call;
}

/// Made inside a function of run_blocking: told, on its thread, when the function is about to block for a future, a channel or a
/// stream, and when it goes on. Of several the newest is told. Made elsewhere it is never told.
/// Owner: the function, on its stack.
class wait_listener {
public:
    wait_listener() noexcept;
    wait_listener(const wait_listener&) = delete;
    wait_listener& operator=(const wait_listener&) = delete;
    virtual void wait_begins() noexcept = 0;
    /// The function goes on when this returns.
    virtual void wait_ends() noexcept = 0;

protected:
    ~wait_listener();

private:
    detail::blocking_call* told_by_ = nullptr;
    wait_listener* before_ = nullptr;
};

} // namespace tenure::inline v0::core
