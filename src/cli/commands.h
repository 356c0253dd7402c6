/* commands.h: what cmd_<name>.c files define, one function a command. cli.c holds the table that names them. */
#ifndef AG_CLI_COMMANDS_H
#define AG_CLI_COMMANDS_H

int ag_cmd_init(int argc, char **argv);
int ag_cmd_rules(int argc, char **argv);
int ag_cmd_asked(int argc, char **argv);
int ag_cmd_verify(int argc, char **argv);
int ag_cmd_synth(int argc, char **argv);
int ag_cmd_import(int argc, char **argv);
int ag_cmd_pull(int argc, char **argv);
int ag_cmd_export(int argc, char **argv);
int ag_cmd_train(int argc, char **argv);
int ag_cmd_plan(int argc, char **argv);
int ag_cmd_compare(int argc, char **argv);
int ag_cmd_explain(int argc, char **argv);
int ag_cmd_calibrate(int argc, char **argv);
int ag_cmd_eval(int argc, char **argv);
int ag_cmd_interleave(int argc, char **argv);
int ag_cmd_report(int argc, char **argv);
int ag_cmd_judge(int argc, char **argv);
int ag_cmd_serve(int argc, char **argv);
int ag_cmd_sxs(int argc, char **argv);
int ag_cmd_tokenize(int argc, char **argv);
int ag_cmd_logprob(int argc, char **argv);
int ag_cmd_generate(int argc, char **argv);
int ag_cmd_doctor(int argc, char **argv);

#endif
