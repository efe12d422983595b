# The library as others find it: headers, a CMake package, a pkg-config file.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/coupon_guard)

install(TARGETS coupon_guard EXPORT coupon_guardTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/coupon_guard DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.hpp")

install(EXPORT coupon_guardTargets NAMESPACE coupon_guard:: DESTINATION ${package_dir})
configure_package_config_file(cmake/coupon_guardConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/coupon_guardConfig.cmake INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/coupon_guardConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/coupon_guardConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/coupon_guardConfigVersion.cmake
  DESTINATION ${package_dir})

# The .pc file finds its prefix from where it lies, so that `cmake --install --prefix` may choose it.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(COUPON_GUARD_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
  set(COUPON_GUARD_PC_LIBDIR ${CMAKE_INSTALL_LIBDIR})
else()
  file(RELATIVE_PATH up /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
  string(REGEX REPLACE "/$" "" up ${up})
  set(COUPON_GUARD_PC_PREFIX "\${pcfiledir}/${up}")
  set(COUPON_GUARD_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
configure_file(cmake/coupon_guard.pc.in ${CMAKE_CURRENT_BINARY_DIR}/coupon_guard.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/coupon_guard.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
