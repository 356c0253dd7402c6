/* test_loss.c: the losses of sampled answers against finite differences and against sums over every answer of a small language, and
 * advantages against their definition (METHOD.md section 14, tests 1 to 5).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "train/advantage.h"
#include "train/loss.h"

enum { TOKENS = 6 };

static bool near(double a, double b, double bound)
{
    return fabs(a - b) <= bound * (1 + fabs(a) + fabs(b));
}

/* --- finite differences -------------------------------------------------------------------------------------- */

typedef struct case_of_loss {
    ag_surrogate_options options;
    double advantage[TOKENS], weight[TOKENS], now[TOKENS], old[TOKENS], reference[TOKENS];
    bool weighted, referenced;
} case_of_loss;

static double loss_of(const case_of_loss *c, double *dnow, ag_loss_sums *sums)
{
    double own[TOKENS];
    ag_loss_sums mine = {0};
    ag_loss_sequence s = {.count = TOKENS,
                          .advantage = c->advantage,
                          .weight = c->weighted ? c->weight : NULL,
                          .now = c->now,
                          .old = c->old,
                          .reference = c->referenced ? c->reference : NULL,
                          .coefficient = 0.37};
    ag_sequence_loss(&c->options, &s, dnow ? dnow : own, &mine);
    if (sums) *sums = mine;
    return mine.loss;
}

/* Is the ratio this close to a corner of the loss, where there is no derivative? */
static bool at_corner(const case_of_loss *c)
{
    double mean = 0;
    for (int t = 0; t < TOKENS; t++) mean += (c->now[t] - c->old[t]) / TOKENS;
    for (int t = 0; t < TOKENS; t++) {
        double r = exp(c->options.ratio == AG_RATIO_SEQUENCE ? mean : c->now[t] - c->old[t]);
        const double corners[] = {1 - c->options.clip_low, 1 + c->options.clip_high, c->options.clip_dual};
        for (int k = 0; k < 3; k++)
            if (fabs(r - corners[k]) < 1e-3) return true;
    }
    return false;
}

static void test_differences(void **state)
{
    (void)state;
    long clipped = 0, dual = 0, free_tokens = 0;
    for (uint64_t n = 0; n < 4000; n++) {
        ag_rng rng = ag_rng_at(1, AG_RNG_TEST, n, 0, 0, 0);
        case_of_loss c = {.options = {.ratio = ag_rng_below(&rng, 2) ? AG_RATIO_SEQUENCE : AG_RATIO_TOKEN,
                                      .clip_low = 0.2,
                                      .clip_high = 0.28,
                                      .clip_dual = 3,
                                      .beta = ag_rng_below(&rng, 2) ? 0.3 : 0},
                          .weighted = ag_rng_below(&rng, 2)};
        c.referenced = c.options.beta > 0;
        for (int t = 0; t < TOKENS; t++) {
            c.advantage[t] = ag_rng_below(&rng, 5) ? ag_rng_normal(&rng) : 0;
            c.weight[t] = 2 * ag_rng_double(&rng);
            c.old[t] = -3 * ag_rng_double(&rng);
            c.now[t] = c.old[t] + ag_rng_normal(&rng);
            c.reference[t] = c.old[t] + 0.5 * ag_rng_normal(&rng);
        }
        if (at_corner(&c)) continue;
        double dnow[TOKENS];
        loss_of(&c, dnow, NULL);
        for (int t = 0; t < TOKENS; t++) {
            const double h = 1e-6;
            case_of_loss up = c, down = c;
            up.now[t] += h;
            down.now[t] -= h;
            double slope = (loss_of(&up, NULL, NULL) - loss_of(&down, NULL, NULL)) / (2 * h);
            if (!near(slope, dnow[t], 1e-6))
                fail_msg("case %d, token %d: %.9g, by differences %.9g", (int)n, t, dnow[t], slope);
            if (c.options.ratio != AG_RATIO_TOKEN || c.options.beta > 0 || c.advantage[t] == 0) continue;
            double r = exp(c.now[t] - c.old[t]);
            bool off = c.advantage[t] > 0 ? r > 1.28 : r < 0.8 || r > 3;
            if (off && dnow[t] != 0) fail_msg("case %d, token %d: clipped, but %g", (int)n, t, dnow[t]);
            if (!off && dnow[t] == 0 && (!c.weighted || c.weight[t] > 0))
                fail_msg("case %d: no gradient", (int)n);
            clipped += off;
            dual += off && r > 3 && c.advantage[t] < 0;
            free_tokens += !off;
        }
    }
    assert_true(clipped > 500 && dual > 50 && free_tokens > 500);
}

