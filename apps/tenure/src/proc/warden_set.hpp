// The engine's wardens, one per job slot, started when first needed.
//
// The engine must have no other children and be single-threaded when it calls start(). It is a subreaper, so
// what a dead warden leaves behind becomes the engine's child: **every child of the engine that is not a
// warden is a stray of a dead warden**, and is killed. That is the whole of the attribution.
//
// A warden has died (pidfd readable, or the link is broken): call bury(slot). It returns false while strays
// are still dying; then call it again a millisecond later (a timer of the engine), until true. Then start().
// The results of the item are not complete before that: its pipes may still have writers.
//
// The guard has died (its pidfd is readable): call end_now() and _exit.
// The end of the run: quit() every link, wait for the pidfds and bury() each; or just destroy the set.
#pragma once

#include "proc/cgroup.hpp"
#include "proc/item_offers.hpp"
#include "proc/shared_array.hpp"
#include "proc/subtree.hpp"
#include "proc/warden_link.hpp"
#include "proc/warden_registry.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace tenure::inline v0::app {

class warden_set {
public:
    /// Borrows `registry` and `cgroup`, which may be NULL: without a guard, or without cgroups.
    warden_set(unsigned slots, warden_registry* registry, const run_cgroup* cgroup);
    warden_set(const warden_set&) = delete;
    warden_set& operator=(const warden_set&) = delete;
    /// end_now().
    ~warden_set();

    unsigned slots() const noexcept { return static_cast<unsigned>(links_.size()); }
    warden_link& operator[](unsigned slot) noexcept { return links_[slot]; }

    /// Forks the warden of a slot that has none.
    /// Returns: 0, or errno of socketpair, fork or pidfd_open (EAGAIN, ENOMEM, EMFILE: try again later).
    int start(unsigned slot);

    /// Before the first start(): items can be offered. It takes two descriptors.
    /// Returns: false when there are none, or no memory.
    bool open_queue();
    /// Offers an item to whichever warden is the first to end one that succeeds: item_offers.hpp.
    /// Gives the request its id. Owner: the streams stay the caller's, to be closed in any case; the queue has copies.
    /// Returns: false when it cannot be offered: it is too long, or as many as there are slots are offered already.
    bool offer(run_request& request, const run_streams& streams);
    /// Returns: true when the offered item is the caller's again; false when a warden has it, whose report will tell.
    bool take_back(std::uint64_t id);
    /// The same, after the slot's warden has died: an item that it had taken without telling was not started.
    bool take_back_after(std::uint64_t id, unsigned slot);
    /// For a request of warden_link::run(): not the id of any other.
    std::uint64_t fresh_id() noexcept { return ++last_id_; }

    /// Reaps a warden that has died or is about to (it is killed when it still lives), and kills its strays.
    /// Never blocks; one call is one round. Forgets the link's item: ask for it before.
    /// Returns: true when nothing of the slot is left, or only what does not end: end_now() counts that.
    /// Strays that do not end are waited for at most for `patience` after the last end of one.
    bool bury(unsigned slot, std::chrono::nanoseconds patience = kill_patience::with_deaf);

    /// For Ctrl-Z: every item stops (or goes on).
    void stop_all();
    void cont_all();

    /// Kills every item, and ends every warden. Blocks: usually a few ms, 1 s until wardens are forced.
    /// Returns: what could not be ended.
    kill_round end_now();

private:
    bool strays_gone(std::chrono::nanoseconds patience);
    bool is_warden(pid_t pid) const;
    bool is_hopeless(pid_t pid) const;

    static constexpr std::size_t most_offers = 64;
    shared_array<item_offer> offers_;
    io::unique_fd queue_in_, queue_out_; // of offers: the engine's end, and the one for the wardens; or none
    std::uint64_t last_id_ = 0;
    std::vector<warden_link> links_;
    kill_patience patience_;      // on what is being buried
    std::vector<pid_t> hopeless_; // children that SIGKILL did not end; not reaped, so their pids stay theirs
    warden_registry* registry_;
    const run_cgroup* cgroup_;
};

} // namespace tenure::inline v0::app
