# cmake --install: headers, libraries, the command, and a package for find_package(tenure).
include(CMakePackageConfigHelpers)

set(TENURE_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/tenure")
get_property(targets GLOBAL PROPERTY TENURE_INSTALL_TARGETS)
install(TARGETS ${targets} EXPORT tenureTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT tenureTargets NAMESPACE tenure:: DESTINATION "${TENURE_CMAKE_DIR}")

get_property(programs GLOBAL PROPERTY TENURE_INSTALL_PROGRAMS)
if(programs)
    install(TARGETS ${programs} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/tenureConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/tenureConfig.cmake" INSTALL_DESTINATION "${TENURE_CMAKE_DIR}")
# Before 1.0 every minor version may break its users.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/tenureConfigVersion.cmake"
    VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/tenureConfig.cmake" "${PROJECT_BINARY_DIR}/tenureConfigVersion.cmake"
    DESTINATION "${TENURE_CMAKE_DIR}")
