# The page of --html, whole: page.html with its style, its scripts and Chart.js in it. Sets COUPON_RACE_PAGE_SOURCE, a C++
# file that holds it.
find_file(COUPON_GUARD_CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH
  DOC "Chart.js 3, the minified file of its UMD build")
if(NOT COUPON_GUARD_CHART_JS)
  message(FATAL_ERROR "Chart.js is missing (Debian: libjs-chart.js). Elsewhere: "
    "-DCOUPON_GUARD_CHART_JS=FILE, the chart.min.js of a release 3; or -DCOUPON_GUARD_RACE=OFF, for the library alone.")
endif()

function(read_part variable file)
  file(READ ${file} content)
  if(content MATCHES "</script|<!--|\\)coupon_race\"")
    message(FATAL_ERROR "${file} cannot be put into a page as it is")
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  set(${variable} "${content}" PARENT_SCOPE)
endfunction()

set(page_dir ${CMAKE_CURRENT_LIST_DIR})
read_part(COUPON_RACE_STYLE ${page_dir}/page.css)
read_part(COUPON_RACE_CHART_JS ${COUPON_GUARD_CHART_JS}) # its license is in its first lines
if(NOT COUPON_RACE_CHART_JS MATCHES "Chart\\.js v3\\.")
  message(FATAL_ERROR "${COUPON_GUARD_CHART_JS} is not Chart.js 3 with its first lines")
endif()
read_part(COUPON_RACE_CHARTS ${page_dir}/charts.js)
read_part(COUPON_RACE_SCRIPT ${page_dir}/page.js)

set(COUPON_RACE_PAGE_SOURCE ${CMAKE_CURRENT_BINARY_DIR}/page_template.cpp)
configure_file(${page_dir}/page.html ${CMAKE_CURRENT_BINARY_DIR}/page.html @ONLY)
file(READ ${CMAKE_CURRENT_BINARY_DIR}/page.html COUPON_RACE_PAGE)
configure_file(${page_dir}/page_template.cpp.in ${COUPON_RACE_PAGE_SOURCE} @ONLY)
# Longer than a compiler must be able to bear; those that build this can.
set_source_files_properties(${COUPON_RACE_PAGE_SOURCE} PROPERTIES COMPILE_OPTIONS -Wno-overlength-strings)
