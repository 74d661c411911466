# The programs as the release after this one could be: the same sources, but for two headers, which are copied with another version of the wire
# (it still speaks this one) and with less credit (each side grants its own). A lane's bound is then met by a burst that a test can send.
function(copy_with header from to)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${header})
  file(READ ${PROJECT_SOURCE_DIR}/${header} text)
  string(REPLACE "${from}" "${to}" changed "${text}")
  if(changed STREQUAL text)
    message(FATAL_ERROR "${header} does not say: ${from}")
  endif()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/next/${header} CONTENT "${changed}" @ONLY)
endfunction()

file(STRINGS ${PROJECT_SOURCE_DIR}/base/wire.h version REGEX "^ *WIRE_VERSION = [0-9]+,$")
string(REGEX REPLACE "[^0-9]" "" version "${version}")
math(EXPR next "${version} + 1")
copy_with(base/wire.h "    WIRE_VERSION = ${version}," "    WIRE_VERSION = ${next},")
copy_with(base/wire_lane.h "WIRE_CREDIT_FRAMES = 4096" "WIRE_CREDIT_FRAMES = 1300")
target_include_directories(callboard_flags BEFORE INTERFACE ${PROJECT_BINARY_DIR}/next)
