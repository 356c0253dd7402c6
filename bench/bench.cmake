# Programs that time things. Built with -DAGRL_BENCH=ON; nothing here runs in the tests.
add_executable(bench_engine bench/bench_engine.c)
target_link_libraries(bench_engine PRIVATE agrl_model)
add_executable(bench_grpo bench/bench_grpo.c)
target_link_libraries(bench_grpo PRIVATE agrl_train)
add_executable(bench_prompts bench/bench_prompts.c)
target_link_libraries(bench_prompts PRIVATE agrl_cli)
if(TARGET agrl_cuda)
  set(products ${CMAKE_SOURCE_DIR}/bench/bench_products.cu)
  add_custom_command(OUTPUT bench_products COMMAND ${cuda_nvcc} ${cuda_flags} -o bench_products ${products} ${AGRL_CUBLASLT} -Xlinker=-rpath,${cublas_folder}
                     DEPENDS ${products} ${CMAKE_SOURCE_DIR}/bench/shapes.h COMMENT "Building bench_products" VERBATIM)
  add_custom_target(agrl_bench_products ALL DEPENDS bench_products)
endif()
