// event: a condition that tasks wait for, until somebody sets it.
#pragma once
#include <tenure/base/mutex.hpp>
#include <tenure/core/detail/frame.hpp>

namespace tenure::inline v0::core {

/// Set or not set. Waiting for a set event returns at once.
/// Owner: whoever holds it; it must outlive the tasks that wait for it.
/// Threads: any.
class event {
    class [[nodiscard("nothing happens before it is awaited: write co_await")]] wait_operation final
        : public detail::operation {
    public:
        using tenure_operation = void;
        static constexpr bool is_checkpoint = true;
        explicit wait_operation(event& e) noexcept : event_(e) {}
        bool ready() { return event_.is_set(); }
        void start(detail::strand& s, detail::frame&) {
            waiting_ = &s;
            s.wait(this);
            if (!event_.add(*this)) s.next = detail::step::resume;
        }
        bool try_cancel() noexcept override { return event_.remove(*this); }
        void result() const noexcept {}

    private:
        friend class event;
        event& event_;
        detail::strand* waiting_ = nullptr;
        // Guarded by the event's lock until set() has taken the list; then by the thread that set it.
        wait_operation *next_ = nullptr, *prev_ = nullptr;
        std::uint64_t round_ = 0; // how often the event had been set when it was listed
    };

public:
    event() = default;
    event(const event&) = delete;
    event& operator=(const event&) = delete;

    /// Wakes all that wait.
    void set() noexcept;
    void reset() noexcept;
    bool is_set() noexcept;
    /// `co_await e.wait()`. Cancel: the wait ends, the event is untouched.
    auto wait() noexcept { return wait_operation(*this); }

private:
    bool add(wait_operation& w) noexcept;
    bool remove(wait_operation& w) noexcept;

    base::mutex m_;
    bool set_ TENURE_GUARDED_BY(m_) = false;
    std::uint64_t rounds_ TENURE_GUARDED_BY(m_) = 0;
    wait_operation* waiters_ TENURE_GUARDED_BY(m_) = nullptr;
};

} // namespace tenure::inline v0::core
