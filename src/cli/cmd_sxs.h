/* cmd_sxs.h: what the files of `agrl sxs` share. */
#ifndef AG_CLI_CMD_SXS_H
#define AG_CLI_CMD_SXS_H

int ag_cmd_sxs_plan(int argc, char **argv);
int ag_cmd_sxs_create(int argc, char **argv);
int ag_cmd_sxs_invite(int argc, char **argv);
int ag_cmd_sxs_serve(int argc, char **argv);
int ag_cmd_sxs_judge(int argc, char **argv);
int ag_cmd_sxs_report(int argc, char **argv);

#endif
