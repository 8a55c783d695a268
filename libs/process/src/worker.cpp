// The worker: one thread that takes calls from the ring and runs them, each as this_task sees a task.
#include "crash.hpp"
#include "failure.hpp"
#include "roles.hpp"
#include "tree_teller.hpp"

#include <tenure/core/operation.hpp>
#include <tenure/core/runtime.hpp>
#include <tenure/core/this_task.hpp>
#include <tenure/process/detail/adaptive_spin.hpp>
#include <tenure/process/detail/message_blocks.hpp>
#include <tenure/runner/parts.hpp>
#include <tenure/runner/travelling_key.hpp>
#include <tenure/wire/function.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <unistd.h>

namespace tenure::inline v0::process::detail {
namespace {

constexpr int no_parent = 71; // EX_OSERR: how a worker leaves that cannot be heard

int event_fd = -1; // of the parent; constant once the worker serves, as the next one
base::duration idle_timeout = base::duration::max();

struct wakes {
    static void sleep(const std::atomic<std::uint32_t>& word) noexcept { sleep_on(word, 1, idle_timeout); }
    static void parent() noexcept {
        const std::uint64_t one = 1;
        while (write(event_fd, &one, sizeof one) < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) return; // it has not read the last ones: it will look
            _exit(no_parent);            // the call closed our descriptors: nobody would hear of its result
        }
    }
};

std::length_error result_is_too_long(std::size_t size, std::uint64_t most) {
    return std::length_error("the result has " + std::to_string(size) +
                             " bytes, and the pool takes at most " + std::to_string(most) +
                             ": raise pool_options::max_message");
}

/// The call that runs, as this_task sees it.
class call_strand final : public core::detail::strand {
public:
    call_strand(core::runtime& rt, channel& c) : channel_(c) { sched = &rt.sched(); }
    ~call_strand() { end(); }

    void begin(std::uint64_t task, base::time_point deadline) {
        task_ = task;
        if (node_ && deadline == base::never && is_fresh()) return;
        end();
        node_ = base::ref<core::detail::context_node>::adopt(new core::detail::context_node);
        node_->link(sched->root(), false, deadline);
        context = node_.get();
    }

    bool start_root() noexcept override { return false; } // it is never queued
    base::task_label label() const override { return {task_, "call", {}}; }
    bool may_block() const noexcept override { return true; }
    bool stopped_from_outside() const noexcept override {
        if (channel_.cancel.load(std::memory_order_acquire) == task_) // acquire: the reason, written before
            node_->cancel(std::make_shared<const base::cause>(base::cause{
                static_cast<base::reason>(channel_.cancel_reason), channel_.cancel_text.data(), {}}));
        else if (node_->deadline() != base::never && std::chrono::steady_clock::now() >= node_->deadline())
            node_->cancel(std::make_shared<const base::cause>(
                base::cause{base::reason::deadline, "the deadline expired", {}}));
        return node_->cancelled();
    }

private:
    /// As good as a new one: what would make a difference has not happened to it.
    bool is_fresh() const noexcept {
        return node_->deadline() == base::never && !node_->cancelled() && !node_->has_children();
    }
    void end() noexcept {
        if (node_) node_->unlink();
        node_ = nullptr;
    }
    channel& channel_;
    base::ref<core::detail::context_node> node_;
    std::uint64_t task_ = 0;
};

/// Room in the results arena, and in the region for parts, is what the parent has retired.
void wait_until_retired(channel& c, std::uint64_t beyond) noexcept {
    while (c.retired.load(std::memory_order_acquire) <= beyond) { // its bytes were read
        c.room_wanted.store(1, std::memory_order_seq_cst);        // invariant 2 of the channel
        if (c.retired.load(std::memory_order_seq_cst) <= beyond) sleep_on(c.room_wanted, 1);
        c.room_wanted.store(0, std::memory_order_relaxed); // only saves the parent a wake-up
    }
}

/// The results of the parts of the call that runs, in memory that outlives this process.
class shared_parts final : public runner::part_results {
public:
    shared_parts(channel_memory& memory, const call_strand& s) noexcept : memory_(memory), strand_(s) {}

    void next_call(std::uint64_t task) noexcept {
        task_ = task;
        used_ = 0;
    }
    /// Empty: the call has no parts. It has if its function asked for their place.
    std::span<const std::byte> message() noexcept {
        if (used_ == 0) return {};
        std::memcpy(memory_.parts().data(), &count_, sizeof count_);
        return memory_.parts().first(used_);
    }
    /// The message was copied: the region is free. Otherwise it is the parent's until it has retired the task.
    void were_copied() noexcept {
        if (!given_up_) kept_for_ = 0;
    }

