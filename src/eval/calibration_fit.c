/* calibration_fit.c: the temperature and the biases by Newton's method.
 *
 * With a = 1/T and x_t = log P(t), the loss of a row with target q is log sum_t exp(a x_t + b_t) - sum_t q_t (a x_t + b_t): convex in
 * (a, b), with gradient E_p[z] - E_q[z] and Hessian Cov_p[z] for z = (x_t, unit vector t). The ridge makes the Hessian positive
 * definite. Rows are summed in order, so the same rows give the same bits.
 */
#include "eval/calibration.h"

#include <math.h>
#include <string.h>

enum { MAX_UNKNOWNS = AG_MAX_TIERS + 1, MAX_STEPS = 200, MAX_HALVINGS = 60 };

/* theta[0] is 1/T, theta[1 + t] is b_t. */
typedef struct problem {
    int tiers, unknowns;
    size_t n;
    double *x;       /* [n][tiers]: log P */
    const double *q; /* target of row i: q + row[i] * tiers */
    size_t *row;
    double theta[MAX_UNKNOWNS], gradient[MAX_UNKNOWNS], hessian[MAX_UNKNOWNS][MAX_UNKNOWNS];
    bool fixed_slope; /* theta[0] stays: it is at its bound */
    bool fixed_bias;  /* the others stay */
} problem;

/* One row's P' and loss. */
static double row_loss(const problem *p, const double *theta, size_t i, double *prob)
{
    const double *x = p->x + i * (size_t)p->tiers, *q = p->q + p->row[i] * (size_t)p->tiers;
    double most = -INFINITY, total = 0, said = 0;
    for (int t = 0; t < p->tiers; t++) {
        prob[t] = theta[0] * x[t] + theta[1 + t];
        most = fmax(most, prob[t]);
    }
    for (int t = 0; t < p->tiers; t++) {
        said += q[t] * (prob[t] - most);
        total += prob[t] = exp(prob[t] - most);
    }
    for (int t = 0; t < p->tiers; t++) prob[t] /= total;
    return log(total) - said;
}

static double ridge_of(const problem *p, const double *theta)
{
    double sum = (theta[0] - 1) * (theta[0] - 1);
    for (int t = 0; t < p->tiers; t++) sum += theta[1 + t] * theta[1 + t];
    return AG_CALIBRATION_RIDGE / 2 * sum;
}

static double loss_at(const problem *p, const double *theta)
{
    double prob[AG_MAX_TIERS], sum = ridge_of(p, theta);
    for (size_t i = 0; i < p->n; i++) sum += row_loss(p, theta, i, prob);
    return sum;
}

/* Takes an unknown out of the step. */
static void hold(problem *p, int u)
{
    p->gradient[u] = 0;
    for (int s = 0; s < p->unknowns; s++) *(s < u ? &p->hessian[u][s] : &p->hessian[s][u]) = s == u;
}

/* Loss, gradient and the lower half of the Hessian at theta. */
static double expand(problem *p)
{
    int k = p->tiers;
    double prob[AG_MAX_TIERS], sum = ridge_of(p, p->theta);
    memset(p->hessian, 0, sizeof p->hessian);
    for (int u = 0; u < p->unknowns; u++) {
        p->gradient[u] = AG_CALIBRATION_RIDGE * (p->theta[u] - (u == 0));
        p->hessian[u][u] = AG_CALIBRATION_RIDGE;
    }
    for (size_t i = 0; i < p->n; i++) {
        const double *x = p->x + i * (size_t)k, *q = p->q + p->row[i] * (size_t)k;
        sum += row_loss(p, p->theta, i, prob);
        double mean = 0, square = 0;
        for (int t = 0; t < k; t++) mean += prob[t] * x[t];
        for (int t = 0; t < k; t++) {
            square += prob[t] * (x[t] - mean) * (x[t] - mean);
            p->gradient[0] += (prob[t] - q[t]) * x[t];
            p->gradient[1 + t] += prob[t] - q[t];
            p->hessian[1 + t][0] += prob[t] * (x[t] - mean);
            p->hessian[1 + t][1 + t] += prob[t];
            for (int s = 0; s <= t; s++) p->hessian[1 + t][1 + s] -= prob[t] * prob[s];
        }
        p->hessian[0][0] += square;
    }
    for (int u = 0; u < p->unknowns; u++)
        if (u == 0 ? p->fixed_slope : p->fixed_bias) hold(p, u);
    return sum;
}

/* step = -hessian^-1 gradient by Cholesky; false when the Hessian is not positive definite. */
static bool newton_step(problem *p, double *step)
{
    int n = p->unknowns;
    for (int j = 0; j < n; j++)
        for (int i = j; i < n; i++) {
            double sum = p->hessian[i][j];
            for (int k = 0; k < j; k++) sum -= p->hessian[i][k] * p->hessian[j][k];
            if (i == j && !(sum > 0)) return false;
            p->hessian[i][j] = i == j ? sqrt(sum) : sum / p->hessian[j][j];
        }
    for (int i = 0; i < n; i++) {
        step[i] = -p->gradient[i];
        for (int k = 0; k < i; k++) step[i] -= p->hessian[i][k] * step[k];
        step[i] /= p->hessian[i][i];
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++) step[i] -= p->hessian[k][i] * step[k];
        step[i] /= p->hessian[i][i];
    }
    return true;
}

