# Installs the client into a directory of its own and builds the example against that alone: once
# through the CMake package, once through pkg-config.
#
# cmake -DBUILD_DIR=... -DEXAMPLE_DIR=... -DWORK_DIR=... -DGENERATOR=... -DCXX=... -DSTANDARD=...
#       -DCONFIG=... -P check_install.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nended with ${status}:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
set(prefix ${WORK_DIR}/prefix)
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${prefix} --config "${CONFIG}")

run(${CMAKE_COMMAND} -S ${EXAMPLE_DIR} -B ${WORK_DIR}/example -G ${GENERATOR}
  -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_BUILD_TYPE=${CONFIG})
run(${CMAKE_COMMAND} --build ${WORK_DIR}/example)

file(GLOB_RECURSE pc ${prefix}/coupon_guard.pc)
if(NOT pc)
  message(FATAL_ERROR "no coupon_guard.pc in ${prefix}")
endif()
get_filename_component(pc_dir ${pc} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${pc_dir})
find_program(PKG_CONFIG NAMES pkgconf pkg-config REQUIRED)
execute_process(
  COMMAND ${PKG_CONFIG} --cflags --libs coupon_guard
  RESULT_VARIABLE status OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "pkg-config does not find coupon_guard")
endif()
separate_arguments(flags UNIX_COMMAND "${flags}")
run(${CXX} -std=c++${STANDARD} ${EXAMPLE_DIR}/order.cpp -o ${WORK_DIR}/order ${flags})

# No file may name the machine's build directory.
file(GLOB_RECURSE texts ${prefix}/*.cmake ${prefix}/*.pc ${prefix}/*.hpp)
foreach(file IN LISTS texts)
  file(READ ${file} content)
  string(FIND "${content}" "${BUILD_DIR}" position)
  if(position GREATER_EQUAL 0 AND NOT BUILD_DIR STREQUAL "")
    message(FATAL_ERROR "${file} names the build directory")
  endif()
endforeach()

foreach(program ${WORK_DIR}/example/order ${WORK_DIR}/order)
  execute_process(COMMAND ${program} RESULT_VARIABLE status ERROR_VARIABLE usage)
  if(NOT status EQUAL 2 OR NOT usage MATCHES "usage")
    message(FATAL_ERROR "${program} does not run: ${status} ${usage}")
  endif()
endforeach()
