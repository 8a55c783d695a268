# The functions with which every folder declares what it builds:
#   tenure_layer(NAME SOURCES ... TESTS ...)         a library layer, its public headers and its unit tests
#   tenure_app(NAME SOURCES ... TESTS ...)           the command: tenure_app_core, the executable, app_test
#   tenure_test(NAME SOURCES ... [LINK ...] [LABEL unit] [TIMEOUT 60] [SERIAL])   any test executable
#   tenure_test_program(NAME SOURCES ... [LINK ...]) a helper program for tests, in bin/tests
# A test of io_test is called io.Suite.Case in ctest. LABEL is one of unit, integration, stress; it decides which of
# ./test, ./test --all and ./test --long runs it. TIMEOUT is in seconds for each case; SERIAL: nothing runs beside it.

set(TENURE_BIN_DIR "${PROJECT_BINARY_DIR}/bin")
set(TENURE_TEST_BIN_DIR "${TENURE_BIN_DIR}/tests")

# Private to our own targets: a consumer gets the language level and the include roots, never our warnings.
add_library(tenure_private_flags INTERFACE)
# GCC 12 reports writes of size 0 on branches that it has itself made unreachable: -Wstringop-overflow is off there.
# Spawn sites and assertions name files relative to the project, not where it happened to be built.
target_compile_options(tenure_private_flags INTERFACE
    "-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/="
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers
    -Woverloaded-virtual -Wold-style-cast -Wcast-align -Wextra-semi -Wimplicit-fallthrough
    -Wdouble-promotion -Wformat=2 -Wundef -Wvla
    $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety -Wnon-virtual-dtor -Wunreachable-code -Wloop-analysis -Wheader-hygiene>
    $<$<CXX_COMPILER_ID:GNU>:-Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wno-stringop-overflow>
    $<$<BOOL:${TENURE_WERROR}>:-Werror>)

# One aggregate per kind of test: unit_tests, integration_tests, stress_tests, ...
function(tenure_join_aggregate label target)
    string(MAKE_C_IDENTIFIER "${label}_tests" aggregate)
    if(NOT TARGET ${aggregate})
        add_custom_target(${aggregate})
    endif()
    add_dependencies(${aggregate} ${target})
endfunction()

function(tenure_own_target target)
    target_compile_features(${target} PUBLIC cxx_std_20)
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:tenure_private_flags>)
    set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
endfunction()

# Links what layers.json allows KIND/NAME to see, and nothing else.
function(tenure_link_allowed target scope kind name)
    tenure_json_list(seen ${kind} ${name} sees)
    foreach(layer IN LISTS seen)
        target_link_libraries(${target} ${scope} tenure::${layer})
    endforeach()
    tenure_json_list(packages ${kind} ${name} packages)
    foreach(package IN LISTS packages)
        string(JSON package_target GET "${TENURE_LAYERS_JSON}" packages ${package} target)
        target_link_libraries(${target} ${scope} ${package_target})
    endforeach()
endfunction()

