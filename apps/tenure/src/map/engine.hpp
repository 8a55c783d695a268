#pragma once

#include "cli/options.hpp"
#include "map/command_template.hpp"
#include "map/events.hpp"
#include "map/item_output.hpp"
#include "map/item_source.hpp"
#include "map/out_channel.hpp"
#include "map/progress.hpp"
#include "map/release_queue.hpp"
#include "map/results_dir.hpp"
#include "map/summary.hpp"
#include "proc/guard.hpp"
#include "proc/warden_set.hpp"

#include <tenure/io/descriptor.hpp>
#include <tenure/tenure.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tenure::inline v0::app {

/// One run of `tenure map`: reads items, has the wardens run them, collects and releases their output.
///
/// Everything here runs on one thread, as coroutines of one group, so there are no locks:
///   slots      next item -> attempts -> record             end: no item left, or stopped
///              While all are busy, they offer the next items to the wardens, who start them by themselves.
///   feeder     standard input or file -> item source       ends: end of input, or cancelled
///   releaser   ended items -> stdout and stderr, in order  ends: the slots have ended and all is written
///   watchers   signals, deadline, guard, progress          end: cancelled
/// stop(why) is the only way to end a run early: no new items; every busy warden gets END (SIGTERM, grace,
/// SIGKILL); slots that wait for something else are cancelled. A second signal makes that KILL.
/// Invariant: an item that has started is recorded, whatever happens. The attempt is shielded from cancellation;
/// what bounds it is the warden, which ends every item.
class engine {
public:
    /// `items`: what to read items from, empty for a list. `results`: the opened folder of --results.
    engine(const map_options& options, item_source source, owned_fd items, std::optional<results_dir> results,
           const engine_context& guard);
    ~engine();

    /// Runs all of it. Returns: the exit status; ended_by_signal(SIGINT) when that interrupted the run.
    int run();

private:
    struct output_pipes {
        std::optional<io::descriptor> out, err; // both, or none when the item has the terminal
    };
    /// An item that a warden may start by itself; in the end it has, or the item is taken back.
    struct early_item {
        item what;
        output_pipes pipes;
    };
    struct slot {
        unsigned number = 0;
        std::optional<io::descriptor> ready; // a copy of the link's socket, for the driver to watch
        bool busy = false;
        std::string text; // beginning of the item that runs here, for the progress line
        std::chrono::steady_clock::time_point since{};
        std::optional<early_item> begun; // its warden has gone on with it: it runs, or has ended already
    };
    struct ended_item {
        item_result result;
        std::unique_ptr<item_output> output; // null: nothing to release
    };
    struct attempt {
        item_result result;
        int shortage = 0; // errno: it could not be started for lack of something, and has not run
    };
    struct attended {
        std::optional<report> got; // empty: it was not run, or its warden died
        int shortage = 0;
        std::string problem;
    };

    task<> run_all();
    task<> run_slots();

    // engine_slots.cpp
    task<> work(slot& s);
    task<std::optional<item>> next_item();
    task<> run_item(slot& s, item what, std::optional<output_pipes> begun);
    task<> run_begun(slot& s);
    task<attempt> try_once(slot& s, const item& what, item_output& output,
                           std::optional<output_pipes>& begun);
    task<attended> attend(slot& s, const std::vector<std::string>& argv, item_output& output,
                          std::optional<output_pipes>& begun);
    task<> drain(item_output& output, stream which, const io::descriptor& pipe);
    task<std::optional<report>> converse(slot& s);
    task<> bury(slot& s, std::chrono::nanoseconds patience);
    int ready_warden(slot& s);
    int make_streams(run_streams& given, output_pipes& kept);
    run_request request(const std::vector<std::string>& argv) const;
    std::optional<item> ready_item();
    void offer_items();
    bool offer(item& what);
    bool take_back_first();
    void take_back_all();
    void take_back_after(const slot& dead);
    void judge(const report& r, item_result& result) const;
    void record(item_result result, const item& what, std::unique_ptr<item_output> output);
    bool make_room(int shortage);
    void got_along();
    void dismiss(slot& s);

    // engine_output.cpp
    task<> release();
    task<> write_out(ended_item& ended);
    task<> write_text(std::string_view text);
    task<> until_writable(const out_channel& to, std::optional<io::descriptor>& ready);
    task<> paint();
    void output_lost(stream which, send_state how, int error);
    void emit(const std::string& event);
    void say(const std::string& line);
    void write_last(out_channel& to, std::string_view text);
    void erase_progress();
    bool leaves_open_line(const item_output& output) const;
    std::string_view fresh_line();
    void finish(std::chrono::nanoseconds wall, const audit_counts& left);

    // engine.cpp
    task<> feed();
    task<> watch_signals();
    task<> watch_deadline();
    task<> watch_guard();
    static bool ignored_by_our_caller(int signal);
    void stop(run_ending why);
    void stop_if_interrupted(int killer);
    void kill_everything();
    void suspend();
    audit_counts audit(std::size_t descriptors_before);
    bool stopping() const { return ending_ != run_ending::finished; }
    std::size_t backlog_limit() const { return std::max<std::size_t>(64, 4 * slots_.size()); }

    const map_options& options_;
    const engine_context& guard_;
    const command_template command_;
    item_source source_;
    owned_fd items_;
    std::optional<results_dir> results_;
    spill_place spill_;

    runtime runtime_; // before what registers with its driver
    warden_set wardens_;
    std::vector<slot> slots_;
    std::optional<group> slots_group_;
    std::optional<future<void>> releaser_;

    out_channel out_;
    out_channel err_;
    std::optional<io::descriptor> out_ready_, err_ready_; // copies, for waiting only; made when first needed
    release_queue<ended_item> releases_;
    std::string event_lines_; // JSON not yet written
    run_summary summary_;
    progress_display progress_;

    run_ending ending_ = run_ending::finished;
    bool input_failed_ = false; // some items were never seen
    bool sigint_ = false;       // one of the interrupts was SIGINT
    bool hurried_ = false;      // interrupted twice
    bool open_line_ = false;    // the terminal's cursor stands behind an unfinished line of an item
    bool slots_done_ = false;
    std::optional<item> held_;                    // taken from the source, not yet started
    std::map<std::uint64_t, early_item> offered_; // by the id of the request: in the order of the items
    std::map<std::uint64_t, item> returned_; // offered and taken back; they go before what is in the source
    std::size_t most_offers_ = 0;
    std::uint64_t started_ = 0;
    std::uint64_t ended_ = 0;
    std::uint64_t unwritten_ = 0; // items whose output is being written, or never was

    // A run that is short of descriptors, processes or memory goes on with fewer slots.
    unsigned room_;                                        // slots that may have an item with their warden
    unsigned most_room_;                                   // as many as there are descriptors for
    unsigned inside_ = 0;                                  // slots that have
    std::chrono::steady_clock::time_point room_changed_{}; // when room_ was
    std::optional<std::chrono::steady_clock::time_point> stuck_since_; // no slot could start anything since
    bool shortage_told_ = false;

    event hungry_;     // a slot waits for items
    event fed_;        // items, or the end of them, are there
    event moved_;      // an ended item has been released
    event releasable_; // an item has ended, or the slots have
    event room_free_;  // a slot has left
};

} // namespace tenure::inline v0::app
