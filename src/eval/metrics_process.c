/* metrics_process.c: does the answer keep the rules, and is it right for the right reason? All are shares of
 * counts over the records that have a generated answer; an answer that is not in the format fails every one
 * of them.
 */
#include "eval/metrics_parts.h"

#define SHARE(name, part, whole)                                                                             \
    double ag_metric_##name(const ag_tally *t, int index)                                                    \
    {                                                                                                        \
        (void)index;                                                                                         \
        return ag_share(t->sum[part], t->sum[whole]);                                                        \
    }

SHARE(format, AG_SUM_FORMAT, AG_SUM_ANSWERED)
SHARE(self_consistency, AG_SUM_GATE, AG_SUM_ANSWERED)
SHARE(process, AG_SUM_PROCESS, AG_SUM_ANSWERED)
SHARE(headline_agreement, AG_SUM_SAME, AG_SUM_HEADLINE)
SHARE(answer_accuracy, AG_SUM_ANSWER_HIT, AG_SUM_ANSWERED_GOLD)
SHARE(compliant, AG_SUM_COMPLIANT, AG_SUM_ANSWERED_GOLD)
SHARE(wrong_process, AG_SUM_WRONG_PROCESS, AG_SUM_ANSWERED_GOLD)
SHARE(adherence, AG_SUM_ADHERENT, AG_SUM_VERDICTS)
SHARE(rule, AG_SUM_RULE_HIT, AG_SUM_RULE)
SHARE(verdict, AG_SUM_VERDICT_HIT, AG_SUM_VERDICT)

double ag_metric_criterion(const ag_tally *t, int criterion)
{
    return ag_share(t->criterion[criterion][1], t->criterion[criterion][0]);
}
