/* naive_sampler.h: one draw by the letter of its definition, slow: keep the top_k most probable tokens, of
 * those the smallest set with probability top_p, of those the ones at least min_p times the best; then walk
 * the cumulative distribution in id order.
 */
#ifndef AG_TESTS_NAIVE_SAMPLER_H
#define AG_TESTS_NAIVE_SAMPLER_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* p [n]: probabilities, 0 where masked. kept [n] receives what truncation leaves. */
__attribute__((unused)) static void naive_truncate(const double *p, int n, int top_k, double top_p,
                                                   double min_p, bool *kept)
{
    double mass = 0, taken = 0, best = 0;
    int order[4096] = {0}, count = 0;
    for (int j = 0; j < n; j++) {
        int at = count++;
        for (; at > 0 && p[order[at - 1]] < p[j]; at--)
            order[at] = order[at - 1]; /* stable: lower ids first among equals */
        order[at] = j;
        kept[j] = false;
    }
    if (top_k > 0 && top_k < n) count = top_k;
    for (int i = 0; i < count; i++) mass += p[order[i]];
    best = p[order[0]];
    for (int i = 0; i < count && (i == 0 || taken < top_p * mass); i++) {
        if (p[order[i]] > 0 && p[order[i]] >= min_p * best) kept[order[i]] = true;
        taken += p[order[i]];
    }
}

__attribute__((unused)) static int naive_draw(const double *p, int n, bool greedy, double u, int top_k,
                                              double top_p, double min_p)
{
    bool kept[4096];
    double total = 0, sum = 0;
    int last = 0, best = 0;
    for (int j = 1; j < n; j++)
        if (p[j] > p[best]) best = j;
    if (greedy) return best;
    naive_truncate(p, n, top_k, top_p, min_p, kept);
    for (int j = 0; j < n; j++) total += kept[j] ? p[j] : 0;
    for (int j = 0; j < n; j++) {
        if (!kept[j]) continue;
        sum += p[j];
        last = j;
        if (sum > u * total) break;
    }
    return last;
}

#endif