/* At the first step the ratio is 1, and the gradient is that of REINFORCE: -A / N. */
static void test_first_step(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        case_of_loss c = {
            .options = {.ratio = (ag_ratio_kind)kind, .clip_low = 0.2, .clip_high = 0.28, .clip_dual = 3}};
        double dnow[TOKENS];
        ag_loss_sums sums;
        for (int t = 0; t < TOKENS; t++) {
            c.now[t] = c.old[t] = -0.1 * t;
            c.advantage[t] = -1.3;
        }
        loss_of(&c, dnow, &sums);
        for (int t = 0; t < TOKENS; t++) assert_true(near(dnow[t], 0.37 * 1.3, 1e-12));
        assert_true(sums.ratio == TOKENS && sums.ratio_largest == 1 && sums.clipped == 0);
    }
}

/* Ratios past all reason neither overflow nor push. */
static void test_extremes(void **state)
{
    (void)state;
    const double far[] = {-1e6, -30, 30, 1e6};
    for (int k = 0; k < 4; k++)
        for (int sign = -1; sign <= 1; sign += 2) {
            case_of_loss c = {.options = {.clip_low = 0.2, .clip_high = 0.28, .clip_dual = 3, .beta = 0.1},
                              .referenced = true};
            double dnow[TOKENS];
            ag_loss_sums sums;
            for (int t = 0; t < TOKENS; t++) c.now[t] = far[k], c.advantage[t] = sign;
            c.options.beta = 0;
            c.referenced = false;
            loss_of(&c, dnow, &sums);
            assert_true(isfinite(sums.loss) && isfinite(sums.ratio));
            for (int t = 0; t < TOKENS; t++) assert_true(dnow[t] == 0);
        }
}

/* --- a language of four tokens and three places: every answer is summed over ---------------------------------- */

enum { VOCAB = 4, LENGTH = 3, PREFIXES = 1 + VOCAB + VOCAB * VOCAB, ANSWERS = VOCAB * VOCAB * VOCAB };

typedef struct table {
    double logit[PREFIXES][VOCAB];
} table;

static int prefix_of(int answer, int t) /* the place in the table of the first t tokens */
{
    return t == 0 ? 0 : t == 1 ? 1 + answer / 16 : 1 + VOCAB + answer / 4;
}

static int token_of(int answer, int t)
{
    return t == 0 ? answer / 16 : t == 1 ? answer / 4 % 4 : answer % 4;
}

static double logp_of(const table *p, int prefix, int token)
{
    double sum = 0;
    for (int v = 0; v < VOCAB; v++) sum += exp(p->logit[prefix][v]);
    return p->logit[prefix][token] - log(sum);
}

static void tokens_logp(const table *p, int answer, double *logp)
{
    for (int t = 0; t < LENGTH; t++) logp[t] = logp_of(p, prefix_of(answer, t), token_of(answer, t));
}

static double answer_p(const table *p, int answer)
{
    double logp[LENGTH];
    tokens_logp(p, answer, logp);
    return exp(logp[0] + logp[1] + logp[2]);
}

/* Adds scale * sum over tokens of slope[t] * d log p(token t) / d logits. */
static void add_gradient(table *g, const table *p, int answer, const double *slope, double scale)
{
    for (int t = 0; t < LENGTH; t++) {
        int prefix = prefix_of(answer, t);
        for (int v = 0; v < VOCAB; v++)
            g->logit[prefix][v] += scale * slope[t] *
                                   ((v == token_of(answer, t)) - exp(logp_of(p, prefix, v)));
    }
}

static void random_table(table *p, ag_rng *rng, double spread)
{
    for (int i = 0; i < PREFIXES; i++)
        for (int v = 0; v < VOCAB; v++) p->logit[i][v] = spread * ag_rng_normal(rng);
}

static double difference(const table *a, const table *b)
{
    double most = 0;
    for (int i = 0; i < PREFIXES; i++)
        for (int v = 0; v < VOCAB; v++) most = fmax(most, fabs(a->logit[i][v] - b->logit[i][v]));
    return most;
}

