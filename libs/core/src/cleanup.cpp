#include <tenure/core/cleanup.hpp>
#include <tenure/core/scope.hpp>

#include <vector>

namespace tenure::inline v0::core::detail {

namespace {

/// Runs a dead frame's defers one after the other, each in a shield of its own. Deletes itself at the end.
class defer_runner final : public link {
public:
    defer_runner(std::unique_ptr<deferred> list, link& up, ending how, result_base& out) noexcept
        : list_(std::move(list)), up_(up), how_(how), out_(out) {}

    bool next(strand& s) noexcept {
        while (list_) {
            try {
                auto cleanup = list_->make();
                outer_ = s.context;
                auto node = base::ref<context_node>::adopt(new context_node(&s));
                timer_.at = base::saturating_add(s.sched->now(), list_->grace);
                node->link(*outer_, true, timer_.at);
                timer_.target = node;
                s.context = node.get();
                result_.error = nullptr;
                if (timer_.at != base::never) s.sched->arm(timer_);
                cleanup.enter(s, *this, result_);
                return true;
            } catch (...) {
                errors_.push_back(std::current_exception());
                if (timer_.target) {
                    s.sched->disarm(timer_);
                    leave_shield(s);
                }
            }
            list_ = std::move(list_->next);
        }
        fold_errors();
        link& up = up_;
        const ending how = how_;
        delete this;
        return up.child_ended(s, how);
    }
    bool child_ended(strand& s, ending how) noexcept override {
        s.sched->disarm(timer_);
        leave_shield(s);
        if (result_.error)
            errors_.push_back(result_.error);
        else if (how == ending::unwound)
            errors_.push_back(
                std::make_exception_ptr(base::timeout_error("cleanup did not end within its grace")));
        list_ = std::move(list_->next);
        return next(s);
    }

private:
    void leave_shield(strand& s) noexcept {
        s.context = outer_;
        const auto own = std::move(timer_.target);
        own->unlink();
    }
    // An error of a cleanup replaces a value and a cancellation, and joins another error.
    void fold_errors() noexcept {
        if (errors_.empty()) return;
        if (out_.error) errors_.insert(errors_.begin(), out_.error);
        out_.error =
            errors_.size() == 1 ? errors_[0] : std::make_exception_ptr(base::group_error(std::move(errors_)));
        how_ = ending::returned;
    }

    std::unique_ptr<deferred> list_;
    link& up_;
    ending how_;
    result_base& out_;
    context_node* outer_ = nullptr;
    deadline_timer timer_;
    detail::result<void> result_;
    std::vector<std::exception_ptr> errors_;
};

} // namespace

bool run_defers(std::unique_ptr<deferred> list, strand& s, link& up, ending how, result_base& out) noexcept {
    return (new defer_runner(std::move(list), up, how, out))->next(s);
}

} // namespace tenure::inline v0::core::detail
