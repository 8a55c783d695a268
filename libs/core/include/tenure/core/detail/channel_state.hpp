// What the handles of a channel share.
//
// With a capacity: items go through a ring without a lock; whoever finds it full, or empty, lists itself and is notified.
// Without: a sender and a receiver meet. The one that comes second, under the lock, takes the first that waits as `given`,
// and moves the item between their two operations after it has let go of the lock. So no code of T runs under a lock.
#pragma once
#include <tenure/core/detail/chooser.hpp>
#include <tenure/core/detail/item_ring.hpp>

#include <limits>

namespace tenure::inline v0::core::detail {

class channel_base : public base::ref_counted {
public:
    enum class side : std::uint8_t { send, receive };

    /// What is left is for somebody else of this side, if there is one.
    void wake_one(side who) noexcept;
    base::mutex& lock() noexcept { return m_; }
    bool any(side who) const noexcept { return list_of(who).any(); }
    void list(side who, wait_node& n, bool again) noexcept TENURE_REQUIRES(m_) { list_of(who).add(n, again); }
    void unlist(side who, wait_node& n) noexcept {
        base::mutex_lock l(m_);
        list_of(who).remove(n);
    }
    /// A partner without a buffer; the caller settles with it, and wakes it.
    wait_node* take_waiting(side who) noexcept TENURE_REQUIRES(m_) {
        return list_of(who).take_first(chosen::given);
    }

protected:
    void wake_all() noexcept;

    base::mutex m_;

private:
    wait_list& list_of(side who) noexcept { return who == side::send ? senders_ : receivers_; }
    const wait_list& list_of(side who) const noexcept { return who == side::send ? senders_ : receivers_; }
    wait_list senders_, receivers_; // under m_, but for any()
};

[[noreturn]] void throw_channel_closed();
void throw_bad_capacity(std::size_t capacity, std::size_t most);
/// A slot of the ring is being filled or emptied by another thread.
void let_others_finish(unsigned looks) noexcept;

template <class T>
class channel_state final : public channel_base {
    static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                  "an item of a channel must be nothrow-movable, or it could be lost on its way: send a "
                  "std::unique_ptr to it");

public:
    explicit channel_state(std::size_t capacity) {
        // Twice the capacity and a bit have to fit into a position, and leave room for laps.
        constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
        if (capacity > most) throw_bad_capacity(capacity, most);
        if (capacity > 0) ring_.emplace(capacity);
    }

    bool buffered() const noexcept { return ring_.has_value(); }
    // With a buffer: done, not_now or closed.
    transfer push(T& v) noexcept {
        transfer how = ring_->push(v);
        for (unsigned looks = 0; how == transfer::busy; how = ring_->push(v))
            let_others_finish(++looks);
        if (how == transfer::done && any(side::receive)) wake_one(side::receive);
        return how;
    }
    transfer pop(std::optional<T>& into) noexcept {
        transfer how = ring_->pop(into);
        for (unsigned looks = 0; how == transfer::busy; how = ring_->pop(into))
            let_others_finish(++looks);
        if (how == transfer::done && any(side::send)) wake_one(side::send);
        return how;
    }
    // Without one.
    transfer hand_over(T& v) noexcept {
        wait_node* partner = nullptr;
        {
            base::mutex_lock l(m_);
            if (closed_) return transfer::closed;
            partner = take_waiting(side::receive);
        }
        if (!partner) return transfer::not_now;
        hand_to(*partner, v);
        return transfer::done;
    }
    transfer take_over(std::optional<T>& into) noexcept {
        wait_node* partner = nullptr;
        bool closed = false;
        {
            base::mutex_lock l(m_);
            partner = take_waiting(side::send);
            closed = closed_;
        }
        if (!partner) return closed ? transfer::closed : transfer::not_now;
        take_from(*partner, into);
        return transfer::done;
    }
    static void hand_to(wait_node& receiver, T& v) noexcept {
        static_cast<std::optional<T>*>(receiver.item)->emplace(std::move(v));
        receiver.given = true;
        receiver.who->wake();
    }
    static void take_from(wait_node& sender, std::optional<T>& into) noexcept {
        into.emplace(std::move(*static_cast<T*>(sender.item)));
        sender.given = true;
        sender.who->wake();
    }

    bool close() noexcept {
        bool first = false;
        if (ring_) {
            first = ring_->close();
        } else {
            base::mutex_lock l(m_);
            first = !std::exchange(closed_, true);
        }
        if (first) wake_all();
        return first;
    }
    bool closed() noexcept {
        if (ring_) return ring_->closed();
        base::mutex_lock l(m_);
        return closed_;
    }
    bool closed_here() const noexcept TENURE_REQUIRES(m_) { return closed_; }
    std::size_t size() const noexcept { return ring_ ? ring_->size() : 0; }
    std::size_t capacity() const noexcept { return ring_ ? ring_->capacity() : 0; }
    bool full() const noexcept { return ring_->full(); }
    bool empty() const noexcept { return ring_->empty(); }

private:
    std::optional<item_ring<T>> ring_;          // constant: has it one?
    bool closed_ TENURE_GUARDED_BY(m_) = false; // without one
};

