// Intrusive reference counting.
#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

namespace tenure::inline v0::base {

namespace detail {

/// `Atomic` is a parameter so that the model checker in tests/model runs this very code.
template <template <class> class Atomic>
class basic_ref_count {
public:
    explicit basic_ref_count(std::uint32_t n) noexcept : n_(n) {}
    // Relaxed: the caller holds a reference already, so nothing needs to be seen.
    void up() noexcept { n_.fetch_add(1, std::memory_order_relaxed); }
    /// Gives back n that the caller holds. True: these were the last.
    bool down(std::uint32_t n) noexcept {
        // Who holds all that there are is alone: nobody else can take one, and a read-modify-write is saved. What is read
        // is no older than the caller's own references, which it knows to be counted.
        // Release: what this owner did is seen by the one that disposes (acquire, in both places).
        return holds_all(n) || n_.fetch_sub(n, std::memory_order_acq_rel) == n;
    }
    bool holds_all(std::uint32_t n) const noexcept { return n_.load(std::memory_order_acquire) == n; }

private:
    Atomic<std::uint32_t> n_;
};
template <class T>
using ref_atomic = std::atomic<T>;

} // namespace detail

/// The last release() calls dispose(), which by default deletes.
class ref_counted {
public:
    ref_counted(const ref_counted&) = delete;
    ref_counted& operator=(const ref_counted&) = delete;
    void add_ref() noexcept { refs_.up(); }
    void release(std::uint32_t n = 1) noexcept {
        if (refs_.down(n)) dispose();
    }
    /// The n references that the caller holds are all.
    bool holds_all(std::uint32_t n) const noexcept { return refs_.holds_all(n); }

protected:
    /// Starts at one, the creator's, or more.
    explicit ref_counted(std::uint32_t n = 1) noexcept : refs_(n) {}
    virtual ~ref_counted() = default;
    virtual void dispose() noexcept { delete this; }

private:
    detail::basic_ref_count<detail::ref_atomic> refs_;
};

template <class T>
class ref {
public:
    ref() = default;
    ref(std::nullptr_t) noexcept {}
    ref(const ref& o) noexcept : p_(o.p_) {
        if (p_) p_->add_ref();
    }
    ref(ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
    template <class U>
    ref(ref<U> o) noexcept : p_(o.detach()) {}
    ref& operator=(ref o) noexcept {
        std::swap(p_, o.p_);
        return *this;
    }
    ~ref() {
        if (p_) p_->release();
    }
    /// Takes over a reference that the caller owns.
    static ref adopt(T* p) noexcept {
        ref r;
        r.p_ = p;
        return r;
    }
    /// Adds a reference.
    static ref share(T* p) noexcept {
        if (p) p->add_ref();
        return adopt(p);
    }
    T* detach() noexcept { return std::exchange(p_, nullptr); }
    T* get() const noexcept { return p_; }
    T* operator->() const noexcept { return p_; }
    T& operator*() const noexcept { return *p_; }
    explicit operator bool() const noexcept { return p_ != nullptr; }

private:
    T* p_ = nullptr;
};

} // namespace tenure::inline v0::base
