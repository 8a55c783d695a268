// A dump in two steps: the tree of one runtime as it is, and then, when nothing is held any more, what other processes say.
#pragma once
#include <tenure/base/ref.hpp>
#include <tenure/core/detail/context_node.hpp>
#include <tenure/core/dump.hpp>

#include <string>
#include <vector>

namespace tenure::inline v0::core::detail {

/// The tasks that a call has started in its process, for whoever holds no lock.
class tasks_elsewhere : public base::ref_counted {
public:
    /// Asks the process, and does not wait. A process that answers later than `until` need not answer.
    virtual void ask(base::time_point until) = 0;
    /// After ask(): waits until then, at most, and fills in tree_entry::answer and tasks.
    virtual void take(tree_entry& of_the_call, base::time_point until) = 0;
};

/// What lived in a runtime at one moment. The runtime may be gone when the rest is done.
class tree_sketch {
public:
    /// All, before the first one finish()es: they answer side by side.
    void ask(base::time_point until) const;
    /// Once.
    task_tree finish(base::time_point until);

private:
    friend class scheduler;
    struct call {
        tree_entry entry;
        base::ref<tasks_elsewhere> tasks; // null: it is known to have none
    };
    base::time_point taken_{};
    std::vector<tree_entry> found_;
    std::vector<call> calls_;
    node_list seen_; // let go of without a lock: that may run user code
};

/// to_string() of the trees of all runtimes of this process but that one, each of which has its own heading. Patience: as
/// for a dump, for all of them together.
std::string trees_of_this_process(const scheduler* but, base::duration patience);

} // namespace tenure::inline v0::core::detail
