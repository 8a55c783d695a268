// What the handles of a channel share.
//
// With a capacity: items go through a ring without a lock; whoever finds it full, or empty, lists itself and is notified.
// Without: a sender and a receiver meet. The one that comes second, under the lock, takes the first that waits as `given`,
// and moves the item between their two operations after it has let go of the lock. So no code of T runs under a lock.
#pragma once
#include <tenure/core/detail/chooser.hpp>
#include <tenure/core/detail/step_back.hpp>

#include <limits>

namespace tenure::inline v0::core::detail {

class channel_base : public base::ref_counted {
public:
    enum class side : std::uint8_t { send, receive };

    /// What is left is for somebody else of this side, if there is one.
    void wake_one(side who) noexcept;
    base::mutex& lock() noexcept { return m_; }
    bool any(side who) const noexcept { return list_of(who).any(); }
    void list(side who, wait_node& n, bool first) noexcept TENURE_REQUIRES(m_) { list_of(who).add(n, first); }
    /// False: it was popped.
    bool unlist(side who, wait_node& n) noexcept {
        base::mutex_lock l(m_);
        return list_of(who).remove(n);
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
[[noreturn]] void throw_item_spent();
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
    /// try_buffer() has just failed, and its side is about to wait. Not under a lock.
    template <class Half>
    bool let_others_ahead(Half& half) noexcept {
        constexpr bool sends = Half::side == side::send;
        step_back& here = sends ? sender_steps_ : receiver_steps_;
        if (!here.paused(sends ? ring_->gone_in() : ring_->come_out())) return false;
        const bool taken = half.try_buffer();
        here.found(taken);
        return taken;
    }
    bool full() const noexcept { return ring_->full(); }
    bool empty() const noexcept { return ring_->empty(); }

private:
    step_back sender_steps_, receiver_steps_;
    std::optional<item_ring<T>> ring_;          // constant: has it one?
    bool closed_ TENURE_GUARDED_BY(m_) = false; // without one
};

/// One item on its way in, and one on its way out: all that an operation needs that does not wait.
template <class T>
struct sending {
    static constexpr auto side = channel_base::side::send;
    channel_state<T>* to;
    T item;
    bool refused = false; // the channel is closed
    bool spent = false;
    void begin() const {
        if (spent) throw_item_spent();
    }
    /// Of a channel with a buffer.
    bool try_buffer() noexcept {
        const transfer how = to->push(item);
        refused = how == transfer::closed;
        return how != transfer::not_now;
    }
    /// Of one without, its lock held; no partner waits.
    bool ended() noexcept TENURE_NO_ANALYSIS { return refused = to->closed_here(); }
    void meet(wait_node& receiver) noexcept { to->hand_to(receiver, item); }
    void* place() noexcept { return &item; }
    channel_state<T>& channel() const noexcept { return *to; }
    /// Throws: closed_error.
    void result() {
        spent = true;
        if (refused) throw_channel_closed();
    }
};
template <class T>
struct receiving {
    static constexpr auto side = channel_base::side::receive;
    channel_state<T>* from;
    std::optional<T> item{}; // stays empty: the channel has ended
    static constexpr bool refused = false;
    static void begin() noexcept {}
    bool try_buffer() noexcept { return from->pop(item) != transfer::not_now; }
    bool ended() const noexcept TENURE_NO_ANALYSIS { return from->closed_here(); }
    void meet(wait_node& sender) noexcept { from->take_from(sender, item); }
    void* place() noexcept { return &item; }
    channel_state<T>& channel() const noexcept { return *from; }
    std::optional<T> result() noexcept { return std::exchange(item, std::nullopt); }
};

/// One of the two, as something that is waited for.
template <class Half>
class channel_arm final : public choice_arm {
public:
    explicit channel_arm(Half& h) noexcept : half_(h), kept_(base::ref<channel_base>::share(&h.channel())) {
        node_.item = h.place();
    }
    base::mutex* lock() noexcept override { return of().buffered() ? nullptr : &of().lock(); }
    bool try_take() noexcept override TENURE_NO_ANALYSIS { // lock() is held
        if (of().buffered()) return half_.try_buffer();
        constexpr auto other = Half::side == side::send ? side::receive : side::send;
        partner_ = of().take_waiting(other);
        return partner_ || half_.ended();
    }
    void settle() noexcept override {
        if (partner_) half_.meet(*partner_);
    }
    void list(chooser& who) noexcept override TENURE_NO_ANALYSIS { // as try_take()
        node_.who = &who;
        if (!of().buffered()) return of().list(Half::side, node_, in_vain_);
        base::mutex_lock l(of().lock());
        of().list(Half::side, node_, in_vain_);
    }
    bool may_be_ready() noexcept override {
        return of().buffered() && !(Half::side == side::send ? of().full() : of().empty());
    }
    void unlist() noexcept override { in_vain_ = !of().unlist(Half::side, node_); }
    void pass_on() noexcept override {
        if (may_be_ready() && of().any(Half::side)) of().wake_one(Half::side);
    }
    bool was_given() const noexcept override { return node_.given; }
    Half& half() noexcept { return half_; }

private:
    using side = channel_base::side;
    auto& of() const noexcept { return half_.channel(); }
    Half& half_;
    base::ref<channel_base> kept_; // while it waits
    wait_node* partner_ = nullptr;
    bool in_vain_ = false; // it was woken; listed again, it keeps its place
    wait_node node_;
};

/// `co_await c.send(v)` and `co_await c.receive()`. What only a wait needs is made when it has to wait.
template <class Half>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] channel_operation final {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    explicit channel_operation(Half h) noexcept : half_(std::move(h)) {}
    /// Before it is awaited.
    channel_operation(channel_operation&& o) noexcept : half_(std::move(o.half_)) {}
    channel_operation& operator=(const channel_operation&) = delete;
    ~channel_operation() = default;
    bool ready() {
        half_.begin();
        return half_.channel().buffered() && half_.try_buffer();
    }
    void start(strand& s, frame& f) {
        half_.begin();
        const bool found_nothing = s.budget > 0; // or ready() was not asked
        if (found_nothing && half_.channel().buffered() && half_.channel().let_others_ahead(half_)) {
            s.next = half_.refused && s.cancelled() ? step::unwind : step::resume;
            return;
        }
        wait_.emplace(half_).start(s, f);
    }
    decltype(auto) result() { return half_.result(); }
    /// For select_any().
    Half& half() noexcept { return half_; }

private:
    class wait final : public choice_operation {
    public:
        explicit wait(Half& h) noexcept : half_(h), arm_(h) {}

    private:
        std::span<choice_arm* const> arms() noexcept override { return {&one_, 1}; }
        bool refused() const noexcept override { return half_.refused; }
        Half& half_;
        channel_arm<Half> arm_;
        choice_arm* one_ = &arm_;
    };
    Half half_;
    std::optional<wait> wait_;
};

/// Of a buffer: without a wait, but for the moment in which the other side goes ahead. Not under a lock.
template <class Half>
bool take_at_once(Half& half) noexcept {
    return half.channel().buffered() && (half.try_buffer() || half.channel().let_others_ahead(half));
}
/// For a thread. A buffer that has what is wanted takes no other thread's time; listed() as choose_blocking().
template <class Half>
void wait_blocking(Half& half, const std::function<void()>& listed = {}) {
    check_blocking_wait(nullptr);
    if (take_at_once(half)) return;
    channel_arm<Half> arm(half);
    choice_arm* const one[] = {&arm};
    choose_blocking(one, listed);
}
template <class Half>
decltype(auto) transfer_blocking(Half half) {
    wait_blocking(half);
    return half.result();
}

} // namespace tenure::inline v0::core::detail