/* The gradient of E over the plain policy of the advantage. */
static void true_gradient(table *g, const table *plain, const double *advantage)
{
    static const double ones[LENGTH] = {1, 1, 1};
    memset(g, 0, sizeof *g);
    for (int y = 0; y < ANSWERS; y++) add_gradient(g, plain, y, ones, answer_p(plain, y) * advantage[y]);
}

/* What answers sampled with the hint give on average, through the loss itself. */
static void guided_gradient(table *g, const table *plain, const table *hinted, const double *advantage,
                            const ag_guided_options *o)
{
    const ag_surrogate_options s = {.clip_low = 0.2, .clip_high = 0.28, .clip_dual = 3};
    memset(g, 0, sizeof *g);
    for (int y = 0; y < ANSWERS; y++) {
        double lp[LENGTH], lh[LENGTH], w[LENGTH], a[LENGTH], dnow[LENGTH];
        ag_loss_sums sums = {0};
        tokens_logp(plain, y, lp);
        tokens_logp(hinted, y, lh);
        ag_guided_weights(o, lp, lh, LENGTH, w);
        for (int t = 0; t < LENGTH; t++) a[t] = advantage[y];
        ag_sequence_loss(&s, &(ag_loss_sequence){LENGTH, a, w, lp, lp, NULL, 1, NULL}, dnow, &sums);
        add_gradient(g, plain, y, dnow, -answer_p(hinted, y)); /* the loss falls as the advantage rises */
    }
}

static void test_guided_is_unbiased(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 20; n++) {
        ag_rng rng = ag_rng_at(2, AG_RNG_TEST, n, 0, 0, 0);
        table plain, hinted, want, got;
        double advantage[ANSWERS];
        random_table(&plain, &rng, 1);
        random_table(&hinted, &rng, 1);
        for (int y = 0; y < ANSWERS; y++) advantage[y] = ag_rng_normal(&rng);
        true_gradient(&want, &plain, advantage);
        guided_gradient(&got, &plain, &hinted, advantage,
                        &(ag_guided_options){.weight = AG_WEIGHT_SEQ, .cap = INFINITY});
        if (difference(&want, &got) > 1e-10) fail_msg("case %d: off by %g", (int)n, difference(&want, &got));
        guided_gradient(&got, &plain, &hinted, advantage,
                        &(ag_guided_options){.weight = AG_WEIGHT_TIS, .cap = INFINITY});
        if (difference(&want, &got) < 1e-6) fail_msg("case %d: one weight a token is not unbiased", (int)n);
    }
}

/* The sign of the bias: where only one answer is good, and the plain policy hardly writes it, one weight a token and a cap push its
 * first token less than the truth asks for whenever the hint made the later tokens likelier. */
static void test_bias_sign(void **state)
{
    (void)state;
    table plain = {0}, hinted = {0}, want, tis;
    double advantage[ANSWERS] = {0};
    const int good = 27; /* tokens 1, 2, 3 */
    advantage[good] = 1;
    for (int t = 0; t < LENGTH; t++) hinted.logit[prefix_of(good, t)][token_of(good, t)] = 3;
    true_gradient(&want, &plain, advantage);
    guided_gradient(&tis, &plain, &hinted, advantage,
                    &(ag_guided_options){.weight = AG_WEIGHT_TIS, .cap = 2});
    double truth = want.logit[0][1], biased = tis.logit[0][1];
    assert_true(truth > 0 && biased > truth); /* later tokens' weights are missing from the first one's */
}

