# The kernels of src/device/cuda as a plugin for a processor (cuda_runtime.h), in a folder with copies of the programs that load it from
# beside them. Needs the C++ side of the C compiler; without it these tests are left out.
set(emulator_folder ${CMAKE_BINARY_DIR}/emulated)
file(WRITE ${emulator_folder}/probe.cpp "#include <functional>\nint main() { return std::function<int()>([] { return 0; })(); }\n")
set(emulator_cxx ${CMAKE_C_COMPILER} -x c++ -std=c++17 -O2 -g -fPIC -Wall -Wno-sign-compare -Wno-unknown-pragmas)
set(emulator_link ${CMAKE_C_COMPILER} -shared)
if(AGRL_SANITIZE) # gcc 12 then gets a loop of head_bf16.cu wrong; not so without its value ranges, nor does clang
  list(APPEND emulator_cxx -fno-tree-vrp -fsanitize=${AGRL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  list(APPEND emulator_link -fsanitize=${AGRL_SANITIZE})
endif()
execute_process(COMMAND ${emulator_cxx} -c probe.cpp -o probe.o WORKING_DIRECTORY ${emulator_folder}
                RESULT_VARIABLE emulator_missing OUTPUT_QUIET ERROR_QUIET)
if(emulator_missing)
  message(STATUS "CUDA emulator: ${CMAKE_C_COMPILER} compiles no C++; its tests are left out")
  return()
endif()

set(emulator_objects)
file(GLOB emulator_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/device/cuda/*.cu ${CMAKE_SOURCE_DIR}/tests/emulator/*.cpp)
foreach(source ${emulator_sources})
  get_filename_component(name ${source} NAME_WE)
  set(object ${emulator_folder}/${name}.o)
  add_custom_command(OUTPUT ${object}
                     COMMAND ${emulator_cxx} -I${CMAKE_SOURCE_DIR}/tests/emulator -I${CMAKE_SOURCE_DIR}/src
                             -I${CMAKE_SOURCE_DIR}/include -DAG_CUDA_CHUNK_ROWS=48 -DAG_CUDA_SIDE_BY_SIDE=2 -MD -MF ${object}.d -c ${source} -o ${object}
                     DEPENDS ${source} DEPFILE ${object}.d COMMENT "Building emulated ${name}.o" VERBATIM)
  list(APPEND emulator_objects ${object})
endforeach()
set(emulator_plugin ${emulator_folder}/libagrl_cuda.so)
add_custom_command(OUTPUT ${emulator_plugin}
                   COMMAND ${emulator_link} -o ${emulator_plugin} ${emulator_objects} $<TARGET_FILE:agrl_base> -lstdc++
                           ${UTF8PROC_LINK_LIBRARIES} ${JANSSON_LINK_LIBRARIES} ${YAML_LINK_LIBRARIES} ${ZLIB_LIBRARIES} -lm
                           -Wl,--exclude-libs,ALL
                   DEPENDS ${emulator_objects} agrl_base COMMENT "Linking the emulated libagrl_cuda.so" VERBATIM)
set(emulator_programs)
set(emulator_models model_test_session model_test_generate model_test_pass model_test_adamw)
foreach(target agrl device_test_ops device_test_graph ${emulator_models})
  add_custom_command(OUTPUT ${emulator_folder}/${target}
                     COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:${target}> ${emulator_folder}/${target}
                     DEPENDS ${target} VERBATIM)
  list(APPEND emulator_programs ${emulator_folder}/${target})
endforeach()
add_custom_target(agrl_emulated ALL DEPENDS ${emulator_plugin} ${emulator_programs})

# Threads in either order, and a card that has less. With sanitizers once: slow enough.
function(add_emulated_ops name environment)
  add_test(NAME emulated/test_ops_${name} COMMAND ${emulator_folder}/device_test_ops ref-cuda*)
  set_tests_properties(emulated/test_ops_${name} PROPERTIES LABELS unit TIMEOUT 900 FAIL_REGULAR_EXPRESSION "left out"
                       ENVIRONMENT "${environment};OMP_WAIT_POLICY=passive")
endfunction()
add_emulated_ops(rising AGRL_EMULATOR_ORDER=rising)
if(NOT AGRL_SANITIZE)
  add_emulated_ops(falling AGRL_EMULATOR_ORDER=falling)
  add_emulated_ops(less AGRL_EMULATOR_CARD=less)
endif()
if(NOT AGRL_SANITIZE) # the engine on the card: forests, gradients, masks, sampling
  foreach(target ${emulator_models})
    string(REPLACE model_ "" name ${target})
    add_test(NAME emulated/${name} COMMAND ${emulator_folder}/${target} *cuda*)
    set_tests_properties(emulated/${name} PROPERTIES LABELS unit TIMEOUT 300 FAIL_REGULAR_EXPRESSION "left out"
                         ENVIRONMENT "OMP_WAIT_POLICY=passive")
  endforeach()
endif()
add_test(NAME emulated/test_graph COMMAND ${emulator_folder}/device_test_graph)
set_tests_properties(emulated/test_graph PROPERTIES LABELS unit FAIL_REGULAR_EXPRESSION "left out")