/* Damped Newton to a step that changes nothing. */
static ag_status minimise(problem *p, ag_error *err)
{
    for (int turn = 0; turn < MAX_STEPS; turn++) {
        double step[MAX_UNKNOWNS], next[MAX_UNKNOWNS], loss = expand(p), slope = 0, size = 1, largest = 0;
        if (!isfinite(loss) || !newton_step(p, step)) break;
        for (int u = 0; u < p->unknowns; u++) {
            slope += step[u] * p->gradient[u];
            largest = fmax(largest, fabs(step[u]) / (1 + fabs(p->theta[u])));
        }
        /* -slope / 2 is the distance to the minimum where the quadratic holds. */
        if (largest < 1e-10 || -slope <= 1e-13 * (1 + fabs(loss))) {
            for (int u = 0; u < p->unknowns; u++) p->theta[u] += step[u];
            return AG_OK;
        }
        for (int h = 0; h < MAX_HALVINGS; h++, size /= 2) {
            for (int u = 0; u < p->unknowns; u++) next[u] = p->theta[u] + size * step[u];
            if (loss_at(p, next) <= loss + 1e-4 * size * slope) break;
        }
        memcpy(p->theta, next, sizeof next);
    }
    return ag_fail(err, AG_ERR_INTERNAL, "the calibration did not converge on %zu pairs", p->n);
}

static ag_status problem_open(problem *p, const ag_calibration_data *data, const size_t *pick, size_t n,
                              ag_error *err)
{
    size_t k = (size_t)data->tiers;
    *p = (problem){.tiers = data->tiers,
                   .unknowns = data->tiers + 1,
                   .n = n,
                   .q = data->target,
                   .fixed_bias = data->temperature_only};
    p->theta[0] = 1;
    p->x = ag_calloc(n, k * sizeof *p->x);
    p->row = ag_calloc(n, sizeof *p->row);
    if (!p->x || !p->row) return ag_fail_memory(err, "calibration");
    for (size_t i = 0; i < n; i++) {
        p->row[i] = pick ? pick[i] : i;
        for (size_t t = 0; t < k; t++)
            p->x[i * k + t] = log(fmax(data->probability[p->row[i] * k + t], AG_CALIBRATION_LEAST));
    }
    return AG_OK;
}

ag_status ag_calibration_fit(ag_calibration *c, bool *bounded, const ag_calibration_data *data,
                             const size_t *pick, size_t n, ag_error *err)
{
    problem p;
    double mean = 0;
    *bounded = false;
    ag_status status = problem_open(&p, data, pick, pick ? n : data->n, err);
    if (status == AG_OK) status = minimise(&p, err);
    if (status == AG_OK && p.theta[0] < 1 / AG_CALIBRATION_MAX_TEMPERATURE) {
        /* The profile over the slope is convex, so the best allowed slope is the bound itself. */
        *bounded = p.fixed_slope = true;
        p.theta[0] = 1 / AG_CALIBRATION_MAX_TEMPERATURE;
        status = minimise(&p, err);
    }
    if (status == AG_OK) {
        c->tiers = data->tiers;
        c->temperature = 1 / p.theta[0];
        /* They sum to 0 but for rounding. */
        for (int t = 0; t < data->tiers; t++) mean += p.theta[1 + t] / data->tiers;
        for (int t = 0; t < data->tiers; t++) c->bias[t] = p.theta[1 + t] - mean;
    }
    ag_free(p.x);
    ag_free(p.row);
    return status;
}

double ag_calibration_loss(const ag_calibration *c, const ag_calibration_data *data, double ridge)
{
    int k = data->tiers;
    double sum = 0, slope = 1 / c->temperature - 1, penalty = slope * slope;
    for (size_t i = 0; i < data->n; i++) {
        double score[AG_MAX_TIERS], most = -INFINITY, total = 0;
        for (int t = 0; t < k; t++) {
            double x = log(fmax(data->probability[i * (size_t)k + (size_t)t], AG_CALIBRATION_LEAST));
            score[t] = x / c->temperature + c->bias[t];
            most = fmax(most, score[t]);
        }
        for (int t = 0; t < k; t++) total += exp(score[t] - most);
        for (int t = 0; t < k; t++)
            sum += data->target[i * (size_t)k + (size_t)t] * (most + log(total) - score[t]);
    }
    for (int t = 0; t < k; t++) penalty += c->bias[t] * c->bias[t];
    return data->n ? (sum + ridge / 2 * penalty) / (double)data->n : NAN;
}

ag_status ag_calibration_cross_fit(double *out, double *temperatures, const ag_calibration_data *data,
                                   const uint8_t *part, int folds, ag_error *err)
{
    size_t k = (size_t)data->tiers, *pick = ag_calloc(data->n, sizeof *pick);
    ag_status status = pick ? AG_OK : ag_fail_memory(err, "calibration");
    for (int f = 0; f < folds && status == AG_OK; f++) {
        ag_calibration c;
        bool bounded;
        size_t n = 0;
        memset(&c, 0, sizeof c);
        for (size_t i = 0; i < data->n; i++)
            if (part[i] != f) pick[n++] = i;
        status = n ? ag_calibration_fit(&c, &bounded, data, pick, n, err)
                   : ag_fail(err, AG_ERR_INTERNAL, "part %d of the cross-fit holds every pair", f);
        if (status == AG_OK && temperatures) temperatures[f] = c.temperature;
        for (size_t i = 0; i < data->n && status == AG_OK; i++) {
            if (part[i] != f) continue;
            memcpy(out + i * k, data->probability + i * k, k * sizeof *out);
            ag_calibration_apply(&c, out + i * k);
        }
    }
    ag_free(pick);
    return status;
}