/* Each weight against its sentence in METHOD.md section 9. */
static void test_weights(void **state)
{
    (void)state;
    const double plain[] = {-1, -4, -0.1}, hinted[] = {-1, -0.5, -2};
    double u[3], w[3];
    for (int t = 0; t < 3; t++) u[t] = exp(plain[t] - hinted[t]);
    ag_guided_options o = {.cap = 2, .gamma = 0.1, .floor = 0.1};
    o.weight = AG_WEIGHT_NONE;
    ag_guided_weights(&o, plain, hinted, 3, w);
    for (int t = 0; t < 3; t++) assert_true(w[t] == 1);
    o.weight = AG_WEIGHT_TIS;
    ag_guided_weights(&o, plain, hinted, 3, w);
    assert_true(w[0] == 1 && near(w[1], u[1], 1e-12) && w[2] == 2);
    o.weight = AG_WEIGHT_FLOOR;
    ag_guided_weights(&o, plain, hinted, 3, w);
    assert_true(w[0] == 1 && w[1] == 0.1 && w[2] == 2);
    o.weight = AG_WEIGHT_SHAPED;
    ag_guided_weights(&o, plain, hinted, 3, w);
    assert_true(near(w[0], 1, 1e-12) && near(w[1], u[1] * 1.1 / (u[1] + 0.1), 1e-12) &&
                near(w[2], 2.2 / 2.1, 1e-12));
    o.weight = AG_WEIGHT_SEQ;
    o.cap = 5;
    ag_guided_weights(&o, plain, hinted, 3, w);
    for (int t = 0; t < 3; t++) assert_true(near(w[t], u[0] * u[1] * u[2], 1e-12));
    assert_true(near(ag_geometric_weight(plain, hinted, 3), cbrt(u[0] * u[1] * u[2]), 1e-12));
    /* Without a cap of its own each weight has its standard one. */
    const double likely[] = {3, 3, 3}, before[] = {1, 1, 1};
    for (int k = AG_WEIGHT_TIS; k <= AG_WEIGHT_FLOOR; k++) {
        double standard[3], stated[3];
        o.weight = (ag_guided_weight)k;
        o.cap = 0;
        ag_guided_weights(&o, likely, before, 3, standard);
        o.cap = k == AG_WEIGHT_SEQ ? 5 : 2;
        ag_guided_weights(&o, likely, before, 3, stated);
        for (int t = 0; t < 3; t++) assert_true(standard[t] == stated[t] && standard[t] >= 1);
    }
    /* An empty hint: the same log-probabilities give exactly 1 by every weight. */
    for (int k = AG_WEIGHT_NONE; k <= AG_WEIGHT_FLOOR; k++) {
        o.weight = (ag_guided_weight)k;
        ag_guided_weights(&o, plain, plain, 3, w);
        for (int t = 0; t < 3; t++) assert_true(w[t] == 1 || near(w[t], 1, 1e-15));
    }
}

/* E of the gradient of k2 is the sum over places of E over prefixes of the gradient of KL(policy || reference) there; E of the
 * gradient of k1 is 0. */
static void test_kl(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 20; n++) {
        ag_rng rng = ag_rng_at(3, AG_RNG_TEST, n, 0, 0, 0);
        table p, ref, want = {0}, got = {0}, k1 = {0}, zero = {0};
        static const double none[LENGTH], ones[LENGTH] = {1, 1, 1};
        const ag_surrogate_options o = {.clip_low = 0.2, .clip_high = 0.28, .clip_dual = 3, .beta = 1};
        random_table(&p, &rng, 1);
        random_table(&ref, &rng, 1);
        for (int y = 0; y < ANSWERS; y++) {
            double lp[LENGTH], lr[LENGTH], dnow[LENGTH];
            ag_loss_sums sums = {0};
            tokens_logp(&p, y, lp);
            tokens_logp(&ref, y, lr);
            ag_sequence_loss(&o, &(ag_loss_sequence){LENGTH, none, NULL, lp, lp, lr, 1, NULL}, dnow, &sums);
            add_gradient(&got, &p, y, dnow, answer_p(&p, y));
            add_gradient(&k1, &p, y, ones, answer_p(&p, y));
        }
        double reach[PREFIXES] = {0}; /* probability that a prefix is written */
        for (int y = 0; y < ANSWERS; y++)
            for (int t = 0; t < LENGTH; t++) reach[prefix_of(y, t)] += answer_p(&p, y);
        for (int i = 0; i < PREFIXES; i++)
            for (int v = 0; v < VOCAB; v++) { /* d KL / d logit_v = p_v (log p_v - log ref_v - KL) */
                double kl = 0;
                for (int u = 0; u < VOCAB; u++)
                    kl += exp(logp_of(&p, i, u)) * (logp_of(&p, i, u) - logp_of(&ref, i, u));
                want.logit[i][v] = reach[i] * exp(logp_of(&p, i, v)) *
                                   (logp_of(&p, i, v) - logp_of(&ref, i, v) - kl);
            }
        if (difference(&want, &got) > 1e-10)
            fail_msg("case %d: k2 is off by %g", (int)n, difference(&want, &got));
        if (difference(&k1, &zero) > 1e-12) fail_msg("case %d: k1 as a loss pushes", (int)n);
    }
}

