# Fuzzing: every tests/fuzz/fuzz_NAME.c defines LLVMFuzzerTestOneInput for one parser. Built with clang it becomes a libFuzzer
# program (the preset "fuzz" instruments the rooms too), otherwise driver.c drives it. Seeds are the files of
# tests/fuzz/corpus/NAME and what fuzz_seeds adds below. `ctest -L fuzz` runs each for AGRL_FUZZ_SECONDS.
set(AGRL_FUZZ_SECONDS 6 CACHE STRING "Seconds that ctest runs each fuzz target")

set(fuzz_seeds_book ${CMAKE_SOURCE_DIR}/rules)
set(fuzz_seeds_yaml ${CMAKE_SOURCE_DIR}/rules)
set(fuzz_seeds_facts ${CMAKE_SOURCE_DIR}/rules/facts)
set(fuzz_seeds_csv ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/csv)

include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_FLAGS "-fsanitize=fuzzer")
check_c_source_compiles("#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return data && size ? 0 : 0; }" AGRL_HAVE_LIBFUZZER)
unset(CMAKE_REQUIRED_FLAGS)
if(NOT AGRL_HAVE_LIBFUZZER)
  add_library(agrl_fuzz_driver STATIC ${CMAKE_SOURCE_DIR}/tests/fuzz/driver.c)
endif()

add_custom_target(fuzz)
file(GLOB fuzz_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
foreach(source ${fuzz_sources})
  get_filename_component(target ${source} NAME_WE)
  string(REPLACE "fuzz_" "" name ${target})
  add_executable(${target} EXCLUDE_FROM_ALL ${source})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  foreach(room serve model data rules text base) # the parsers' rooms; what a target does not use is not linked
    if(TARGET agrl_${room})
      target_link_libraries(${target} PRIVATE agrl_${room})
    endif()
  endforeach()
  if(AGRL_HAVE_LIBFUZZER)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    target_link_libraries(${target} PRIVATE agrl_fuzz_driver)
  endif()
  add_dependencies(fuzz ${target})

  # libFuzzer adds what it finds to its first folder, so that one is not the project's.
  set(found ${CMAKE_BINARY_DIR}/fuzz-found/${name})
  file(MAKE_DIRECTORY ${found})
  set(seeds ${found})
  foreach(folder ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name} ${fuzz_seeds_${name}})
    if(EXISTS ${folder})
      list(APPEND seeds ${folder})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES seeds)
  add_test(NAME fuzz/${name}
           COMMAND ${target} -max_total_time=${AGRL_FUZZ_SECONDS} -max_len=32768 -timeout=10 -rss_limit_mb=3000 -seed=1
                   -print_final_stats=1 -artifact_prefix=${CMAKE_BINARY_DIR}/ ${seeds})
  set_tests_properties(fuzz/${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endforeach()
