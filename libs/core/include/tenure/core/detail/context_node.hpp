// The cancellation tree. A node is a scope that can be cancelled: a runtime, a group, a task, a timeout, a shield.
//
// INVARIANTS
//  1. A linked node is alive: its owner holds a reference and unlinks it before letting go.
//  2. A node's flag is written under its own lock, once, after its cause. Irrevocable.
//  3. A child is linked under its parent's lock and looks at the parent's flag there: born cancelled, or seen by the
//     canceller's walk. So when cancel() returns true, every descendant below it reports cancelled.
//  4. `owner_` is poked under the node's lock and forgotten by unlink() under the same lock: no poke of a dead strand.
//  5. A node that is linked loosely (a public context) may outlive its parent: the link holds the parent's memory, and is
//     cut under both locks by whoever ends first. A parent that ends cancels and lets go of all that hang below it so.
//  6. A relay gives a node a second parent, which is older than the node: locking older before younger stays possible.
// Lock order: timers, then parent before child (never more than two nodes at once), then the run queue. No user code.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/error.hpp>
#include <tenure/base/mutex.hpp>
#include <tenure/base/ref.hpp>
#include <tenure/core/detail/block_pool.hpp>
#include <tenure/core/detail/listener.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace tenure::inline v0::core::detail {

class strand;
class scheduler;

enum class node_kind : std::uint8_t { root, task, group, scope };

/// A node as it is shown to a visitor, which holds its lock.
struct node_view {
    node_kind kind;
    bool shield;
    strand* owner; // may be null
    base::time_point deadline;
    base::cause_ptr why;
    std::size_t parent; // the number of its parent: the node visited first is 0, then 1, 2, ...
};

class context_node;
using node_list = std::vector<base::ref<context_node>>;

/// Nodes that a cancel() visited. Their tasks may have ended meanwhile: letting go destroys results, which is user code.
/// Declared before the lock under which the cancel runs.
class held_nodes {
public:
    held_nodes() = default;
    held_nodes(const held_nodes&) = delete;
    held_nodes& operator=(const held_nodes&) = delete;
    ~held_nodes();
    /// Takes over a reference. Of the walk that set the node's flag.
    void add(context_node& n) noexcept;

private:
    context_node* first_ = nullptr; // linked by next_to_visit_
};

class context_node : public base::ref_counted, public pooled {
public:
    /// A root: nobody's child. `owner` is the strand to wake when the node is cancelled; may be null.
    explicit context_node(strand* owner = nullptr, node_kind kind = node_kind::scope,
                          std::uint32_t references = 1)
        : ref_counted(references), kind_(kind), owner_(owner) {}

    /// Makes this node a child of `parent`, once, before it is used. A shield does not hear its parent.
    void link(context_node& parent, bool shield = false, base::time_point deadline = base::never) noexcept {
        base::mutex_lock l(parent.m_);
        insert_below(parent, shield, deadline);
    }
    /// After this no canceller reaches the owner, and cancel() returns false. Public contexts below it are cancelled.
    void unlink() noexcept {
        leave_parent();
        end();
    }
    /// Its two parts. After the first one, only references lead to this node: who has the last one, and the last one on the
    /// owner, may leave out the second.
    void leave_parent() noexcept {
        context_node* const parent = parent_;
        if (!parent) return;
        base::mutex_lock l(parent->m_);
        remove_below(*parent);
    }
    void end() noexcept;
    /// The same two for a public context, whose parent may end first. False: it has ended; this node stays a root.
    bool link_loosely(context_node& parent, base::time_point deadline) noexcept;
    void unlink_loosely() noexcept;
    /// Cancels the public contexts right below this node, which goes on, and lets go of them.
    void end_contexts() noexcept;

    /// False: it is cancelled already, and nothing was listed. A relay is unlisted by its owner; a callback is taken off when
    /// it is fired.
    bool listen(listener& l) noexcept;
    /// False: it is not listed any more; whoever took it off will be done with it soon.
    bool unlisten(listener& l) noexcept;

    /// Flags this node and all below it, shields excepted, and wakes the strands that wait there.
    /// Returns true for the first request only; the first one fixes the cause.
    /// Threads: any. Runs no code of the tasks.
    bool cancel(const base::cause_ptr& why) noexcept {
        held_nodes visited;
        return cancel(why, visited);
    }
    /// For a caller that holds a lock: what it must let go of afterwards is added to `visited`.
    bool cancel(const base::cause_ptr& why, held_nodes& visited) noexcept;