/* E of the entropy term's gradient is that of minus the sum over places of E over prefixes of the entropy there, prefixes held fixed. */
static void test_entropy(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 20; n++) {
        ag_rng rng = ag_rng_at(5, AG_RNG_TEST, n, 0, 0, 0);
        table p, want = {0}, got = {0};
        static const double none[LENGTH];
        double h[PREFIXES] = {0}, reach[PREFIXES] = {0};
        const ag_surrogate_options o = {.clip_low = 0.2, .clip_high = 0.28, .clip_dual = 3, .entropy = 1};
        random_table(&p, &rng, 1);
        for (int i = 0; i < PREFIXES; i++)
            for (int v = 0; v < VOCAB; v++) h[i] -= exp(logp_of(&p, i, v)) * logp_of(&p, i, v);
        for (int y = 0; y < ANSWERS; y++) {
            double lp[LENGTH], entropy[LENGTH], dnow[LENGTH];
            ag_loss_sums sums = {0};
            tokens_logp(&p, y, lp);
            for (int t = 0; t < LENGTH; t++) {
                entropy[t] = h[prefix_of(y, t)];
                reach[prefix_of(y, t)] += answer_p(&p, y);
            }
            ag_sequence_loss(&o, &(ag_loss_sequence){LENGTH, none, NULL, lp, lp, NULL, 1, entropy}, dnow,
                             &sums);
            assert_true(near(sums.loss, -(entropy[0] + entropy[1] + entropy[2]), 1e-12));
            add_gradient(&got, &p, y, dnow, answer_p(&p, y));
        }
        for (int i = 0; i < PREFIXES; i++)
            for (int v = 0; v < VOCAB; v++) /* d H / d logit_v = -p_v (log p_v + H) */
                want.logit[i][v] = reach[i] * exp(logp_of(&p, i, v)) * (logp_of(&p, i, v) + h[i]);
        if (difference(&want, &got) > 1e-10) fail_msg("case %d: off by %g", (int)n, difference(&want, &got));
    }
}

/* Preferences and imitation against central differences; a preference is flat where the pair is far apart, and steep where it is wrong. */
static void test_preferences(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 500; n++) {
        ag_rng rng = ag_rng_at(6, AG_RNG_TEST, n, 0, 0, 0);
        double x[4], slope, unused, margin;
        for (int i = 0; i < 4; i++) x[i] = -20 * ag_rng_double(&rng);
        double beta = 0.05 + ag_rng_double(&rng), e = 1e-5;
        ag_preference_loss(beta, 0.7, x[0], x[1], x[2], x[3], &slope, &margin);
        double better = ag_preference_loss(beta, 0.7, x[0] + e, x[1], x[2], x[3], &unused, NULL) -
                        ag_preference_loss(beta, 0.7, x[0] - e, x[1], x[2], x[3], &unused, NULL);
        double worse = ag_preference_loss(beta, 0.7, x[0], x[1], x[2] + e, x[3], &unused, NULL) -
                       ag_preference_loss(beta, 0.7, x[0], x[1], x[2] - e, x[3], &unused, NULL);
        assert_true(near(better / (2 * e), slope, 1e-6) && near(worse / (2 * e), -slope, 1e-6));
        assert_true(near(margin, beta * (x[0] - x[1] - x[2] + x[3]), 1e-12));
    }
    double slope, margin;
    assert_true(near(ag_preference_loss(0.1, 1, -3, -3, -5, -5, &slope, &margin), log(2), 1e-12));
    assert_true(near(slope, -0.05, 1e-12));
    assert_true(isfinite(ag_preference_loss(1, 1, -1e4, 0, 0, -1e4, &slope, &margin)) &&
                near(slope, -1, 1e-12));
    assert_true(ag_preference_loss(1, 1, 0, -1e4, -1e4, 0, &slope, &margin) == 0 && slope == 0);
    const double now[] = {-1, -2}, weight[] = {1, 0.5};
    double dnow[2];
    assert_true(near(ag_imitation_loss(2, 0.25, weight, now, dnow), 0.5, 1e-12));
    assert_true(dnow[0] == -0.25 && dnow[1] == -0.125);
}

/* An empty hint through the loss: hinted, transferred by every weight, and plain are one loss bit for bit (METHOD.md section 14, test
 * 1). */
