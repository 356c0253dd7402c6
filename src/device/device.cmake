# The device room: the table (device.c), the reference compiled for float and for double, and the cpu backend, whose kernels
# are compiled once an instruction set and chosen at run time.
file(GLOB device_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/device/*.c ${CMAKE_SOURCE_DIR}/src/device/cpu/*.c)
list(FILTER device_sources EXCLUDE REGEX "cpu/kernels\\.c$")
add_library(agrl_device STATIC ${device_sources})
target_include_directories(agrl_device PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include ${DNNL_INCLUDE_DIR})
target_link_libraries(agrl_device PUBLIC agrl_base ${DNNL_LIBRARY} OpenMP::OpenMP_C m ${CMAKE_DL_LIBS})

function(agrl_variant name source)
  add_library(agrl_${name} OBJECT ${CMAKE_SOURCE_DIR}/src/device/${source})
  target_include_directories(agrl_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
  target_compile_options(agrl_${name} PRIVATE ${ARGN})
  target_sources(agrl_device PRIVATE $<TARGET_OBJECTS:agrl_${name}>)
endfunction()

agrl_variant(ref32 ref/ref.c -DAG_REAL_DOUBLE=0 -ffp-contract=off)
agrl_variant(ref64 ref/ref.c -DAG_REAL_DOUBLE=1 -ffp-contract=off)
agrl_variant(kernels_base cpu/kernels.c -DAG_ISA=base -DAG_VECTOR=16 -O3 -ffp-contract=fast -fno-math-errno -Wno-psabi)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  agrl_variant(kernels_avx2 cpu/kernels.c -DAG_ISA=avx2 -DAG_VECTOR=32 -mavx2 -mfma -O3 -ffp-contract=fast -fno-math-errno -Wno-psabi)
  agrl_variant(kernels_avx512 cpu/kernels.c -DAG_ISA=avx512 -DAG_VECTOR=64 -mavx512f -mavx512bw -mavx512dq -mavx512vl
               -mfma -mprefer-vector-width=512 -O3 -ffp-contract=fast -fno-math-errno -Wno-psabi)
endif()

include(${CMAKE_CURRENT_LIST_DIR}/cuda.cmake)
