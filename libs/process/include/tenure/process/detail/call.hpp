// A call on its way: the await of it, and the record that the pool keeps of it meanwhile.
#pragma once
#include <tenure/base/ref.hpp>
#include <tenure/core/operation.hpp>
#include <tenure/process/detail/message_blocks.hpp>
#include <tenure/process/options.hpp>
#include <tenure/runner/parts.hpp>
#include <tenure/runner/runner.hpp>

#include <array>
#include <exception>
#include <memory>
#include <vector>

namespace tenure::inline v0::process::detail {

struct pool_worker;

/// Messages of so many bytes are written into the pool's block store at once.
inline constexpr std::size_t large_message = std::size_t{64} << 10;

/// What a call has in the block store. Kept by its record, and by its worker's entry as long as the worker may look at it.
/// Constant from the submission to the end.
struct call_blocks : base::ref_counted {
    base::ref<shared_block> message;              // null: it lies elsewhere
    std::vector<base::ref<shared_block>> buffers; // that it was given
    base::ref<call_blocks> next;                  // while they wait to be let go of
};

/// nowhere -submit-> queued -publish-> published -> ended
///           queued, published (not taken) -withdraw-> nowhere        published -its worker died before it was taken-> queued
/// Guarded by the pool's lock, but for what is marked.
struct call_record : core::detail::pooled {
    /// `store`: for a message that is large; null: there is none.
    explicit call_record(const call_options& o = {}, block_store* store = nullptr)
        : memory(store), timeout(o.timeout), grace(o.grace) {
        if (store) message.take_large_from(memory, large_message);
    }
    /// Writes the call by `write`, a function without arguments. hands_over: the buffers in it; otherwise they are copied.
    template <class Write>
    void write_call(block_store* store, const Write& write, bool hands_over = true) {
        if (!store) return write();
        if (hands_over) {
            sent_blocks blocks(*this, store);
            const keeps_blocks here(blocks, &message, nullptr);
            write();
        } else {
            write();
        }
        if (!memory.block()) return;
        // It has outgrown the store, and lies elsewhere.
        if (message.message().data() != memory.block()->bytes().data()) return memory.let_go();
        if (message.size() < large_message) return; // it was shortened, and goes as small ones do
        memory.trim(message.size());
        sent_to_worker().message = memory.block();
    }
    /// Throws: usage_error if somebody else has a buffer that is handed over.
    void require_only_owner() const;
    call_blocks& sent_to_worker() {
        if (!sent) sent = base::ref<call_blocks>::adopt(new call_blocks);
        return *sent;
    }
    /// From now on the message is the result; what was sent stays as it is.
    void begin_result() noexcept {
        message.start_over(scratch);
        memory.let_go();
    }
    enum class place : std::uint8_t { nowhere, queued, published, ended };
    enum class ending : std::uint8_t { value, failure, cancelled };

    /// Buffers that it is given, and gets back.
    class sent_blocks final : public block_keeper {
    public:
        sent_blocks(call_record& r, const block_store* store) noexcept : record_(r), store_(store) {}
        std::optional<std::uint64_t> send(const base::ref<shared_block>& b) override;
        base::ref<shared_block> receive(std::uint64_t place, std::uint64_t bytes) override;

    private:
        call_record& record_;
        const block_store* const store_;
    };

    /// The call; when it has ended with a value, the result. Constant while queued or published.
    std::array<std::byte, 256> scratch; // first: the writer begins in it
    wire::writer message{scratch};
    message_memory memory;
    base::ref<call_blocks> sent;    // null: nothing lies in the block store
    std::vector<std::byte> context; // values that travel with the call; constant once submitted

    const base::duration
        timeout; // of it, or of each of its parts; constant once submitted, as the next three
    const std::optional<base::duration> grace;
    base::time_point deadline = base::never;
    std::uint64_t parts = 0; // 0: it is one call
    // The message has the results of parts of it. If it failed, `error` is the next part's, or nobody's.
    bool tells_parts = false;
    bool blames_part = false;
    pid_t worker = 0;          // which ran them; 0: the supervisor has not said yet
    bool died = false;         // the worker
    unsigned not_taken_by = 0; // workers that were ended because they did not begin it