static void test_empty_hint(void **state)
{
    (void)state;
    ag_rng rng = ag_rng_at(7, AG_RNG_TEST, 0, 0, 0, 0);
    double now[TOKENS], old[TOKENS], advantage[TOKENS], w[TOKENS], plain[TOKENS], guided[TOKENS];
    const ag_surrogate_options o = {.clip_low = 0.2, .clip_high = 0.28, .clip_dual = 3};
    for (int t = 0; t < TOKENS; t++) {
        old[t] = -3 * ag_rng_double(&rng);
        now[t] = old[t] + 0.2 * ag_rng_normal(&rng);
        advantage[t] = 0.8;
    }
    ag_loss_sums a = {0};
    ag_sequence_loss(&o, &(ag_loss_sequence){TOKENS, advantage, NULL, now, old, NULL, 0.3, NULL}, plain, &a);
    for (int k = AG_WEIGHT_NONE; k <= AG_WEIGHT_FLOOR; k++) {
        ag_loss_sums b = {0};
        ag_guided_weights(&(ag_guided_options){(ag_guided_weight)k, 2, 0.1, 0.1}, old, old, TOKENS, w);
        ag_sequence_loss(&o, &(ag_loss_sequence){TOKENS, advantage, w, now, old, NULL, 0.3, NULL}, guided,
                         &b);
        for (int t = 0; t < TOKENS; t++) assert_true(w[t] == 1);
        assert_memory_equal(plain, guided, sizeof plain);
        assert_true(a.loss == b.loss);
    }
    assert_true(ag_geometric_weight(old, old, TOKENS) == 1);
}

/* --- advantages ---------------------------------------------------------------------------------------------- */

static void test_advantages(void **state)
{
    (void)state;
    const ag_advantage_options usual = {AG_NORM_STD, 0.2, 0.5, 2};
    double a[8];
    bool right[8] = {0};
    const double same[8] = {0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7};
    assert_false(ag_advantages(&usual, same, right, 8, a)); /* no signal, no NaN */
    for (int i = 0; i < 8; i++) assert_true(a[i] == 0);
    double one[8] = {0, 0, 0, 1.5, 0, 0, 0, 0};
    right[3] = true;
    assert_true(ag_advantages(&usual, one, right, 8, a)); /* positive only where it succeeded */
    for (int i = 0; i < 8; i++) assert_true(i == 3 ? a[i] == 2 : a[i] < 0);
    /* Nobody is right, and the shaping differs by less than the floor: small pushes. */
    memset(right, 0, sizeof right);
    const double shaped[8] = {0, 0.02, 0.04, 0.1, 0, 0.05, 0.02, 0.01};
    assert_true(ag_advantages(&usual, shaped, right, 8, a));
    for (int i = 0; i < 8; i++) assert_true(fabs(a[i]) < 1 && a[i] <= 0.5);
    /* A wrong label is never praised strongly. */
    double mixed[4] = {0.4, -0.5, -0.5, -0.5};
    assert_true(ag_advantages(&usual, mixed, right, 4, a));
    assert_true(a[0] == 0.5);
    /* Against the definition. */
    for (uint64_t n = 0; n < 200; n++) {
        ag_rng rng = ag_rng_at(4, AG_RNG_TEST, n, 0, 0, 0);
        double r[8], mean = 0, var = 0;
        int count = 2 + (int)ag_rng_below(&rng, 7);
        for (int i = 0; i < count; i++) {
            r[i] = 1.5 * ag_rng_double(&rng);
            right[i] = ag_rng_below(&rng, 2);
            mean += r[i] / count;
        }
        for (int i = 0; i < count; i++) var += (r[i] - mean) * (r[i] - mean) / count;
        ag_advantage_options o = {n % 2 ? AG_NORM_MEAN : AG_NORM_STD, 0.2, 0.5, 2};
        assert_true(ag_advantages(&o, r, right, count, a));
        for (int i = 0; i < count; i++) {
            double want = (r[i] - mean) / (n % 2 ? 1 : fmax(sqrt(var), 0.2));
            if (!right[i] && want > 0.5) want = 0.5;
            want = want > 2 ? 2 : want < -2 ? -2 : want;
            assert_true(near(a[i], want, 1e-12));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_differences),
                                       cmocka_unit_test(test_first_step),
                                       cmocka_unit_test(test_extremes),
                                       cmocka_unit_test(test_weights),
                                       cmocka_unit_test(test_guided_is_unbiased),
                                       cmocka_unit_test(test_bias_sign),
                                       cmocka_unit_test(test_kl),
                                       cmocka_unit_test(test_entropy),
                                       cmocka_unit_test(test_preferences),
                                       cmocka_unit_test(test_empty_hint),
                                       cmocka_unit_test(test_advantages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
