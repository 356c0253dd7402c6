# The cuda backend: a plugin, libagrl_cuda.so, that lies beside the programs and is loaded on demand. Needs nvcc (and cuBLASLt of
# the same toolkit): found by PATH, CUDA_HOME or in its usual place; without it the build goes on without the plugin.
option(AGRL_CUDA "Build the CUDA plugin where nvcc is found" ON)
set(cuda_nvcc NOTFOUND)
if(AGRL_CUDA AND NOT AGRL_SANITIZE)
  find_program(AGRL_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda/bin /opt/cuda/bin)
  set(cuda_nvcc ${AGRL_NVCC})
  if(cuda_nvcc)
    get_filename_component(cuda_root ${cuda_nvcc} REALPATH)
    get_filename_component(cuda_root ${cuda_root} DIRECTORY)
    get_filename_component(cuda_root ${cuda_root} DIRECTORY)
    find_library(AGRL_CUBLASLT cublasLt HINTS ${cuda_root} PATH_SUFFIXES lib64 lib targets/x86_64-linux/lib targets/sbsa-linux/lib)
  endif()
endif()
if(NOT cuda_nvcc OR NOT AGRL_CUBLASLT)
  message(STATUS "CUDA: no nvcc and cuBLASLt; building without the cuda device")
  return()
endif()
message(STATUS "CUDA: ${cuda_nvcc}; building libagrl_cuda.so")

# Real code for Ampere (and Ada) and Hopper, PTX for the cards after them.
set(cuda_flags -std=c++17 -O3 -Xcompiler=-fPIC,-Wall
    -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90a,code=sm_90a
    -gencode=arch=compute_90,code=compute_90 -I${CMAKE_SOURCE_DIR}/src -I${CMAKE_SOURCE_DIR}/include)
file(GLOB cuda_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/device/cuda/*.cu)
set(cuda_objects)
foreach(source ${cuda_sources})
  get_filename_component(name ${source} NAME_WE)
  set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
  add_custom_command(OUTPUT ${object} COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda
                     COMMAND ${cuda_nvcc} ${cuda_flags} -MD -MF ${object}.d -c ${source} -o ${object}
                     DEPENDS ${source} DEPFILE ${object}.d COMMENT "Building CUDA object ${name}.o" VERBATIM)
  list(APPEND cuda_objects ${object})
endforeach()
get_filename_component(cublas_folder ${AGRL_CUBLASLT} DIRECTORY)
set(cuda_plugin ${CMAKE_BINARY_DIR}/libagrl_cuda.so)
add_custom_command(OUTPUT ${cuda_plugin}
                   COMMAND ${cuda_nvcc} -shared -o ${cuda_plugin} ${cuda_objects} $<TARGET_FILE:agrl_base>
                           ${UTF8PROC_LINK_LIBRARIES} ${AGRL_CUBLASLT} -Xlinker=--no-undefined,--exclude-libs,ALL -Xlinker=-rpath,${cublas_folder}
                   DEPENDS ${cuda_objects} agrl_base COMMENT "Linking libagrl_cuda.so" VERBATIM)
add_custom_target(agrl_cuda ALL DEPENDS ${cuda_plugin})
install(FILES ${cuda_plugin} DESTINATION bin)

# Sums over several cards: a plugin of its own, for machines whose CUDA has no NCCL.
find_path(AGRL_NCCL_INCLUDE nccl.h HINTS ${cuda_root}/include ENV NCCL_HOME PATH_SUFFIXES include)
find_library(AGRL_NCCL nccl HINTS ${cuda_root} ENV NCCL_HOME PATH_SUFFIXES lib64 lib)
find_library(AGRL_CUDART cudart HINTS ${cuda_root} PATH_SUFFIXES lib64 lib targets/x86_64-linux/lib targets/sbsa-linux/lib)
if(AGRL_NCCL AND AGRL_NCCL_INCLUDE AND AGRL_CUDART)
  add_library(agrl_nccl MODULE ${CMAKE_SOURCE_DIR}/src/device/cuda/nccl.c)
  set_target_properties(agrl_nccl PROPERTIES PREFIX lib OUTPUT_NAME agrl_nccl LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  target_include_directories(agrl_nccl PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_include_directories(agrl_nccl SYSTEM PRIVATE ${AGRL_NCCL_INCLUDE} ${cuda_root}/include)
  target_link_libraries(agrl_nccl PRIVATE agrl_base ${AGRL_NCCL} ${AGRL_CUDART})
  target_link_options(agrl_nccl PRIVATE -Wl,--exclude-libs,ALL)
  install(TARGETS agrl_nccl LIBRARY DESTINATION bin)
  message(STATUS "NCCL: ${AGRL_NCCL}; building libagrl_nccl.so")
endif()
