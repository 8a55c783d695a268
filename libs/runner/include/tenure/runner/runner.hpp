// Runners: something whose coroutine runs a plain function, here or elsewhere.
//
//   int n = co_await call(r, fn<&area>, 3, 4);              on any runner: here, on a thread, in a process
//   future<int> f = submit(g, r, fn<&area>, 3, 4);          the same as a child of a group, or a task of a runtime
//
// What can be called is what wire can send (wire/function.hpp), on every runner, so that one program runs on all of them. Owner,
// cancellation and deadline are those of the task that awaits the call; a runner has none of its own.
#pragma once
#include <tenure/core/group.hpp>
#include <tenure/core/runtime.hpp>
#include <tenure/wire/function.hpp>

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace tenure::inline v0::runner {

using wire::fn;

class parts;

/// One call: run here, or carried elsewhere. Either run_here() or read_result() comes, once.
/// Owner: whoever awaits runner::run(). Threads: one at a time.
class job {
public:
    job() = default;
    job(const job&) = delete;
    job& operator=(const job&) = delete;
    /// Calls the function, and keeps its result. Throws: what the function throws.
    virtual void run_here() = 0;
    /// Appends the call as a message. What it refers to lives as long as the job.
    /// Throws: as wire::write_call.
    virtual void write_call(wire::writer& w) = 0;
    /// Takes the result from a message that holds nothing else. Throws: wire_error.
    virtual void read_result(wire::reader& r) = 0;
    /// Not null: it has several parts, whose results go there instead of to read_result().
    virtual parts* several() noexcept { return nullptr; }
    /// Of the function, for people.
    virtual std::string_view name() const noexcept = 0;

protected:
    ~job() = default;
};

/// Runs jobs. It outlives the calls that were made on it, unless share() says otherwise.
/// Threads: any.
class runner {
public:
    runner() = default;
    runner(const runner&) = delete;
    runner& operator=(const runner&) = delete;
    virtual ~runner();
    /// Runs j once, to its end; j has its result when this returns.
    /// Owner: the awaiting task, also of j.
    /// Cancel: a job that has not begun never begins; one that runs can see it (this_task::checkpoint()), and is waited for,
    ///   or ended if the runner can do that. When this has ended nothing of the job is left.
    /// Throws: what the job throws; remote_error if its type is not known here; what the runner says of itself.
    virtual core::task<> run(job& j) = 0;
    /// How many jobs run at once; 0: as many as the awaiting tasks' runtime has workers.
    virtual unsigned width() const noexcept = 0;
    /// Jobs run in this process, on its memory: how is then the caller's to choose, and width() the most.
    virtual bool is_here() const noexcept { return false; }
    /// How long a call may be, as a message.
    virtual std::uint64_t most_bytes() const noexcept { return std::numeric_limits<std::uint64_t>::max(); }
    /// The same runner, for what may still run when this object is gone: then its calls fail, with closed_error.
    /// By default it is this object, which must outlive them.
    virtual std::shared_ptr<runner> share() { return {std::shared_ptr<runner>(), this}; }
    /// "inline", "threads", …
    virtual std::string_view kind() const noexcept = 0;
};

/// Thrown elsewhere: a copy of what is known of it. what() is "type: message".
class remote_error : public base::error {
public:
    remote_error(std::string type, std::string message);
    const std::string& type() const noexcept { return text_->type; }
    const std::string& message() const noexcept { return text_->message; }

private:
    struct text {
        std::string type, message;
    };
    std::shared_ptr<const text> text_; // shared: copying an exception must not throw
};

namespace detail {

[[noreturn]] void throw_no_result(std::string_view function);

template <class F>
using result_of_call = typename wire::detail::signature_of_callable<F>::result;

/// The arguments of a call, as its parameters' types.
template <class F, class Values = typename wire::detail::signature_of_callable<F>::values::type>
class job_of;
template <class F, class... Values>
class job_of<F, std::tuple<Values...>> final : public job {
public:
    using result = result_of_call<F>;

    template <class... A>
    explicit job_of(F f, A&&... a) : f_(std::move(f)), values_(static_cast<Values>(std::forward<A>(a))...) {}
    job_of(job_of&& o) noexcept : job(), f_(std::move(o.f_)), values_(std::move(o.values_)) {}

    void run_here() override {
        if constexpr (std::is_void_v<result>) {
            std::apply(f_, std::move(values_));
            result_.emplace();
        } else {
            result_.emplace(std::apply(f_, std::move(values_)));
        }
    }
    void write_call(wire::writer& w) override {
        w.fixed(wire::name_of_function<F>());
        if constexpr (!wire::detail::stateless<F>) wire::write(w, f_);
        std::apply([&](const Values&... v) { (wire::write(w, v), ...); }, values_);
    }
    void read_result(wire::reader& r) override {
        if constexpr (std::is_void_v<result>)
            result_.emplace();
        else
            result_.emplace(wire::read<result>(r));
        r.finish();
    }
    std::string_view name() const noexcept override { return wire::detail::described<F>::value.name; }

    result take() {
        if (!result_) throw_no_result(name());
        if constexpr (!std::is_void_v<result>) return std::move(*result_);
    }

private:
    [[no_unique_address]] F f_;
    std::tuple<Values...> values_;
    std::optional<std::conditional_t<std::is_void_v<result>, std::monostate, result>> result_;
};

template <class Job>
core::task<typename Job::result> run_job(runner& r, Job j) {
    co_await r.run(j);
    co_return j.take();
}

template <class... Values, class... A>
consteval bool arguments_fit(std::type_identity<std::tuple<Values...>>,
                             std::type_identity<std::tuple<A...>>) {
    constexpr bool as_many = sizeof...(A) == sizeof...(Values);
    static_assert(as_many, "wrong number of arguments for this function");
    if constexpr (as_many) {
        constexpr bool fit = (std::is_convertible_v<A, Values> && ...);
        static_assert(fit, "an argument cannot become the type of its parameter");
        return fit;
    }
    return false;
}
/// Compiles if F can be called with these on any runner; otherwise the compiler says what to do.
template <class F, class... A>
consteval bool can_be_called() {
    if constexpr (wire::detail::can_be_called_elsewhere<F>() && wire::detail::callable<F>)
        return arguments_fit(typename wire::detail::signature_of_callable<F>::values(),
                             std::type_identity<std::tuple<A...>>());
    return false;
}

template <class F, class... A>
auto make_call(runner& r, F&& f, A&&... arguments) {
    using function = std::remove_cvref_t<F>;
    if constexpr (can_be_called<function, A...>())
        return run_job(r, job_of<function>(std::forward<F>(f), std::forward<A>(arguments)...));
}

} // namespace detail

/// `auto v = co_await call(r, fn<&f>, args...)`: f(args...), run by r; a function (fn<&f>), a lambda without captures, or an
/// aggregate function object. The arguments become the parameters' types at once; what a view shows must outlive the await.
/// Owner: the calling task. Cancel, throws: as runner::run.
template <class F, class... A>
auto call(runner& r, F&& f, A&&... arguments) {
    TENURE_CHECK_CLOSURE(F);
    return detail::make_call(r, std::forward<F>(f), std::forward<A>(arguments)...);
}

/// Who owns a call that is not awaited where it is made: a group, or a runtime.
class call_owner {
public:
    // Implicit, so that they know the caller's place.
    call_owner(core::group g, base::spawn_site at = base::spawn_site::current())
        : group_(std::move(g)), at_(at) {}
    call_owner(core::runtime& rt, base::spawn_site at = base::spawn_site::current()) noexcept
        : runtime_(&rt), at_(at) {}

    template <class F, class... A>
    auto spawn(std::string name, F&& f, A&&... a) {
        core::spawn_options o{.name = std::move(name), .site = at_};
        return group_ ? group_->spawn(std::move(o), std::forward<F>(f), std::forward<A>(a)...)
                      : runtime_->submit(std::move(o), std::forward<F>(f), std::forward<A>(a)...);
    }

private:
    std::optional<core::group> group_;
    core::runtime* runtime_ = nullptr;
    base::spawn_site at_;
};

namespace detail {

/// How a task that makes a call is named.
std::string name_of_task(std::string_view function);

template <class F>
struct call_in_task {
    std::shared_ptr<runner> on;
    F f;
    template <class... A>
    auto operator()(A&... a) {
        return make_call(*on, std::move(f), std::move(a)...);
    }
};

/// What the task keeps until it calls: the parameter; or, for one that only shows something, what it will show.
template <class Value, class A>
using kept_argument = std::conditional_t<wire::detail::is_a<Value, wire::view>, std::decay_t<A>, Value>;

template <class F, class... Values, class... A>
auto submit_converted(call_owner& in, call_in_task<F>&& c, std::type_identity<std::tuple<Values...>>,
                      A&&... a) {
    return in.spawn(name_of_task(wire::detail::described<F>::value.name), std::move(c),
                    static_cast<kept_argument<Values, A>>(std::forward<A>(a))...);
}

template <class T>
inline constexpr bool is_future = wire::detail::is_a<std::remove_cvref_t<T>, core::future>;

} // namespace detail

/// `auto f = submit(g, r, fn<&area>, 3, 4)`: a task of the group or runtime `in` that awaits call(r, f, args...). The arguments
/// become the parameters' types at once; what becomes a view is kept by the task. An argument that is a future becomes its
/// value, as in group::spawn; the arguments beside it are then copied as they are.
/// Owner: the group or runtime; r outlives the task, unless runner::share() says otherwise. Cancel: future::cancel(), or the owner's.
/// Throws: closed_error if `in` accepts no more.
template <class F, class... A>
auto submit(call_owner in, runner& r, F&& f, A&&... arguments) {
    using function = std::remove_cvref_t<F>;
    detail::call_in_task<function> c{r.share(), std::forward<F>(f)};
    if constexpr ((detail::is_future<A> || ...))
        return in.spawn(detail::name_of_task(wire::detail::described<function>::value.name), std::move(c),
                        std::forward<A>(arguments)...);
    else if constexpr (detail::can_be_called<function, A...>())
        return detail::submit_converted(in, std::move(c),
                                        typename wire::detail::signature_of_callable<function>::values(),
                                        std::forward<A>(arguments)...);
}

} // namespace tenure::inline v0::runner
