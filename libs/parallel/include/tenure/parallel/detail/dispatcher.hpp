// The begin of a map: the dispatcher, which reads its items as far as the window allows.
#pragma once
#include <tenure/core/this_task.hpp>
#include <tenure/parallel/detail/results.hpp>

#include <vector>

namespace tenure::inline v0::parallel::detail {

/// A map with what it reads. T: what each item gives.
template <class Source, class T>
class map_of_items : public jobs {
public:
    using item = typename Source::value_type;

    class items final : public results<T> {
    public:
        using results<T>::results;
        void clear() noexcept override {
            in.clear();
            this->out.clear();
        }
        std::size_t count() const noexcept override { return in.size(); }
        std::shared_ptr<batch> again(std::size_t k) override {
            auto one = std::make_shared<items>(this->first + k, this->attempt + 1);
            one->in.reserve(1);
            one->out.resize(1);
            one->in.push_back(std::move(in[k]));
            return one;
        }
        std::vector<item> in;
    };

    map_of_items(map_owner in, map_plan&& p, Source&& s)
        : jobs(std::move(in), std::move(p)), source_(std::move(s)) {}

private:
    void start_dispatcher(core::group g) override {
        (void)g.spawn(dispatch, std::static_pointer_cast<map_of_items>(this->shared_from_this()));
    }
    static core::task<> dispatch(std::shared_ptr<map_of_items> st) {
        std::exception_ptr error;
        std::size_t index = 0;
        std::shared_ptr<batch> spent;
        bool more = true;
        while (more) {
            std::size_t n = core::this_task::cancel_requested() ? 0 : st->room_now();
            if (n == 0) n = co_await st->room(); // a checkpoint
            auto b = std::static_pointer_cast<items>(std::move(spent));
            if (b)
                b->restart(index);
            else
                b = std::make_shared<items>(index);
            b->in.reserve(n);
            try {
                while (b->in.size() < n && more) {
                    // Reading may be slow, and is for nobody then. Not each time: to ask costs as much as to read a number.
                    if (b->in.size() % 8 == 7 && core::this_task::cancel_requested()) break;
                    std::optional<item> one;
                    if constexpr (Source::awaits) {
                        auto next = st->source_.next();
                        if (b->in.empty())
                            one = co_await std::move(next);
                        else if (next.ready())
                            one = next.result();
                        else
                            break; // what has come does not wait for what has not
                    } else {
                        st->source_.next(one);
                    }
                    if (one)
                        b->in.push_back(std::move(*one));
                    else
                        more = false;
                }
            } catch (...) { // what was read before is worked on
                error = std::current_exception();
                more = false;
            }
            index += b->in.size();
            b->out.resize(b->in.size());
            if (!b->in.empty()) spent = st->offer(std::move(b));
        }
        st->end_of_items(std::move(error));
    }
    Source source_;
};

} // namespace tenure::inline v0::parallel::detail