    void begin() override {
        if (memory_->cancel.load(std::memory_order_acquire) == task_) core::this_task::checkpoint();
        if (used_ == 0) first();
        memory_->part.begin(turn_of(task_), count_);
        value_.clear();
    }
    wire::writer& value() noexcept override { return value_; }
    bool end() override { return put(part_kind::value); }
    bool end_failed() override {
        if (strand_.cancelled()) throw;
        value_.clear();
        write_current_exception(value_);
        return put(part_kind::failure);
    }

private:
    void first() noexcept {
        if (const std::uint64_t task = std::exchange(kept_for_, 0)) wait_until_retired(*memory_, task);
        if (std::exchange(most_used_, 0) > kept_bytes) give_memory_back(memory_.parts());
        kept_for_ = task_;
        given_up_ = false;
        used_ = sizeof count_;
        count_ = 0;
    }
    bool put(part_kind kind) {
        const auto region = memory_.parts();
        const std::uint64_t most = region.size() / 2; // of one; as many may be there already
        if (value_.size() + 1 > most) {
            const std::size_t size = value_.size();
            value_.clear();
            try {
                throw result_is_too_long(size, most - 1);
            } catch (...) {
                write_current_exception(value_);
            }
            kind = part_kind::failure;
        }
        const auto message = value_.message();
        std::byte* const to = region.data() + used_;
        *to = static_cast<std::byte>(kind);
        if (!message.empty()) std::memcpy(to + 1, message.data(), message.size());
        used_ += 1 + message.size();
        most_used_ = std::max(most_used_, used_);
        memory_->part_bytes.store(used_, std::memory_order_relaxed); // with the word that follows
        given_up_ = !memory_->part.end(turn_of(task_), count_);
        if (given_up_) return false;
        ++count_;
        return used_ <= most;
    }

    channel_memory& memory_;
    const call_strand& strand_;
    wire::writer value_;
    std::uint64_t task_ = 0;
    std::uint64_t used_ = 0; // bytes of the region; 0: none, as no part has begun
    std::uint64_t count_ = 0;
    std::uint64_t most_used_ = 0;
    bool given_up_ = false;
    std::uint64_t kept_for_ = 0; // the task whose results the parent may still read there; 0: none
};

/// The buffers of the call that runs: the pool's process has given them for that long.
class call_buffers final : public block_keeper {
public:
    explicit call_buffers(const base::ref<block_store>& store) noexcept : store_(store) {}

    std::optional<std::uint64_t> send(const base::ref<shared_block>& b) override {
        if (std::none_of(lent_.begin(), lent_.end(), [&](const auto& l) { return l.get() == b.get(); }))
            return std::nullopt;
        return store_->place_of(*b);
    }
    base::ref<shared_block> receive(std::uint64_t place, std::uint64_t bytes) override {
        if (!store_) return nullptr;
        lent_.push_back(base::ref<lent_block>::adopt(new lent_block(store_->bytes().subspan(place, bytes))));
        return lent_.back();
    }
    /// What the function has kept of them becomes empty.
    void end_call() noexcept {
        for (const auto& l : lent_)
            l->end();
        lent_.clear();
    }

private:
    class lent_block final : public shared_block {
    public:
        explicit lent_block(std::span<std::byte> bytes) noexcept : shared_block(bytes) {}
        void end() noexcept { bytes_ = {}; }
    };
    const base::ref<block_store>& store_;
    std::vector<base::ref<lent_block>> lent_;
};

class worker {
public:
    explicit worker(channel_memory& memory, base::ref<block_store> store, bool output_is_read)
        : memory_(memory),
          store_(std::move(store)),
          ring_(memory->ring),
          strand_(runtime_, *memory),
          parts_(memory, strand_),
          results_(memory.results()),
          flushes_(output_is_read) {
        tell_tasks_of(memory, runtime_.sched());
    }

