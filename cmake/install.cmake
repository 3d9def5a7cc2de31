# `cmake --install`: headers, the static library and a package, for find_package(taskvec) and taskvec::core.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/taskvec)
install(TARGETS taskvec_core EXPORT taskvec ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY csrc/include/taskvec DESTINATION include)
install(EXPORT taskvec NAMESPACE taskvec:: FILE taskvecTargets.cmake DESTINATION ${package_folder})
configure_package_config_file(cmake/taskvecConfig.cmake.in taskvecConfig.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(taskvecConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/taskvecConfig.cmake ${PROJECT_BINARY_DIR}/taskvecConfigVersion.cmake
  DESTINATION ${package_folder})