    bool cancelled() const noexcept { return flag_.load(std::memory_order_acquire); }
    /// Null unless cancelled.
    base::cause_ptr why() const noexcept { return cancelled() ? why_ : nullptr; }
    // Relaxed: the flag is what counts; this only says when to look at the clock.
    base::time_point deadline() const noexcept { return deadline_.load(std::memory_order_relaxed); }
    /// Also for the nodes below, which inherit it. Returns nodes to let go of where no lock is held. Threads: any.
    /// May throw std::bad_alloc.
    [[nodiscard]] node_list move_deadline(base::time_point at);
    context_node* parent() const noexcept { return parent_; }
    bool has_children() const noexcept {
        base::mutex_lock l(m_);
        return first_ != nullptr;
    }
    /// Calls f(node_view) for this node and each one below it, parents before children. Its lock and its parent's are held:
    /// the owner does not end, and f must not lock nodes. Returns nodes to let go of where no lock is held.
    template <class F>
    [[nodiscard]] node_list visit(F&& f) {
        return walk(
            [](void* ctx, const node_view& v) { (*static_cast<std::remove_reference_t<F>*>(ctx))(v); }, &f);
    }

protected:
    /// Its parent has ended, and it was cancelled. No lock is held.
    virtual void orphaned() noexcept {}

private:
    friend class held_nodes;
    bool flag_and_poke(const base::cause_ptr& why, strand*& woken) noexcept TENURE_REQUIRES(m_);
    node_list walk(void (*f)(void*, const node_view&), void* arg);
    node_view view(std::size_t parent) const noexcept TENURE_REQUIRES(m_);
    void insert_below(context_node& parent, bool shield, base::time_point deadline) noexcept
        TENURE_REQUIRES(parent.m_) {
        const base::time_point inherited = shield ? base::never : parent.deadline();
        shield_ = shield;
        parent_ = &parent;
        own_deadline_ = deadline;
        inherited_ = inherited;
        deadline_.store(deadline < inherited ? deadline : inherited, std::memory_order_relaxed);
        context_node* const next = parent.first_;
        next_ = next;
        if (next) next->prev_ = this;
        parent.first_ = this;
        if (!shield && parent.cancelled()) [[unlikely]]
            born_cancelled(parent);
    }
    void remove_below(context_node& parent) noexcept TENURE_REQUIRES(parent.m_) {
        (prev_ ? prev_->next_ : parent.first_) = next_;
        if (next_) next_->prev_ = prev_;
    }
    void born_cancelled(const context_node& parent) noexcept TENURE_REQUIRES(parent.m_);
    context_node* detach_children(context_node* chain, unsigned& links) noexcept TENURE_REQUIRES(m_);
    static void end_orphans(context_node* chain) noexcept;

    mutable base::mutex m_;
    // Writer: canceller or link(), under the lock (release). Reader: anybody (acquire). Publishes why_.
    std::atomic<bool> flag_{false};
    bool shield_ = false; // constant after link(), as the next one
    bool loose_ = false;
    const node_kind kind_;
    bool ended_ TENURE_GUARDED_BY(m_) = false;
    base::cause_ptr why_; // written once, before flag_
    // Writers: link(), then whoever moves a deadline, under the lock. The earlier one of the next two.
    std::atomic<base::time_point> deadline_{base::never};
    base::time_point own_deadline_ = base::never; // guarded by the lock after link()
    base::time_point inherited_ = base::never;    // guarded by the lock after link()
    // Constant between link() and unlink(), both by the owner. Of a loose node: guarded by its lock.
    context_node* parent_ = nullptr;
    strand* owner_ TENURE_GUARDED_BY(m_);
    context_node* first_ TENURE_GUARDED_BY(m_) = nullptr;
    listener_list listeners_ TENURE_GUARDED_BY(m_);
    context_node *prev_ = nullptr, *next_ = nullptr; // guarded by the parent's lock
    context_node* next_to_visit_ = nullptr; // confined to the walk that set the flag, then to its held_nodes
};

} // namespace tenure::inline v0::core::detail