    void serve() {
        for (;;) {
            if (const std::uint64_t task = ring_.take()) {
                if (!run(task)) return;
                idle_since_ = base::never;
                continue;
            }
            if (ring_.is_stopped()) return;
            const bool came = spin_.worth_trying() && spin_.spin([&] { return something_came(); });
            if (came) continue;
            if (has_idled() && ring_.leave()) return;
            ring_.park();
        }
    }

private:
    bool has_idled() noexcept {
        if (idle_timeout == base::duration::max()) return false;
        const auto now = std::chrono::steady_clock::now();
        if (idle_since_ == base::never) idle_since_ = now;
        return now - idle_since_ >= idle_timeout;
    }
    bool something_came() noexcept {
        return task_of(memory_->ring.of(ring_.next()).load(std::memory_order_relaxed)) >= ring_.next() ||
               memory_->ring.stop.load(std::memory_order_relaxed) != 0;
    }
    /// False: no more calls.
    bool run(std::uint64_t task) {
        call_slot& slot = memory_->slot_of(task);
        message_kind kind = message_kind::value;
        result_.clear();
        note_call(&slot);
        parts_.next_call(task);
        try {
            strand_.begin(task, base::time_point(base::duration(slot.deadline)));
            const core::detail::runs_here here(strand_);
            if (slot.flags >> context_shift != 0)
                strand_.values = runner::read_travelling_values(context_of(slot));
            wire::reader call(message_of(slot));
            const keeps_blocks here_too(buffers_, &result_, &call);
            wire::run_call(functions_, call, result_);
            if (!parts_.message().empty()) kind = message_kind::parts;
        } catch (const base::cancelled&) {
            kind = strand_.cancelled() ? message_kind::cancelled : fail();
            if (kind == message_kind::cancelled) result_.clear();
        } catch (...) {
            kind = fail();
        }
        strand_.values = nullptr;
        note_call(nullptr);
        buffers_.end_call();
        if (flushes_) {
            std::cout.flush();
            std::fflush(stdout);
        }
        const bool goes_on = kind == message_kind::value || (slot.flags & leave_if_it_fails) == 0;
        answer(task, slot, kind);
        ring_.finish();
        return goes_on;
    }
    // The parent's numbers, which it checked.
    static bool is_stored(const call_slot& slot) noexcept { return (slot.flags & in_store) != 0; }
    call_layout layout_of(const call_slot& slot) const {
        if (is_stored(slot) && !store_)
            throw wire::wire_error("this worker has not got the memory in which the call lies");
        return {slot.size, is_stored(slot), slot.flags >> context_shift};
    }
    std::span<const std::byte> message_of(const call_slot& slot) const {
        if (layout_of(slot).call_in_slot) return std::span(slot.bytes).first(slot.size);
        const std::span<const std::byte> area = is_stored(slot) ? store_->bytes() : memory_.calls();
        return area.subspan(slot.place(0), slot.size);
    }
    std::span<const std::byte> context_of(const call_slot& slot) const {
        const std::size_t size = slot.flags >> context_shift;
        const call_layout lies = layout_of(slot);
        if (lies.context_in_slot) return std::span(slot.bytes).subspan(lies.context_at, size);
        return memory_.calls().subspan(slot.place(lies.context_place) + lies.context_at, size);
    }
    message_kind fail() noexcept {
        result_.clear();
        write_current_exception(result_); // std::terminate, if there is no memory for that either
        return message_kind::failure;
    }
    void answer(std::uint64_t task, call_slot& slot, message_kind kind) {
        if (result_.size() > results_.capacity()) {
            const std::size_t size = result_.size();
            try {
                throw result_is_too_long(size, results_.capacity());
            } catch (...) {
                kind = fail();
            }
        }
        const auto message = kind == message_kind::parts ? parts_.message() : result_.message();
        slot.kind = kind;
        slot.size = message.size();
        if (message.size() <= inline_bytes) {
            if (!message.empty()) std::memcpy(slot.bytes.data(), message.data(), message.size());
        } else if (kind == message_kind::parts && message.size() > most_copied(memory_.results())) {
            return; // it stays where it is
        } else {
            const std::uint64_t place = room_for(task, message.size());
            slot.set_place(0, place);
            std::memcpy(memory_.results().data() + place, message.data(), message.size());
        }
        if (kind == message_kind::parts) parts_.were_copied();
    }
    std::uint64_t room_for(std::uint64_t task, std::uint64_t size) noexcept {
        for (;;) {
            const std::uint64_t retired =
                memory_->retired.load(std::memory_order_acquire); // their bytes were read
            for (; given_back_ < retired; ++given_back_)
                if (const std::uint64_t end = std::exchange(ends_[given_back_ % slot_count], 0))
                    results_.give_back(end);
            if (const auto at = results_.take(size)) {
                ends_[task % slot_count] = results_.end();
                return *at;
            }
            wait_until_retired(*memory_, retired);
        }
    }

    channel_memory& memory_;
    const base::ref<block_store> store_; // null: there is none
    call_buffers buffers_{store_};
    core::runtime runtime_{core::runtime_options{.threads = 0}}; // of the context tree; it runs nothing
    basic_ring_worker<ring_words, wakes> ring_;
    call_strand strand_;
    shared_parts parts_;
    wire::function_table functions_;
    wire::writer result_;
    adaptive_spin spin_;
    base::time_point idle_since_ = base::never; // it found nothing to do; never: it has something
    block_queue results_;
    std::array<std::uint64_t, slot_count> ends_{}; // of the result of a task in results_; 0: it has none
    const bool flushes_;
    std::uint64_t given_back_ = 1; // results of tasks below this one have been
};

} // namespace

void work(io::unique_fd channel, io::unique_fd event, io::unique_fd store, bool output_is_read) {
    event_fd = event.release();
    channel_memory memory(std::move(channel));
    memory.close_fd();
    if (const std::uint64_t ns = memory->header.idle_ns; ns != 0)
        idle_timeout = base::duration(static_cast<base::duration::rep>(ns));
    note_crashes();
    {
        worker w(memory, store ? block_store::attach(std::move(store)) : nullptr, output_is_read);
        w.serve();
    }
    std::cout.flush();
    std::cerr.flush();
    std::fflush(nullptr);
    _exit(0); // what the program registered to run at its exit is not the worker's
}

} // namespace tenure::inline v0::process::detail
