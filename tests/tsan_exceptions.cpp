// ThreadSanitizer does not see the reference counts of exceptions: they are counted inside libstdc++, which is not
// instrumented. An exception that one thread has read and another one frees looks like a race.
// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): the sanitizer's name
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
    return "race:std::__exception_ptr::exception_ptr::_M_release\n"
           "race:std::runtime_error::~runtime_error\n";
}
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)