    place at = place::nowhere;
    ending how = ending::value;
    bool timed_out = false;
    core::detail::strand* waiter = nullptr;       // to be completed when it has ended
    pool_worker* by = nullptr;                    // while published
    std::uint64_t number = 0;                     // of its task there
    call_record *next = nullptr, *prev = nullptr; // in the queue; next, too, among those that have ended
    std::exception_ptr error;
    // What the worker said of it, if it did: to be made again as what it was when the pool's lock is not held.
    std::vector<std::byte> failure;
    pid_t failed_in = 0;
};

/// What a call asks of its pool, in its own task.
class call_taker : public base::ref_counted {
public:
    /// Null: its workers are another program, or the system gave no memory for it.
    block_store* store() const noexcept { return store_.get(); }
    /// Throws: closed_error, usage_error. True: it has ended already. False: `s` will be completed when it has.
    virtual bool submit(call_record& r, core::detail::strand& s) = 0;
    /// True: it has not begun and never will. False: it has ended, or it will be completed.
    virtual bool cancel(call_record& r, const base::cause_ptr& why) noexcept = 0;
    /// Its task goes away without having waited for it.
    virtual void forget(call_record& r) noexcept = 0;
    /// Where it is, while it waits, and who knows what tasks it has there. False: it has ended.
    virtual bool show(const call_record& r, core::tree_entry& e,
                      base::ref<core::detail::tasks_elsewhere>& tasks) = 0;

protected:
    base::ref<block_store> store_; // constant after construction
};

/// What does not depend on the result's type.
class call_base : public core::detail::operation, public core::detail::link {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;

    bool ready() const noexcept { return false; }
    void start(core::detail::strand& s, core::detail::frame&);
    bool try_cancel() noexcept final;
    void woken(core::detail::strand& s) noexcept final;
    bool child_ended(core::detail::strand&, core::detail::ending) noexcept final {
        return true;
    } // it starts no child
    bool show_call(core::tree_entry& e, base::ref<core::detail::tasks_elsewhere>& tasks) const final {
        return pool_->show(*record_, e, tasks);
    }

    call_base(base::ref<call_taker> pool, std::unique_ptr<call_record> r) noexcept;

protected:
    call_base(call_base&&) noexcept;
    ~call_base();
    /// Throws what the call threw, worker_died, timeout_error, closed_error, start_error. The bytes of the value.
    std::span<const std::byte> reply();
    call_record::sent_blocks sent_blocks() const noexcept { return {*record_, pool_->store()}; }
    /// The same for a call of several parts, which are told.
    void reply(runner::parts& to);

private:
    std::exception_ptr error();
    base::ref<call_taker> pool_;
    std::unique_ptr<call_record> record_;
    bool in_flight_ = false; // the pool may know the record
};

template <class R>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] await_call final
    : public call_base {
public:
    await_call(base::ref<call_taker> pool, std::unique_ptr<call_record> r) noexcept
        : call_base(std::move(pool), std::move(r)) {}
    R result() {
        wire::reader from(reply());
        auto blocks = sent_blocks();
        const keeps_blocks here(blocks, nullptr, &from);
        if constexpr (std::is_void_v<R>) {
            from.finish();
        } else {
            auto value = wire::read<R>(from);
            from.finish();
            return value;
        }
    }
};

class [[nodiscard("nothing happens before it is awaited: write co_await")]] await_answer final
    : public call_base {
public:
    using call_base::call_base;
    std::vector<std::byte> result() {
        const auto bytes = reply();
        return {bytes.begin(), bytes.end()};
    }
};

class [[nodiscard("nothing happens before it is awaited: write co_await")]] await_job final
    : public call_base {
public:
    await_job(base::ref<call_taker> pool, std::unique_ptr<call_record> r, runner::job& j) noexcept
        : call_base(std::move(pool), std::move(r)), job_(j) {}
    void result() {
        if (runner::parts* const several = job_.several()) return reply(*several);
        wire::reader from(reply());
        auto blocks = sent_blocks();
        const keeps_blocks here(blocks, nullptr, &from);
        job_.read_result(from);
    }

private:
    runner::job& job_;
};

/// An argument that may be moved from has been sent: it holds nothing any more.
template <class A>
void take_over(A&& a) {
    using value = std::remove_reference_t<A>;
    if constexpr (!std::is_reference_v<A> && std::is_move_constructible_v<value> &&
                  !std::is_trivially_copyable_v<value>) [[maybe_unused]]
        const value gone(std::move(a)); // NOLINT(bugprone-move-forwarding-reference)
}

template <class F, class... A>
std::unique_ptr<call_record> make_record(const call_taker& pool, const call_options& o, const F& f,
                                         A&&... arguments) {
    auto r = std::make_unique<call_record>(o, pool.store());
    r->write_call(pool.store(), [&] { wire::write_call(r->message, f, std::forward<A>(arguments)...); });
    (take_over(std::forward<A>(arguments)), ...);
    r->require_only_owner();
    return r;
}

/// What F gives, as it is here: nothing here refers to memory of the worker.
template <class F>
struct result_of {
    using type = void;
};
template <class F>
    requires wire::detail::callable<F>
struct result_of<F> {
    using type = std::remove_cv_t<typename wire::detail::signature_of_callable<F>::result>;
};

} // namespace tenure::inline v0::process::detail
