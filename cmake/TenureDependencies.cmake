# Reads layers.json, the only table of allowed dependencies, and finds the third-party packages it names.

set(TENURE_LAYERS_FILE "${PROJECT_SOURCE_DIR}/layers.json")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${TENURE_LAYERS_FILE}")
file(READ "${TENURE_LAYERS_FILE}" TENURE_LAYERS_JSON)

# tenure_names(KIND OUT): the keys of "layers" or "apps", sorted by rank: a layer is added after all that it sees.
function(tenure_names kind out)
    string(JSON count LENGTH "${TENURE_LAYERS_JSON}" ${kind})
    set(keyed "")
    if(count GREATER 0)
        math(EXPR last "${count} - 1")
        foreach(i RANGE ${last})
            string(JSON name MEMBER "${TENURE_LAYERS_JSON}" ${kind} ${i})
            string(JSON rank GET "${TENURE_LAYERS_JSON}" ${kind} ${name} rank)
            list(APPEND keyed "${rank}/${name}")
        endforeach()
    endif()
    list(SORT keyed COMPARE NATURAL)
    list(TRANSFORM keyed REPLACE "^[^/]*/" "")
    set(${out} "${keyed}" PARENT_SCOPE)
endfunction()

# tenure_json_list(OUT PATH...): the array at PATH as a CMake list.
function(tenure_json_list out)
    string(JSON count LENGTH "${TENURE_LAYERS_JSON}" ${ARGN})
    set(values "")
    if(count GREATER 0)
        math(EXPR last "${count} - 1")
        foreach(i RANGE ${last})
            string(JSON value GET "${TENURE_LAYERS_JSON}" ${ARGN} ${i})
            list(APPEND values "${value}")
        endforeach()
    endif()
    set(${out} "${values}" PARENT_SCOPE)
endfunction()

# tenure_need_package(KEY [HINT]): find_package for one entry of "packages", or an error that names the Debian package.
# A macro: find_package must define its variables and targets in the caller's scope.
macro(tenure_need_package key)
    string(JSON _tenure_find GET "${TENURE_LAYERS_JSON}" packages ${key} find)
    string(JSON _tenure_target GET "${TENURE_LAYERS_JSON}" packages ${key} target)
    if(NOT TARGET ${_tenure_target})
        set(THREADS_PREFER_PTHREAD_FLAG ON)
        # GLOBAL: a project that takes us in by add_subdirectory links our targets from outside this directory.
        find_package(${_tenure_find} QUIET GLOBAL)
        if(NOT TARGET ${_tenure_target})
            string(JSON _tenure_debian GET "${TENURE_LAYERS_JSON}" packages ${key} debian)
            set(_tenure_hint "${ARGN}")
            if(_tenure_hint)
                set(_tenure_hint "\n(${_tenure_hint})")
            endif()
            message(FATAL_ERROR "tenure needs ${_tenure_find} (${_tenure_target}), which was not found.\n"
                "On Debian: apt-get install ${_tenure_debian}${_tenure_hint}")
        endif()
    endif()
endmacro()

# tenure_add_folder(FOLDER): add_subdirectory when the folder has a CMakeLists.txt.
macro(tenure_add_folder folder)
    if(EXISTS "${PROJECT_SOURCE_DIR}/${folder}/CMakeLists.txt")
        add_subdirectory("${PROJECT_SOURCE_DIR}/${folder}" "${PROJECT_BINARY_DIR}/obj/${folder}")
    endif()
endmacro()

macro(tenure_add_folder_of kind name)
    string(JSON _tenure_folder GET "${TENURE_LAYERS_JSON}" ${kind} ${name} folder)
    tenure_json_list(_tenure_packages ${kind} ${name} packages)
    foreach(_tenure_package IN LISTS _tenure_packages)
        tenure_need_package(${_tenure_package})
    endforeach()
    tenure_add_folder(${_tenure_folder})
endmacro()