/// A side of a channel, as an arm. `Side` is what differs: see send_arm and receive_arm.
template <class T>
class channel_arm : public choice_arm {
public:
    using state = channel_state<T>;
    base::mutex* lock() noexcept final { return of_->buffered() ? nullptr : &of_->lock(); }
    void list(chooser& who, bool again) noexcept final TENURE_NO_ANALYSIS { // its lock is held if it has one
        node_.who = &who;
        node_.given = false;
        if (!of_->buffered()) return of_->list(side_, node_, again);
        base::mutex_lock l(of_->lock());
        of_->list(side_, node_, again);
    }
    bool may_be_ready() noexcept final {
        return of_->buffered() && !(side_ == channel_base::side::send ? of_->full() : of_->empty());
    }
    void unlist() noexcept final { of_->unlist(side_, node_); }
    void pass_on() noexcept final {
        if (may_be_ready() && of_->any(side_)) of_->wake_one(side_);
    }
    bool was_given() const noexcept final { return node_.given; }
    /// It waits, or may: the channel stays until it has ended.
    void keep() noexcept {
        if (!kept_) kept_ = base::ref<state>::share(of_);
    }
    state& channel() const noexcept { return *of_; }

protected:
    channel_arm(state& of, channel_base::side s, void* item) noexcept : of_(&of), side_(s) {
        node_.item = item;
    }
    ~channel_arm() = default;

    wait_node* partner_ = nullptr;

private:
    state* of_;
    base::ref<state> kept_;
    channel_base::side side_;
    wait_node node_;
};

template <class T>
class send_arm final : public channel_arm<T> {
public:
    send_arm(channel_state<T>& to, T&& v) noexcept
        : channel_arm<T>(to, channel_base::side::send, &value_), value_(std::move(v)) {}
    /// Without waiting, if that needs no lock.
    bool try_now() noexcept { return this->channel().buffered() && took(this->channel().push(value_)); }
    bool try_take() noexcept override TENURE_NO_ANALYSIS {
        if (this->channel().buffered()) return took(this->channel().push(value_));
        if (this->channel().closed_here()) return took(transfer::closed);
        this->partner_ = this->channel().take_waiting(channel_base::side::receive);
        return this->partner_;
    }
    void settle() noexcept override {
        if (this->partner_) this->channel().hand_to(*this->partner_, value_);
    }
    /// Throws: closed_error.
    void result() const {
        if (closed_) throw_channel_closed();
    }
    T&& value() noexcept { return std::move(value_); }

private:
    bool took(transfer how) noexcept {
        closed_ = how == transfer::closed;
        return how != transfer::not_now;
    }
    T value_;
    bool closed_ = false;
};

template <class T>
class receive_arm final : public channel_arm<T> {
public:
    explicit receive_arm(channel_state<T>& from) noexcept
        : channel_arm<T>(from, channel_base::side::receive, &got_) {}
    bool try_now() noexcept {
        return this->channel().buffered() && this->channel().pop(got_) != transfer::not_now;
    }
    bool try_take() noexcept override TENURE_NO_ANALYSIS {
        if (this->channel().buffered()) return this->channel().pop(got_) != transfer::not_now;
        this->partner_ = this->channel().take_waiting(channel_base::side::send);
        return this->partner_ || this->channel().closed_here();
    }
    void settle() noexcept override {
        if (this->partner_) this->channel().take_from(*this->partner_, got_);
    }
    std::optional<T> result() noexcept { return std::move(got_); }

private:
    std::optional<T> got_; // empty: the channel has ended
};

template <class Arm>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] channel_operation final
    : public choice_operation {
public:
    template <class... A>
    explicit channel_operation(A&&... a) noexcept : arm_(std::forward<A>(a)...) {}
    channel_operation(const channel_operation&) = delete;
    channel_operation& operator=(const channel_operation&) = delete;
    bool ready() noexcept { return arm_.try_now(); }
    void start(strand& s, frame& f) {
        arm_.keep();
        choice_operation::start(s, f);
    }
    decltype(auto) result() { return arm_.result(); }
    Arm& arm() noexcept { return arm_; }
    channel_operation& keep() & noexcept {
        arm_.keep();
        return *this;
    }

private:
    std::span<choice_arm* const> arms() noexcept override { return {&one_, 1}; }
    Arm arm_;
    choice_arm* one_ = &arm_;
};

} // namespace tenure::inline v0::core::detail
