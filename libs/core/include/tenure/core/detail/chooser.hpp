// The waiting half of channels and of select_any(): one loop that tries arms, lists them, and tries again when woken.
#pragma once
#include <tenure/core/detail/frame.hpp>
#include <tenure/core/detail/wait_list.hpp>
#include <tenure/core/detail/wake_up.hpp>

#include <cstddef>
#include <functional>
#include <span>

namespace tenure::inline v0::core::detail {

template <class T>
using choice_atomic = std::atomic<T>;

class chooser;
using wait_node = basic_wait_node<chooser>;
using wait_list = basic_wait_list<choice_atomic, chooser>;

/// One of the things that a chooser waits for.
class choice_arm {
public:
    /// Takes it if it can be had without waiting; with lock() held, if there is one.
    virtual bool try_take() noexcept = 0;
    /// After that, without the locks: moves what was taken.
    virtual void settle() noexcept {}
    /// To be held while it is tried and listed, together with those of the other arms. Null: none.
    virtual base::mutex* lock() noexcept { return nullptr; }
    /// From here on a change notifies the chooser. Whoever was woken for nothing keeps its place.
    virtual void list(chooser& who) noexcept = 0;
    /// After list(), without a lock: could it be taken now? Then nobody may have seen us to notify.
    virtual bool may_be_ready() noexcept = 0;
    /// Afterwards nothing reaches the chooser by this arm.
    virtual void unlist() noexcept = 0;
    /// Whoever was notified, and has dealt with its arms: another waiter may want what is left.
    virtual void pass_on() noexcept {}
    /// A partner has dealt with it, and moved the item.
    virtual bool was_given() const noexcept { return false; }

protected:
    ~choice_arm() = default;
};

class chooser {
public:
    chooser() = default;
    chooser(const chooser&) = delete;
    chooser& operator=(const chooser&) = delete;

    basic_choice_word<choice_atomic> word;

    /// Tries the arms in turn. Some arm's number: it has been taken. `none`: all are listed, and wake() will come, or has come.
    std::size_t begin(std::span<choice_arm* const> arms) noexcept { return try_and_list(arms); }
    /// After wake(), the same. Once it gives a number, nothing is listed.
    std::size_t woken(std::span<choice_arm* const> arms) noexcept;
    /// After wake(), in place of woken(): takes nothing, except what was given. `none`: nothing.
    std::size_t leave(std::span<choice_arm* const> arms) noexcept;
    /// True: wake() will not come, and nothing is listed.
    bool withdraw(std::span<choice_arm* const> arms) noexcept;

    /// By whoever took the word, once.
    void wake() noexcept {
        if (strand_)
            strand_->complete();
        else
            thread_->wake();
    }
    void notify() noexcept {
        if (word.take(chosen::notified)) wake();
    }
    void wakes(strand& s) noexcept { strand_ = &s; }
    void wakes(wake_up& thread) noexcept { thread_ = &thread; }

    static constexpr std::size_t none = static_cast<std::size_t>(-1);

private:
    std::size_t try_and_list(std::span<choice_arm* const> arms) noexcept;
    static std::size_t unlist(std::span<choice_arm* const> arms) noexcept;
    static void pass_on(std::span<choice_arm* const> arms) noexcept;

    strand* strand_ = nullptr;
    wake_up* thread_ = nullptr;
};

/// A wait of a coroutine for one of its arms.
class choice_operation : public operation, public link {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;

    void start(strand& s, frame&) {
        chooser_.wakes(s);
        s.wait(this, this);
        if (const auto i = chooser_.begin(arms()); i != chooser::none) take(s, i);
    }
    bool try_cancel() noexcept final { return chooser_.withdraw(arms()); }
    void woken(strand& s) noexcept override;
    bool child_ended(strand&, ending) noexcept final { return true; } // it starts no child

protected:
    ~choice_operation() = default;
    virtual std::span<choice_arm* const> arms() noexcept = 0;
    virtual void taken(std::size_t) noexcept {}
    /// What was taken is a refusal, which gives way to a cancellation of the task.
    virtual bool refused() const noexcept { return false; }

private:
    void take(strand& s, std::size_t i) noexcept {
        taken(i);
        s.next = refused() && s.cancelled() ? step::unwind : step::resume;
    }
    chooser chooser_;
};

/// The same for a thread. Returns the arm's number. Calls listed() when it has begun to wait.
std::size_t choose_blocking(std::span<choice_arm* const> arms, const std::function<void()>& listed = {});

} // namespace tenure::inline v0::core::detail
