# Files in the program, which so needs none where it is installed: the page of --html, whole, and the rivals. Sets
# COUPON_RACE_EMBEDDED_SOURCE, a C++ file that has them as embedded(NAME).
find_file(COUPON_GUARD_CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH
  DOC "Chart.js 3, the minified file of its UMD build")
if(NOT COUPON_GUARD_CHART_JS)
  message(FATAL_ERROR "Chart.js is missing (Debian: libjs-chart.js). Elsewhere: "
    "-DCOUPON_GUARD_CHART_JS=FILE, the chart.min.js of a release 3; or -DCOUPON_GUARD_RACE=OFF, for the library alone.")
endif()

function(read_part variable file not_in_it)
  file(READ ${file} content)
  if(content MATCHES "\\)embedded\"|${not_in_it}")
    message(FATAL_ERROR "${file} cannot be put into the program as it is")
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  set(${variable} "${content}" PARENT_SCOPE)
endfunction()

# page.html with its style, its scripts and Chart.js in it.
set(page_dir ${CMAKE_CURRENT_LIST_DIR}/report/page)
set(ends_a_script "</script|<!--")
read_part(COUPON_RACE_STYLE ${page_dir}/page.css ${ends_a_script})
read_part(COUPON_RACE_CHART_JS ${COUPON_GUARD_CHART_JS} ${ends_a_script}) # its license is in its first lines
if(NOT COUPON_RACE_CHART_JS MATCHES "Chart\\.js v3\\.")
  message(FATAL_ERROR "${COUPON_GUARD_CHART_JS} is not Chart.js 3 with its first lines")
endif()
read_part(COUPON_RACE_CHARTS ${page_dir}/charts.js ${ends_a_script})
read_part(COUPON_RACE_SCRIPT ${page_dir}/page.js ${ends_a_script})
configure_file(${page_dir}/page.html ${CMAKE_CURRENT_BINARY_DIR}/page.html @ONLY)

file(GLOB rivals CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/rivals/*/*.sql)
set(COUPON_RACE_EMBEDDED "")
foreach(file ${PROJECT_SOURCE_DIR}/rivals/shop.sql ${rivals} ${CMAKE_CURRENT_LIST_DIR}/strategies/redeem_coupon.sql
    ${CMAKE_CURRENT_LIST_DIR}/strategies/claim_coupon.sql ${CMAKE_CURRENT_LIST_DIR}/strategies/sharded.sql
    ${CMAKE_CURRENT_BINARY_DIR}/page.html)
  read_part(content ${file} "^$")
  file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/rivals ${file})
  string(REGEX REPLACE "^\\.\\./.*/" "" name ${name}) # what is no rival is known by its name alone
  string(APPEND COUPON_RACE_EMBEDDED "        {\"${name}\", R\"embedded(${content})embedded\"},\n")
endforeach()
set(COUPON_RACE_EMBEDDED_SOURCE ${CMAKE_CURRENT_BINARY_DIR}/embedded.cpp)
configure_file(${CMAKE_CURRENT_LIST_DIR}/embedded.cpp.in ${COUPON_RACE_EMBEDDED_SOURCE} @ONLY)
# Longer than a compiler must be able to bear; those that build this can.
set_source_files_properties(${COUPON_RACE_EMBEDDED_SOURCE} PROPERTIES COMPILE_OPTIONS -Wno-overlength-strings)