function(tenure_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "LABEL;TIMEOUT" "SOURCES;LINK")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "tenure_test(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
    endif()
    if(NOT TENURE_BUILD_TESTS)
        return()
    endif()
    if(NOT arg_LABEL)
        set(arg_LABEL unit)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 60)
    endif()
    add_executable(${name} ${arg_SOURCES} "${PROJECT_SOURCE_DIR}/tests/tsan_exceptions.cpp")
    tenure_own_target(${name})
    target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gmock_main)
    # With sanitizers, to optimise a test takes three times as long as to compile it, and gains nothing.
    target_compile_options(${name} PRIVATE ${TENURE_TEST_OPTIONS})
    target_compile_definitions(${name} PRIVATE
        TENURE_BIN_DIR="${TENURE_BIN_DIR}" TENURE_TEST_BIN_DIR="${TENURE_TEST_BIN_DIR}")
    # What nearly every test includes, parsed once: a sixth of the time to compile a test. Pays from four files on. Not with
    # GCC: it gains little, and GCC 12 then warns of what is right in its own headers (-Warray-bounds).
    list(LENGTH arg_SOURCES count)
    if(count GREATER_EQUAL 4 AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
        target_precompile_headers(${name} PRIVATE <gtest/gtest.h> <algorithm> <array> <atomic> <chrono> <coroutine>
            <cstdint> <exception> <functional> <map> <memory> <mutex> <optional> <random> <string> <string_view>
            <thread> <tuple> <utility> <variant> <vector>)
    endif()
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${TENURE_TEST_BIN_DIR}")
    tenure_join_aggregate(${arg_LABEL} ${name})
    set(properties LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
    if(arg_SERIAL)
        list(APPEND properties RUN_SERIAL ON)
    endif()
    string(REGEX REPLACE "_test$" "." prefix "${name}")
    gtest_discover_tests(${name} TEST_PREFIX ${prefix} DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()

function(tenure_test_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
    if(NOT TENURE_BUILD_TESTS)
        return()
    endif()
    add_executable(${name} ${arg_SOURCES})
    tenure_own_target(${name})
    target_link_libraries(${name} PRIVATE ${arg_LINK})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${TENURE_TEST_BIN_DIR}")
    tenure_join_aggregate(unit ${name})
endfunction()

function(tenure_layer name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;TESTS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "tenure_layer(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
    endif()
    set(target tenure_${name})
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/include/*.hpp")
    if(arg_SOURCES)
        set(scope PUBLIC)
        add_library(${target} STATIC ${arg_SOURCES})
        tenure_own_target(${target})
        target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/src")
    else()
        set(scope INTERFACE)
        add_library(${target} INTERFACE)
        target_compile_features(${target} INTERFACE cxx_std_20)
    endif()
    add_library(tenure::${name} ALIAS ${target})
    target_sources(${target} ${scope} FILE_SET HEADERS
        BASE_DIRS "${CMAKE_CURRENT_SOURCE_DIR}/include" FILES ${headers})
    set_target_properties(${target} PROPERTIES
        EXPORT_NAME ${name}
        VERIFY_INTERFACE_HEADER_SETS ${TENURE_BUILD_TESTS})
    tenure_link_allowed(${target} ${scope} layers ${name})
    set_property(GLOBAL APPEND PROPERTY TENURE_INSTALL_TARGETS ${target})

    if(arg_TESTS AND TENURE_BUILD_TESTS)
        tenure_test(${name}_test SOURCES ${arg_TESTS} LINK tenure::${name} LABEL unit)
        target_include_directories(${name}_test PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/src")
    endif()
endfunction()

function(tenure_app name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;TESTS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "tenure_app(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
    endif()
    set(core_sources ${arg_SOURCES})
    list(FILTER core_sources EXCLUDE REGEX "(^|/)main\\.cpp$")
    set(main_sources ${arg_SOURCES})
    list(FILTER main_sources INCLUDE REGEX "(^|/)main\\.cpp$")

    set(core ${name}_app_core)
    if(core_sources)
        set(scope PUBLIC)
        add_library(${core} STATIC ${core_sources})
        tenure_own_target(${core})
    else()
        set(scope INTERFACE)
        add_library(${core} INTERFACE)
    endif()
    target_include_directories(${core} ${scope} "${CMAKE_CURRENT_SOURCE_DIR}/src")
    target_compile_definitions(${core} ${scope} TENURE_VERSION="${PROJECT_VERSION}")
    tenure_link_allowed(${core} ${scope} apps ${name})

    if(main_sources)
        add_executable(${name} ${main_sources})
        tenure_own_target(${name})
        target_link_libraries(${name} PRIVATE ${core})
        set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${TENURE_BIN_DIR}")
        set_property(GLOBAL APPEND PROPERTY TENURE_INSTALL_PROGRAMS ${name})
    endif()

    if(arg_TESTS)
        tenure_test(app_test SOURCES ${arg_TESTS} LINK ${core} LABEL unit)
    endif()
endfunction()
