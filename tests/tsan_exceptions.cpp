// Shows ThreadSanitizer the order that the reference counts of exceptions give. They are counted inside libstdc++, which is
// not instrumented: without this, an exception that one thread has read and another one frees looks like a race.
//
// Whoever gives a reference back does so with an acquire and a release of the exception, as the count itself has them. The
// lock, which ThreadSanitizer does not see, makes that one step with the counting: whoever counts to 0 has acquired what
// all others released. It is held while the exception is destroyed, whose members may be exceptions: hence recursive.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#include <dlfcn.h>
#include <exception>
#include <sanitizer/tsan_interface.h>
#include <sched.h>

namespace {

class unseen_lock {
public:
    [[clang::disable_sanitizer_instrumentation]] unseen_lock() noexcept {
        if (depth_++ > 0) return;
        while (__atomic_exchange_n(&held_, true, __ATOMIC_ACQUIRE))
            sched_yield();
    }
    unseen_lock(const unseen_lock&) = delete;
    unseen_lock& operator=(const unseen_lock&) = delete;
    [[clang::disable_sanitizer_instrumentation]] ~unseen_lock() {
        if (--depth_ == 0) __atomic_store_n(&held_, false, __ATOMIC_RELEASE);
    }

private:
    static inline bool held_ = false;
    static inline thread_local int depth_ = 0;
};

template <class F>
[[clang::disable_sanitizer_instrumentation]] F* next_definition(const char* symbol) noexcept {
    return reinterpret_cast<F*>(dlsym(RTLD_NEXT, symbol));
}

} // namespace

[[clang::disable_sanitizer_instrumentation]] void std::__exception_ptr::exception_ptr::_M_release() noexcept {
    static void (*const next)(exception_ptr*) noexcept =
        next_definition<void(exception_ptr*) noexcept>("_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv");
    const unseen_lock l;
    __tsan_acquire(_M_exception_object);
    __tsan_release(_M_exception_object);
    next(this);
}

namespace __cxxabiv1 {
extern "C" [[clang::disable_sanitizer_instrumentation]] void __cxa_end_catch() {
    static void (*const next)() = next_definition<void()>("__cxa_end_catch");
    const unseen_lock l;
    (void)std::current_exception(); // given back at once, by the function above
    next();
}
} // namespace __cxxabiv1
#endif
#endif
