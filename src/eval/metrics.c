/* metrics.c: the table of metrics. docs/METRICS.md says more of each row. */
#include "eval/metrics.h"

#include <math.h>
#include <string.h>

#include "eval/metrics_parts.h"

/* A share reads two sums. */
#define READS(part, whole) (AG_READS(AG_SUM_##part) | AG_READS(AG_SUM_##whole))

const ag_metric ag_metrics[] = {
    {"accuracy", "Accuracy", "Share of pairs whose headline tier, the most probable one, is the gold tier.",
     true, true, 0, 1, AG_SUM_JUDGED, AG_READS_CONFUSION, ag_metric_accuracy},
    {"macro_f1", "Macro F1",
     "Mean F1 over the tiers that occur, so that rare tiers count as much as common ones.", true, true, 0, 1,
     AG_SUM_JUDGED, AG_READS_CONFUSION, ag_metric_macro_f1},
    {"kappa", "Weighted kappa",
     "Agreement beyond chance with quadratic weights: far misses cost more than near ones.", true, true, -1,
     1, AG_SUM_JUDGED, AG_READS_CONFUSION, ag_metric_kappa},
    {"acc2", "Acc@2",
     "Share of pairs on the right side of good or not good, as the rulebook draws that line.", true, true, 0,
     1, AG_SUM_JUDGED, AG_READS_CONFUSION, ag_metric_acc2},
    {"mae", "Tier error", "Mean distance between headline and gold tier, in tiers.", false, false, INFINITY,
     0, AG_SUM_JUDGED, AG_READS_CONFUSION, ag_metric_mae},
    {"ndcg", "NDCG@10",
     "Quality of the order by expected gain, a mean over queries; ties as the mean over their orders.", true,
     true, 0, 1, AG_SUM_QUERIES, READS(NDCG, QUERIES), ag_metric_ndcg},
    {"format", "Format rate", "Share of generated answers that are in the format, unmasked and greedy.", true,
     true, 0, 1, AG_SUM_ANSWERED, READS(FORMAT, ANSWERED), ag_metric_format},
    {"self_consistency", "Self-consistency",
     "Share of answers whose tier and rule follow from their own verdicts: the gate. Needs no gold.", true,
     true, 0, 1, AG_SUM_ANSWERED, READS(GATE, ANSWERED), ag_metric_self_consistency},
    {"adherence", "Rule adherence",
     "Gate held and every gold verdict met, over pairs that have gold verdicts; an answer out of form misses "
     "them.",
     true, true, 0, 1, AG_SUM_VERDICTS, READS(ADHERENT, VERDICTS), ag_metric_adherence},
    {"compliant", "Correct and compliant", "Strict accuracy: the answer's tier is gold and the gate held.",
     true, true, 0, 1, AG_SUM_ANSWERED_GOLD, READS(COMPLIANT, ANSWERED_GOLD), ag_metric_compliant},
    {"wrong_process", "Right answer, wrong process", "The answer's tier is gold, but the gate did not hold.",
     false, false, 1, 0, AG_SUM_ANSWERED_GOLD, READS(WRONG_PROCESS, ANSWERED_GOLD), ag_metric_wrong_process},
    {"process", "Answer-process consistency",
     "Share of answers whose tier is the one that the rules derive from their verdicts.", true, false, 0, 1,
     AG_SUM_ANSWERED, READS(PROCESS, ANSWERED), ag_metric_process},
    {"answer_accuracy", "Answer accuracy", "Share of pairs whose generated answer names the gold tier.", true,
     false, 0, 1, AG_SUM_ANSWERED_GOLD, READS(ANSWER_HIT, ANSWERED_GOLD), ag_metric_answer_accuracy},
    {"headline_agreement", "Headline agreement", "Share of answers that name the headline tier.", true, false,
     0, 1, AG_SUM_HEADLINE, READS(SAME, HEADLINE), ag_metric_headline_agreement},
    {"verdicts", "Verdict accuracy", "Share of gold verdicts that the answers met, all criteria together.",
     true, false, 0, 1, AG_SUM_VERDICT, READS(VERDICT_HIT, VERDICT), ag_metric_verdict},
    {"rule", "Rule accuracy", "Share of answers that name the gold deciding rule.", true, false, 0, 1,
     AG_SUM_RULE, READS(RULE_HIT, RULE), ag_metric_rule},
    {"nll", "Log loss", "Mean of -log P(gold tier), in nats.", false, false, INFINITY, 0, AG_SUM_PROBABLE,
     READS(NLL, PROBABLE), ag_metric_nll},
    {"brier", "Brier score", "Mean squared distance of the tier probabilities from the gold tier, 0 to 2.",
     false, false, 2, 0, AG_SUM_PROBABLE, READS(BRIER, PROBABLE), ag_metric_brier},
    {"ece", "Calibration error", "Mean gap between confidence and accuracy over 15 bins of confidence (ECE).",
     false, true, 1, 0, AG_SUM_PROBABLE, AG_READS_BINS | AG_READS(AG_SUM_PROBABLE), ag_metric_ece},
    {"doubtful_error", "Error when doubtful",
     "Share of wrong headline tiers where the confidence is below 0.7.", false, false, 1, 0, AG_SUM_DOUBTFUL,
     READS(DOUBTFUL_BAD, DOUBTFUL), ag_metric_doubtful_error},
    {0},
};

const ag_metric ag_tier_metrics[] = {
    {"precision", "Precision", "Of the pairs given this tier, the share that is gold.", true, false, 0, 1,
     AG_SUM_JUDGED, AG_READS_CONFUSION, ag_metric_precision},
    {"recall", "Recall", "Of the pairs whose gold is this tier, the share that is given it.", true, false, 0,
     1, AG_SUM_JUDGED, AG_READS_CONFUSION, ag_metric_recall},
    {"f1", "F1", "Harmonic mean of precision and recall.", true, false, 0, 1, AG_SUM_JUDGED,
     AG_READS_CONFUSION, ag_metric_f1},
    {0},
};

const ag_metric ag_criterion_metrics[] = {
    {"accuracy", "Verdict accuracy", "Share of this criterion's gold verdicts that the answers met.", true,
     false, 0, 1, AG_SUM_VERDICT, AG_READS_CRITERIA, ag_metric_criterion},
    {0},
};

const ag_metric *ag_metric_find(const char *name)
{
    for (const ag_metric *metric = ag_metrics; metric->name; metric++)
        if (strcmp(metric->name, name) == 0) return metric;
    return NULL;
}
