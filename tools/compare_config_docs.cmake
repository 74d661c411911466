# Fails when docs/config.md is not what the settings tables say: -DPROGRAM=print_config_docs -DDOCUMENT=docs/config.md
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE printed RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} failed: ${result}")
endif()
file(READ ${DOCUMENT} committed)
if(NOT printed STREQUAL committed)
  message(FATAL_ERROR "docs/config.md is stale. Refresh it: ${PROGRAM} > ${DOCUMENT}")
endif()
