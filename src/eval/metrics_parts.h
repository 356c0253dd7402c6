/* metrics_parts.h: the functions that the table in metrics.c names, one for each metric. */
#ifndef AG_EVAL_METRICS_PARTS_H
#define AG_EVAL_METRICS_PARTS_H

#include "eval/tally.h"

/* part / whole, or NAN where there is no whole. */
double ag_share(double part, double whole);

double ag_metric_accuracy(const ag_tally *t, int index);
double ag_metric_macro_f1(const ag_tally *t, int index);
double ag_metric_kappa(const ag_tally *t, int index);
double ag_metric_acc2(const ag_tally *t, int index);
double ag_metric_mae(const ag_tally *t, int index);
double ag_metric_precision(const ag_tally *t, int tier);
double ag_metric_recall(const ag_tally *t, int tier);
double ag_metric_f1(const ag_tally *t, int tier);

double ag_metric_ndcg(const ag_tally *t, int index);

double ag_metric_nll(const ag_tally *t, int index);
double ag_metric_brier(const ag_tally *t, int index);
double ag_metric_ece(const ag_tally *t, int index);
double ag_metric_doubtful_error(const ag_tally *t, int index);

double ag_metric_format(const ag_tally *t, int index);
double ag_metric_self_consistency(const ag_tally *t, int index);
double ag_metric_adherence(const ag_tally *t, int index);
double ag_metric_compliant(const ag_tally *t, int index);
double ag_metric_wrong_process(const ag_tally *t, int index);
double ag_metric_process(const ag_tally *t, int index);
double ag_metric_answer_accuracy(const ag_tally *t, int index);
double ag_metric_headline_agreement(const ag_tally *t, int index);
double ag_metric_rule(const ag_tally *t, int index);
double ag_metric_verdict(const ag_tally *t, int index);
double ag_metric_criterion(const ag_tally *t, int criterion);

#endif
