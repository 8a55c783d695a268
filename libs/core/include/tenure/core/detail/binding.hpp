// Values bound to typed keys: an immutable list, nearest first, shared by all who see it.
#pragma once
#include <tenure/base/ref.hpp>

#include <atomic>
#include <cstdint>
#include <utility>

namespace tenure::inline v0::core::detail {

/// How the values of a key get into other processes: a layer above knows (runner/travelling_key.hpp), core hands it on.
class carrier {
public:
    carrier(const carrier&) = delete;
    carrier& operator=(const carrier&) = delete;

protected:
    carrier() = default;
    ~carrier() = default;
};

/// One bound value and what was bound before it. Counted by itself and not by ref_counted, because a long list has to be
/// released without recursion.
class binding {
public:
    /// `by`: null if the value stays in this process.
    binding(const void* key, const carrier* by, base::ref<binding> outer) noexcept
        : key_(key),
          carrier_(by),
          outer_(what_is_seen(key, std::move(outer))),
          travels_(by       ? this
                   : outer_ ? outer_->travels_
                            : nullptr) {}
    binding(const binding&) = delete;
    binding& operator=(const binding&) = delete;

    // Relaxed: the caller holds a reference already.
    void add_ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        for (binding* b = this; b;) {
            // Release: what this owner read is behind it. Acquire: of all others, before the value dies.
            if (b->refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
            binding* outer = b->outer_;
            delete b;
            b = outer;
        }
    }
    /// The nearest value of `key`; null if it is not bound.
    const void* find(const void* key) const noexcept {
        for (const binding* b = this; b; b = b->outer_)
            if (b->key_ == key) return b->value();
        return nullptr;
    }

    /// The nearest value that travels, of this and those above; null if there is none.
    const binding* first_that_travels() const noexcept { return travels_; }
    /// Above this one.
    const binding* next_that_travels() const noexcept { return outer_ ? outer_->travels_ : nullptr; }
    const void* key() const noexcept { return key_; }
    const carrier* carried_by() const noexcept { return carrier_; }
    virtual const void* value() const noexcept = 0;

protected:
    virtual ~binding() = default;

private:
    // One of the same key just below will never be found: tasks that bind, and spawn the next one, make no endless list.
    static binding* what_is_seen(const void* key, base::ref<binding> outer) noexcept {
        if (!outer || outer->key_ != key) return outer.detach();
        if (outer->outer_) outer->outer_->add_ref();
        return outer->outer_;
    }
    const void* const key_;
    const carrier* const carrier_;
    binding* const outer_;
    const binding* const travels_;
    std::atomic<std::uint32_t> refs_{1};
};

template <class T>
class bound_value final : public binding {
public:
    template <class V>
    bound_value(const void* key, const carrier* by, base::ref<binding> outer, V&& v)
        : binding(key, by, std::move(outer)), value_(std::forward<V>(v)) {}

    const void* value() const noexcept override { return &value_; }

private:
    const T value_;
};

} // namespace tenure::inline v0::core::detail
