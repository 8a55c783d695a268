// What a run writes: the output of ended items in order, events, progress.

#include "map/engine.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace tenure::inline v0::app {
// The channel writes through a descriptor of its own; the driver watches a copy, and learns from us that it was
// found full.
task<> engine::until_writable(const out_channel& to, std::optional<io::descriptor>& ready) {
    if (!ready) {
        if (io::unique_fd copy(::fcntl(to.poll_fd(), F_DUPFD_CLOEXEC, 3)); copy)
            ready.emplace(runtime_.io(), std::move(copy), io::sharing::shared);
    }
    if (!ready) { // no descriptor is to be had: look again soon
        co_await sleep_for(std::chrono::milliseconds(20));
        co_return;
    }
    (void)ready->try_write_io([](int) { return errno = EAGAIN, -1; });
    co_await ready->writable();
}

// Ends when the slots have ended and everything is written, or when it is cancelled.
task<> engine::release() {
    for (;;) {
        if (!event_lines_.empty()) {
            const std::string lines = std::exchange(event_lines_, {});
            co_await write_text(lines);
        }
        // A run that was stopped has gaps in its order; what is there comes out all the same.
        auto ended = slots_done_ ? releases_.pop_any() : releases_.pop();
        if (ended) {
            co_await write_out(*ended);
            moved_.set();
        } else if (event_lines_.empty()) {
            if (slots_done_) co_return;
            releasable_.reset();
            co_await releasable_.wait();
        }
    }
}

task<> engine::write_out(ended_item& ended) {
    if (options_.json) {
        if (ended.output) {
            ++unwritten_;
            output_events pieces(ended.result.seq, *ended.output);
            for (std::string line = pieces.next(); !line.empty(); line = pieces.next())
                co_await write_text(line);
            --unwritten_;
        }
        const std::string end = events::end(ended.result);
        co_await write_text(end);
        co_return;
    }
    if (!ended.output || ended.output->empty()) co_return;
    erase_progress();
    ++unwritten_;
    const bool open_line = leaves_open_line(*ended.output);
    output_release rest(std::move(*ended.output));
    while (!rest.finished()) {
        const release_step s = rest.step(out_, err_);
        if (s.state == send_state::would_block) {
            co_await (s.at == stream::out ? until_writable(out_, out_ready_)
                                          : until_writable(err_, err_ready_));
        } else if (s.state == send_state::closed || s.state == send_state::failed) {
            output_lost(s.at, s.state, s.error);
        } else {
            co_await yield(); // a gigabyte must not keep the slots waiting
        }
    }
    open_line_ = open_line;
    --unwritten_;
}

task<> engine::write_text(std::string_view text) {
    while (!text.empty()) {
        const sent s = out_.write(text);
        text.remove_prefix(s.bytes);
        if (s.state == send_state::would_block) {
            co_await until_writable(out_, out_ready_);
        } else if (s.state != send_state::done) {
            output_lost(stream::out, s.state, s.error);
            co_return;
        }
    }
}

// Nobody reads our stdout any more, or it cannot take more: no further items, as their output would be lost. With
// standard error alone lost, the run goes on.
void engine::output_lost(stream which, send_state how, int error) {
    if (which == stream::err) {
        // Standard error that has gone, or was never there (EBADF), is not missed. The summary may find room again.
        if (how == send_state::failed && error != EBADF) summary_.add_lost_stderr(std::strerror(error));
        return;
    }
    if (how == send_state::failed && !stopping())
        say(std::string("standard output: ") + std::strerror(error) + "; stopping");
    stop(run_ending::output_closed);
}

void engine::emit(const std::string& event) {
    event_lines_ += event;
    releasable_.set();
}

// Short and rare lines: written at once.
void engine::say(const std::string& line) {
    erase_progress();
    write_last(err_, std::string(fresh_line()) + "tenure: " + line + "\n");
}

// Waits for a slow reader, but not against an interrupt: that one stays pending for whoever reads it next. After
// the second interrupt nothing is waited for.
void engine::write_last(out_channel& to, std::string_view text) {
    if (hurried_) {
        (void)to.write(text);
        return;
    }
    sigset_t interrupts;
    sigemptyset(&interrupts);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
        if (!ignored_by_our_caller(signal)) sigaddset(&interrupts, signal);
    const owned_fd wake(::signalfd(-1, &interrupts, SFD_CLOEXEC | SFD_NONBLOCK));
    (void)to.write_all(text, wake.get());
}

// Whether the cursor will stand behind a line that the item has not ended, where a text of ours would be appended
// to it, and the bar would be painted over it.
bool engine::leaves_open_line(const item_output& output) const {
    for (const stream s : {stream::err, stream::out}) { // the last that is written decides
        if (output.size(s) == 0 || ::isatty(s == stream::out ? STDOUT_FILENO : STDERR_FILENO) != 1) continue;
        char last = '\n';
        if (output.file(s) < 0)
            last = output.in_memory(s).back();
        else if (::pread(output.file(s), &last, 1, static_cast<off_t>(output.size(s) - 1)) != 1)
            last = '\n';
        return last != '\n' && ::isatty(STDERR_FILENO) == 1;
    }
    return open_line_;
}

// What has to stand before a text of ours on standard error.
std::string_view engine::fresh_line() { return std::exchange(open_line_, false) ? "\n" : ""; }

void engine::erase_progress() {
    if (const std::string erase = progress_.erase(); !erase.empty()) (void)err_.write(erase);
}

task<> engine::paint() {
    for (;;) {
        const auto due = progress_.next_update();
        if (!due) co_return;
        co_await sleep_until(*due);
        progress_state state;
        state.ended = ended_;
        state.failed = summary_.counts().failed + summary_.counts().timed_out;
        state.total = source_.total();
        std::vector<const slot*> running;
        for (const auto& s : slots_)
            if (s.busy) running.push_back(&s);
        std::sort(running.begin(), running.end(), [](auto* a, auto* b) { return a->since < b->since; });
        state.running_count = running.size();
        for (std::size_t i = 0; i < running.size() && i < 4; ++i)
            state.running.push_back(running[i]->text);
        if (const std::string text = progress_.update(state, std::chrono::steady_clock::now()); !text.empty())
            (void)err_.write(std::string(fresh_line()) + text);
    }
}

void engine::finish(std::chrono::nanoseconds wall, const audit_counts& left) {
    erase_progress();
    if (options_.json) {
        std::string lines =
            events::summary(summary_.counts(), ending_, wall, summary_.cpu()) + events::audit(left);
        write_last(out_, lines);
    }
    const auto how = run_summary::layout::of(STDERR_FILENO);
    write_last(err_, std::string(fresh_line()) + summary_.text(wall, ending_, how) + audit_text(left) + "\n");
}

} // namespace tenure::inline v0::app
