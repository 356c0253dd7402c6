# Programs that time things. Built with -DAGRL_BENCH=ON; nothing here runs in the tests.
add_executable(bench_engine bench/bench_engine.c)
target_link_libraries(bench_engine PRIVATE agrl_model)
add_executable(bench_grpo bench/bench_grpo.c)
target_link_libraries(bench_grpo PRIVATE agrl_train)
add_executable(bench_prompts bench/bench_prompts.c)
target_link_libraries(bench_prompts PRIVATE agrl_cli)
