// The worker: one thread that takes calls from the ring and runs them, each as this_task sees a task.
#include "crash.hpp"
#include "failure.hpp"
#include "roles.hpp"

#include <tenure/core/operation.hpp>
#include <tenure/core/runtime.hpp>
#include <tenure/process/detail/adaptive_spin.hpp>
#include <tenure/wire/function.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <unistd.h>

namespace tenure::inline v0::process::detail {
namespace {

constexpr int no_parent = 71; // EX_OSERR: how a worker leaves that cannot be heard

int event_fd = -1; // of the parent; constant once the worker serves

struct wakes {
    static void sleep(const std::atomic<std::uint32_t>& word) noexcept { sleep_on(word, 1); }
    static void parent() noexcept {
        const std::uint64_t one = 1;
        while (write(event_fd, &one, sizeof one) < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) return; // it has not read the last ones: it will look
            _exit(no_parent);            // the call closed our descriptors: nobody would hear of its result
        }
    }
};

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

class worker {
public:
    explicit worker(channel_memory& memory, bool output_is_read)
        : memory_(memory),
          ring_(memory->ring),
          strand_(runtime_, *memory),
          results_(memory.results()),
          flushes_(output_is_read) {}

    void serve() {
        for (;;) {
            if (const std::uint64_t task = ring_.take()) {
                if (!run(task)) return;
                continue;
            }
            if (ring_.is_stopped()) return;
            const bool came = spin_.worth_trying() && spin_.spin([&] { return something_came(); });
            if (!came) ring_.park();
        }
    }

private:
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
        try {
            strand_.begin(task, base::time_point(base::duration(slot.deadline)));
            const core::detail::runs_here here(strand_);
            wire::reader call(message_of(slot));
            wire::run_call(functions_, call, result_);
        } catch (const base::cancelled&) {
            kind = strand_.cancelled() ? message_kind::cancelled : fail();
            if (kind == message_kind::cancelled) result_.clear();
        } catch (...) {
            kind = fail();
        }
        note_call(nullptr);
        if (flushes_) {
            std::cout.flush();
            std::fflush(stdout);
        }
        const bool goes_on = kind == message_kind::value || (slot.flags & leave_if_it_fails) == 0;
        answer(task, slot, kind);
        ring_.finish();
        return goes_on;
    }
    std::span<const std::byte> message_of(const call_slot& slot) const {
        if (slot.size <= inline_bytes) return std::span(slot.bytes).first(slot.size);
        return memory_.calls().subspan(slot.place, slot.size); // the parent's numbers, which it checked
    }
    message_kind fail() noexcept {
        result_.clear();
        write_current_exception(result_); // std::terminate, if there is no memory for that either
        return message_kind::failure;
    }
    void answer(std::uint64_t task, call_slot& slot, message_kind kind) {
        const auto too_long = [&] { return result_.size() > results_.capacity(); };
        if (too_long()) {
            const std::size_t size = result_.size();
            try {
                throw std::length_error(
                    "the result has " + std::to_string(size) + " bytes, and the pool takes at most " +
                    std::to_string(results_.capacity()) + ": raise pool_options::max_message");
            } catch (...) {
                kind = fail();
            }
        }
        const auto message = result_.message();
        slot.kind = kind;
        slot.size = message.size();
        if (message.size() <= inline_bytes) {
            if (!message.empty()) std::memcpy(slot.bytes.data(), message.data(), message.size());
            return;
        }
        slot.place = room_for(task, message.size());
        std::memcpy(memory_.results().data() + slot.place, message.data(), message.size());
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
            memory_->room_wanted.store(1, std::memory_order_seq_cst); // invariant 2 of the channel
            if (memory_->retired.load(std::memory_order_seq_cst) == retired)
                sleep_on(memory_->room_wanted, 1);
            memory_->room_wanted.store(0, std::memory_order_relaxed); // only saves the parent a wake-up
        }
    }

    channel_memory& memory_;
    core::runtime runtime_{core::runtime_options{.threads = 0}}; // of the context tree; it runs nothing
    basic_ring_worker<ring_words, wakes> ring_;
    call_strand strand_;
    wire::function_table functions_;
    wire::writer result_;
    adaptive_spin spin_;
    block_queue results_;
    std::array<std::uint64_t, slot_count> ends_{}; // of the result of a task in results_; 0: it has none
    const bool flushes_;
    std::uint64_t given_back_ = 1; // results of tasks below this one have been
};

} // namespace

void work(io::unique_fd channel, io::unique_fd event, bool output_is_read) {
    event_fd = event.release();
    channel_memory memory(std::move(channel));
    memory.close_fd();
    note_crashes();
    {
        worker w(memory, output_is_read);
        w.serve();
    }
    std::cout.flush();
    std::cerr.flush();
    std::fflush(nullptr);
    _exit(0); // what the program registered to run at its exit is not the worker's
}

} // namespace tenure::inline v0::process::detail
