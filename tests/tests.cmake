# Every tests/unit/ROOM/test_*.c is a cmocka program of its own, linked with ROOM and the rooms below it.
# Room names with a slash (device/ref) use an underscore in the folder's library name.
find_path(CMOCKA_INCLUDE_DIR cmocka.h REQUIRED)
find_library(CMOCKA_LIBRARY cmocka REQUIRED)

file(GLOB unit_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/*/test_*.c)
foreach(source ${unit_sources})
  get_filename_component(name ${source} NAME_WE)
  get_filename_component(folder ${source} DIRECTORY)
  get_filename_component(room ${folder} NAME)
  if(NOT TARGET agrl_${room})
    continue()
  endif()
  set(target ${room}_${name})
  add_executable(${target} ${source})
  target_include_directories(${target} PRIVATE ${CMOCKA_INCLUDE_DIR} ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE AGRL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE agrl_${room} ${CMOCKA_LIBRARY})
  add_test(NAME unit/${room}/${name} COMMAND ${target} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  # Threads that wait must sleep: spinning ones are many times slower where tests run side by side.
  set_tests_properties(unit/${room}/${name} PROPERTIES LABELS unit ENVIRONMENT OMP_WAIT_POLICY=passive)
endforeach()
if(TARGET device_test_ops)
  target_compile_options(device_test_ops PRIVATE -Wno-psabi) # it compiles the kernels for vectors of 64 bytes
endif()

if(TARGET train_test_replay) # its sampler and forward pass take the engine's place
  target_link_options(train_test_replay PRIVATE -Wl,--wrap=ag_rollouts_sample,--wrap=ag_passages_run,--wrap=ag_judge_session)
endif()

if(TARGET agrl)
  include(${CMAKE_SOURCE_DIR}/tests/e2e/e2e.cmake)
  include(${CMAKE_SOURCE_DIR}/tests/emulator/emulator.cmake)
endif()
if(AGRL_FUZZ)
  include(${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz.cmake)
endif()

# The checks of the tree itself need no build; ./run check calls them first.
foreach(name layers style format selftest)
  add_test(NAME check/${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/checks/${name}.sh)
  set_tests_properties(check/${name} PROPERTIES LABELS check SKIP_RETURN_CODE 77)
endforeach()
