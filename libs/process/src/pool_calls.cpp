// The calls of a pool: how they wait, are given to workers, change hands, and how their ends are taken from the rings.
#include "failure.hpp"
#include "pool_state.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <new>
#include <string>
#include <utility>

namespace tenure::inline v0::process::detail {
namespace {

/// Within some milliseconds, and several times faster than now().
base::time_point roughly_now() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return base::time_point(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

std::exception_ptr too_late(base::duration timeout) noexcept {
    try {
        return std::make_exception_ptr(base::timeout_error(
            "the call did not end in its time, " +
            std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count()) +
            " ms, in a worker process"));
    } catch (...) {
        return std::current_exception();
    }
}

} // namespace

// ---- the queue

void pool_state::enqueue(call_record& r, bool first) noexcept {
    r.at = call_record::place::queued;
    r.by = nullptr;
    r.next = first ? first_ : nullptr;
    r.prev = first ? nullptr : last_;
    (r.prev ? r.prev->next : first_) = &r;
    (r.next ? r.next->prev : last_) = &r;
    ++queued_;
}
void pool_state::unlist(call_record& r) noexcept {
    (r.prev ? r.prev->next : first_) = r.next;
    (r.next ? r.next->prev : last_) = r.prev;
    r.next = r.prev = nullptr;
    r.at = call_record::place::nowhere;
    --queued_;
}

// ---- to the workers, and back

pool_worker* pool_state::least_busy() noexcept {
    pool_worker* best = nullptr;
    for (const worker_ref& w : workers_) {
        if (!takes_calls(*w)) continue;
        if (!best || w->outstanding < best->outstanding) best = w.get();
    }
    return best;
}

void pool_state::give_out(ended_calls& woken) {
    if (!first_) return;
    for (const worker_ref& w : workers_)
        let_go_if_idled(*w, woken);
    if (workers_.size() < workers_wanted()) start_missing_workers(std::chrono::steady_clock::now(), woken);
    while (call_record* const r = first_) {
        pool_worker* const w = least_busy();
        if (!w) return;
        if (!w->ring.has_room()) harvest(*w, woken);
        if (!publish(*w, r->message.message(), r)) return;
        let_go_if_idled(*w, woken);
    }
}

bool pool_state::publish(pool_worker& w, std::span<const std::byte> message, call_record* r) {
    if (!w.ring.has_room()) return false;
    const std::uint64_t number = w.ring.next();
    call_slot& slot = w.memory->slot_of(number);
    pool_worker::task& t = w.task_at(number);
    t = {};
    // What was taken back from its end may have left less there than a slot takes.
    const bool stored = r && r->sent && r->sent->message && message.size() > inline_bytes;
    const std::span<const std::byte> context = r ? r->context : std::span<const std::byte>();
    const call_layout lies(message.size(), stored, context.size());
    std::byte* const in_slot = slot.bytes.data();
    std::byte* in_arena = nullptr;
    if (lies.arena_bytes != 0) {
        const auto place = w.arena.take(lies.arena_bytes);
        if (!place) return false; // when what is before it has ended
        t.arena_end = w.arena.end();
        slot.set_place(lies.context_place, *place);
        in_arena = w.memory.calls().data() + *place;
    }
    if (stored)
        slot.set_place(0, store_->place_of(*r->sent->message));
    else if (!message.empty())
        std::memcpy(lies.call_in_slot ? in_slot : in_arena, message.data(), message.size());
    if (!context.empty())
        std::memcpy((lies.context_in_slot ? in_slot : in_arena) + lies.context_at, context.data(),
                    context.size());
    slot.size = message.size();
    slot.kind = message_kind::call;
    slot.flags = (!r       ? leave_if_it_fails
                  : stored ? in_store
                           : 0) |
                 static_cast<std::uint32_t>(context.size()) << context_shift;
    slot.deadline = (r ? r->deadline : base::never).time_since_epoch().count();
    t.call = r;
    if (r) {
        t.blocks = r->sent;
        unlist(*r);
        r->at = call_record::place::published;
        r->by = &w;
        r->number = number;
    }
    if (w.outstanding == 0) w.head_since = roughly_now();
    if (w.outstanding++ == 0 && r && r->timeout != base::duration::max()) {
        w.oldest_since = w.part_looked_at = std::chrono::steady_clock::now();
        set_timer(next_time());
    }
    if (options_.calls_per_worker != 0 && r && ++w.counted >= options_.calls_per_worker) w.accepts = false;
    w.ring.publish();
    w.ring.wake();
    return true;
}

// A worker that has nothing gets the younger half of what another has not begun.
void pool_state::steal_for_idle(ended_calls& woken) {
    if (first_ || workers_.size() < 2) return;
    pool_worker* busiest = nullptr;
    bool idle = false;
    for (const worker_ref& w : workers_) {
        idle |= w->outstanding == 0 && w->accepts;
        if (w->outstanding >= 2 && (!busiest || w->outstanding > busiest->outstanding)) busiest = w.get();
    }
    if (!idle || !busiest) return;
    std::size_t wanted = busiest->outstanding / 2;
    for (std::uint64_t number = busiest->ring.next(); wanted > 0 && --number >= busiest->ring.oldest();) {
        call_record* const r = busiest->task_at(number).call;
        if (!r) continue;
        if (!busiest->revoke(number)) break; // and those before it have begun, too
        busiest->task_at(number).withdraw();
        --busiest->outstanding;
        enqueue(*r, true);
        --wanted;
    }
    give_out(woken);
}

void pool_state::take_back_unbegun(pool_worker& w, ended_calls& woken) noexcept {
    for (std::uint64_t number = w.ring.next(); number-- > w.ring.oldest();) {
        call_record* const r = w.task_at(number).call;
        if (!r && !w.initializing) continue; // it was taken back before, whatever its word says now
        if (!w.revoke(number)) continue;
        w.task_at(number).withdraw();
        --w.outstanding;
        if (!r)
            w.initializing = false;
        else if (stage_ == stage::open)
            enqueue(*r, true);
        else
            fail(*r, was_closed("before the call began"), woken);
    }
}

// ---- their ends

bool pool_state::harvest(pool_worker& w, ended_calls& woken) noexcept {
    bool any = false;
    for (; w.ring.oldest() != w.ring.next(); any = true) {
        const std::uint64_t number = w.ring.oldest();
        const task_state state = w.ring.look(number);
        if (is_unfinished(state)) break;
        const bool not_by_us = state == task_state::revoked && (w.task_at(number).call || w.initializing);
        if (state == task_state::broken || not_by_us || w.broken) {
            w.broken = true;
            w.accepts = false;
            ask_to_stop(w, 0, base::duration::zero(),
                        {base::reason::failure, "it broke the worker protocol", {}});
            break;
        }
        if (state == task_state::done) take_result(w, number, woken);
        if (const std::uint64_t end = w.task_at(number).arena_end) w.arena.give_back(end);
        woken.add(std::move(w.task_at(number).blocks)); // the worker has ended it, or never begins it
        w.ring.retire();
        if (w.pressed_for == number) {
            w.pressed = pool_worker::pressure::none;
            w.pressed_for = 0;
            w.press_at = base::never;
        }
    }
    if (!any) return false;
    w.memory->retired.store(w.ring.oldest(), std::memory_order_seq_cst); // invariant 2 of the channel
    if (w.memory->room_wanted.load(std::memory_order_seq_cst) != 0 &&
        w.memory->room_wanted.exchange(0, std::memory_order_seq_cst) != 0)
        wake_sleeper(w.memory->room_wanted);
    w.oldest_since = w.not_taken_since = base::never;
    if (w.outstanding != 0) w.head_since = roughly_now();
    if (w.outstanding == 0) {
        if (!w.accepts) retire_worker(w);
    } else if (const call_record* const r = w.task_at(w.ring.oldest()).call;
               r && r->timeout != base::duration::max()) {
        w.oldest_since = w.part_looked_at = std::chrono::steady_clock::now();
        set_timer(next_time());
    }
    return true;
}

void pool_state::take_result(pool_worker& w, std::uint64_t number, ended_calls& woken) noexcept {
    const call_slot& slot = w.memory->slot_of(number);
    // Read once: a worker that means harm may still write.
    const auto size = std::atomic_ref(const_cast<std::uint64_t&>(slot.size)).load(std::memory_order_relaxed);
    const std::uint64_t place = slot.place(0);
    const message_kind kind = slot.kind;
    const auto arena = std::as_const(w.memory).results();
    --w.outstanding;
    ++w.ended_calls;
    failed_starts_ = 0; // one works
    failing_since_ = base::never;
    call_record* const r = w.task_at(number).call;
    w.task_at(number).call = nullptr;
    try {
        std::vector<std::byte> copy;
        std::span<const std::byte> bytes;
        const bool in_region = kind == message_kind::parts && size > most_copied(arena);
        const std::span<const std::byte> area = in_region ? w.memory.parts() : arena;
        const std::uint64_t at = in_region ? 0 : place;
        if (size > inline_bytes && (size > area.size() || at > area.size() - size))
            throw worker_died("worker process " + std::to_string(w.pid) +
                                  " gave a result that lies outside of its memory, and is ended",
                              w.pid, 0, 0);
        bytes = size <= inline_bytes ? std::span(slot.bytes).first(size) : area.subspan(at, size);
        if (kind == message_kind::failure || kind == message_kind::cancelled) {
            copy.assign(bytes.begin(), bytes.end());
            bytes = copy;
        }
        std::exception_ptr error;
        if (kind == message_kind::failure) {
            wire::reader from(bytes);
            error = read_exception_of_ours(from, w.pid);
            from.finish();
        }
        if (!r) {
            if (std::exchange(w.initializing, false)) w.initializer_error = error;
            return;
        }
        const bool by_close = kind == message_kind::cancelled && stage_ != stage::open;
        if (r->parts != 0 && (error || by_close)) { // the region is not used again before the task is retired
            take_parts(w, *r, w.memory->part.look());
            if (by_close) error = was_closed("while the call ran");
        }
        if (r->timed_out) {
            fail(*r, nullptr, woken);
        } else if (error) {
            if (kind == message_kind::failure) {
                r->failure = std::move(copy);
                r->failed_in = w.pid;
            }
            fail(*r, error, woken);
        } else if (kind == message_kind::cancelled) {
            end(*r, call_record::ending::cancelled, woken);
        } else {
            if ((kind == message_kind::parts) != (r->parts != 0))
                throw wire::wire_error(
                    "a worker process answered one call as if it were several, or the other way around");
            r->begin_result();
            r->message.bytes(bytes.data(), bytes.size());
            r->worker = w.pid;
            end(*r, call_record::ending::value, woken);
        }
    } catch (const std::exception&) {
        // It is no message, or there is no memory for it.
        if (r) fail(*r, std::current_exception(), woken);
        w.broken = true;
    }
}

void pool_state::take_parts(const pool_worker& w, call_record& r, runner::item_turn::seen seen) noexcept {
    const auto region = w.memory.parts();
    const bool began = seen.turn() == turn_of(r.number);
    const std::uint64_t told = began ? seen.index() : 0;
    const auto all = w.memory->part_bytes.load(std::memory_order_relaxed); // with the word
    const std::uint64_t size = std::min<std::uint64_t>(all, region.size());
    r.blames_part = !began || told == 0 || seen.running();
    try {
        r.begin_result();
        r.message.fixed(told);
        if (told != 0 && size > sizeof told) r.message.bytes(region.data() + sizeof told, size - sizeof told);
        r.worker = w.pid;
        r.tells_parts = true;
    } catch (const std::bad_alloc&) { // it fails as a whole
    }
}

void pool_state::end(call_record& r, call_record::ending how, ended_calls& woken) noexcept {
    r.at = call_record::place::ended;
    r.by = nullptr;
    r.how = how;
    if (!r.waiter) return;
    --waiting_;
    woken.add(r);
}
void pool_state::fail(call_record& r, std::exception_ptr e, ended_calls& woken) noexcept {
    if (r.timed_out) e = too_late(r.timeout);
    r.error = std::move(e);
    end(r, call_record::ending::failure, woken);
}
void pool_state::fail_queued(const std::exception_ptr& e, ended_calls& woken) noexcept {
    while (call_record* const r = first_) {
        unlist(*r);
        fail(*r, e, woken);
    }
}

} // namespace tenure::inline v0::process::detail
