/* loss.c: see loss.h. */
#include "train/loss.h"

#include <math.h>

/* Beyond this a ratio is noise, and exp would overflow long before it helped. */
static const double log_ratio_bound = 20;

static double ratio_of(double log_ratio)
{
    return exp(fmin(fmax(log_ratio, -log_ratio_bound), log_ratio_bound));
}

/* The clipped surrogate of one ratio and its derivative by the log of the ratio. */
static double surrogate(const ag_surrogate_options *o, double advantage, double r, bool bounded,
                        double *slope)
{
    double clipped = fmin(fmax(r, 1 - o->clip_low), 1 + o->clip_high), loss = -advantage * r;
    *slope = bounded ? 0 : loss;
    if (-advantage * clipped > loss) {
        loss = -advantage * clipped;
        *slope = 0;
    }
    if (advantage < 0 && loss > -advantage * o->clip_dual) {
        loss = -advantage * o->clip_dual;
        *slope = 0;
    }
    return loss;
}

void ag_sequence_loss(const ag_surrogate_options *o, const ag_loss_sequence *s, double *dnow,
                      ag_loss_sums *sums)
{
    double mean = 0, slopes = 0;
    for (size_t t = 0; t < s->count; t++) mean += (s->now[t] - s->old[t]) / (double)s->count;
    for (size_t t = 0; t < s->count; t++) {
        double log_ratio = o->ratio == AG_RATIO_SEQUENCE ? mean : s->now[t] - s->old[t];
        double r = ratio_of(log_ratio), c = s->coefficient * (s->weight ? s->weight[t] : 1), slope;
        double policy = c * surrogate(o, s->advantage[t], r, fabs(log_ratio) > log_ratio_bound, &slope);
        dnow[t] = c * slope;
        slopes += c * slope;
        sums->policy += policy;
        sums->loss += policy;
        sums->ratio += r;
        sums->ratio_largest = fmax(sums->ratio_largest, r);
        sums->clipped += s->advantage[t] != 0 && slope == 0;
        sums->tokens++;
    }
    for (size_t t = 0; t < s->count; t++) {
        if (o->ratio == AG_RATIO_SEQUENCE) dnow[t] = slopes / (double)s->count; /* each moves the one ratio */
        if (s->entropy) {
            sums->loss -= s->coefficient * o->entropy * s->entropy[t];
            dnow[t] += s->coefficient * o->entropy * (s->now[t] + s->entropy[t]);
        }
        if (!s->reference) continue;
        double d = s->now[t] - s->reference[t];
        sums->kl3 += ratio_of(-d) + d - 1;
        sums->referred++;
        sums->loss += s->coefficient * o->beta * d * d / 2;
        dnow[t] += s->coefficient * o->beta * d;
    }
}

double ag_imitation_loss(size_t n, double coefficient, const double *weight, const double *now, double *dnow)
{
    double loss = 0;
    for (size_t t = 0; t < n; t++) {
        double c = coefficient * (weight ? weight[t] : 1);
        loss -= c * now[t];
        dnow[t] = -c;
    }
    return loss;
}

double ag_preference_loss(double beta, double coefficient, double better, double better_reference,
                          double worse, double worse_reference, double *slope, double *margin)
{
    double m = beta * ((better - better_reference) - (worse - worse_reference));
    if (margin) *margin = m;
    *slope = -coefficient * beta / (1 + exp(m));
    /* log(1 + exp(-m)) without overflow */
    return coefficient * (m > 0 ? log1p(exp(-m)) : log1p(exp(m)) - m);
}

void ag_guided_weights(const ag_guided_options *o, const double *plain, const double *hinted, size_t n,
                       double *weight)
{
    double sum = 0, cap = o->cap > 0 ? o->cap : o->weight == AG_WEIGHT_SEQ ? 5 : 2;
    for (size_t t = 0; t < n; t++) sum += plain[t] - hinted[t];
    for (size_t t = 0; t < n; t++) {
        double u = ratio_of(plain[t] - hinted[t]), least = fmin(u, cap);
        switch (o->weight) {
        case AG_WEIGHT_NONE: weight[t] = 1; break;
        case AG_WEIGHT_TIS: weight[t] = least; break;
        case AG_WEIGHT_SEQ: weight[t] = fmin(ratio_of(sum), cap); break;
        case AG_WEIGHT_SHAPED: weight[t] = least * (1 + o->gamma) / (least + o->gamma); break;
        case AG_WEIGHT_FLOOR: weight[t] = fmax(least, o->floor); break;
        }
    }
}

double ag_geometric_weight(const double *plain, const double *hinted, size_t n)
{
    double sum = 0;
    for (size_t t = 0; t < n; t++) sum += (plain[t] - hinted[t]) / (double)n;
    return exp(sum);
}
