// The await of a call, and the buffers that travel with it.
#include "failure.hpp"

#include <tenure/process/detail/call.hpp>
#include <tenure/process/detail/channel.hpp>
#include <tenure/process/errors.hpp>
#include <tenure/runner/travelling_key.hpp>
#include <tenure/wire/reader.hpp>

#include <algorithm>
#include <utility>

namespace tenure::inline v0::process::detail {

std::optional<std::uint64_t> call_record::sent_blocks::send(const base::ref<shared_block>& b) {
    if (b->store() != store_) return std::nullopt; // of another pool, or of this process alone
    record_.sent_to_worker().buffers.push_back(b);
    return store_->place_of(*b);
}
base::ref<shared_block> call_record::sent_blocks::receive(std::uint64_t place, std::uint64_t bytes) {
    if (!record_.sent) return nullptr;
    auto& all = record_.sent->buffers;
    const auto found = std::find_if(all.begin(), all.end(), [&](const base::ref<shared_block>& b) {
        return store_->place_of(*b) == place && b->bytes().size() == bytes;
    });
    if (found == all.end()) return nullptr; // nor twice: a buffer has one owner
    auto b = std::move(*found);
    all.erase(found);
    return b;
}

void call_record::require_only_owner() const {
    if (!sent) return;
    for (const auto& b : sent->buffers)
        if (!b->holds_all(1))
            throw base::usage_error(
                "process pool: a shared_buffer that this call is given is also given to it a second time, or "
                "kept by the caller: move it into the call, by itself or in what holds it");
}

// ---- the await

call_base::call_base(base::ref<call_taker> pool, std::unique_ptr<call_record> r) noexcept
    : pool_(std::move(pool)), record_(std::move(r)) {}
call_base::call_base(call_base&& o) noexcept
    : pool_(std::move(o.pool_)),
      record_(std::move(o.record_)),
      in_flight_(std::exchange(o.in_flight_, false)) {}
call_base::~call_base() {
    if (in_flight_) pool_->forget(*record_);
}

void call_base::start(core::detail::strand& s, core::detail::frame&) {
    if (!record_ || record_->at != call_record::place::nowhere)
        throw base::usage_error("a call is awaited once: make it again by pool::call", s.label());
    record_->deadline = s.context->deadline();
    record_->context.clear();
    if (runner::has_travelling_values(s)) {
        wire::writer values;
        runner::write_travelling_values(values, s);
        record_->context.assign(values.message().begin(), values.message().end());
    }
    in_flight_ = true;
    s.wait(this, this);
    if (pool_->submit(*record_, s)) woken(s); // otherwise this, too, may be gone
}
bool call_base::try_cancel() noexcept {
    if (!pool_->cancel(*record_, core::detail::current_strand()->context->why())) return false;
    in_flight_ = false;
    return true;
}
void call_base::woken(core::detail::strand& s) noexcept {
    in_flight_ = false;
    const bool stopped = record_->how == call_record::ending::cancelled ||
                         (record_->how == call_record::ending::failure && !record_->timed_out);
    // The worker may have seen the deadline earlier than this side, whose clock is the same: so it looks, too.
    s.next = stopped && s.asked_to_stop() ? core::detail::step::unwind : core::detail::step::resume;
}
void call_base::reply(runner::parts& to) {
    const bool some = record_->how == call_record::ending::value || record_->tells_parts;
    if (!some) {
        (void)reply(); // throws
        throw base::usage_error("a call of several parts has ended without any");
    }
    wire::reader from(record_->message.message());
    const auto told = from.fixed<std::uint64_t>("number of results");
    if (told > record_->parts || (told == 0 && !record_->error))
        from.fail("number of results", "there are no such parts");
    for (std::uint64_t k = 0; k < told; ++k) {
        if (from.fixed<part_kind>("kind of result") == part_kind::value)
            to.read_value(from);
        else
            to.failed(read_exception(from, record_->worker), runner::part_failure::thrown);
    }
    if (!record_->error) return from.finish();
    if (told == 0 && !record_->blames_part) std::rethrow_exception(error());
    if (told == record_->parts || !record_->blames_part) return;
    using runner::part_failure;
    to.failed(error(), record_->timed_out ? part_failure::timed_out
                       : record_->died    ? part_failure::worker_died
                                          : part_failure::thrown);
}
std::span<const std::byte> call_base::reply() {
    if (record_->how == call_record::ending::cancelled)
        throw base::task_cancelled("the call was cancelled in its worker");
    if (record_->error) std::rethrow_exception(error());
    return record_->message.message();
}
std::exception_ptr call_base::error() {
    if (record_->failure.empty() || record_->timed_out) return record_->error;
    wire::reader from(record_->failure);
    return read_exception(from, record_->failed_in);
}

} // namespace tenure::inline v0::process::detail
