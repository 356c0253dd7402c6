# End-to-end tests: every tests/e2e/test_*.sh drives the program as a user does. They need no network.
file(GLOB e2e_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/e2e/test_*.sh)
foreach(source ${e2e_sources})
  get_filename_component(name ${source} NAME_WE)
  add_test(NAME e2e/${name} COMMAND ${source} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(e2e/${name} PROPERTIES LABELS e2e SKIP_RETURN_CODE 77 TIMEOUT 600
                       ENVIRONMENT "AGRL=$<TARGET_FILE:agrl>;AGRL_SOURCE_DIR=${CMAKE_SOURCE_DIR}")
endforeach()
