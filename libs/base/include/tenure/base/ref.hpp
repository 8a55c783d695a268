// Intrusive reference counting.
#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

namespace tenure::inline v0::base {

/// Starts at one: the creator's. The last release() calls dispose(), which by default deletes.
class ref_counted {
public:
    ref_counted() = default;
    ref_counted(const ref_counted&) = delete;
    ref_counted& operator=(const ref_counted&) = delete;
    // Relaxed: the caller holds a reference already, so nothing needs to be seen.
    void add_ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
    // Release: what this owner did is seen by the one that disposes (acquire).
    void release() noexcept {
        if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) dispose();
    }

protected:
    virtual ~ref_counted() = default;
    virtual void dispose() noexcept { delete this; }

private:
    std::atomic<std::uint32_t> refs_{1};
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
