/* advantage.c: see advantage.h. */
#include "train/advantage.h"

#include <math.h>

bool ag_advantages(const ag_advantage_options *o, const double *reward, const bool *right, int n,
                   double *advantage)
{
    double mean = 0, square = 0;
    for (int i = 0; i < n; i++) mean += reward[i] / n;
    for (int i = 0; i < n; i++) square += (reward[i] - mean) * (reward[i] - mean) / n;
    double sd = sqrt(square);
    bool signal = sd >= 1e-6;
    for (int i = 0; i < n; i++) {
        double a = signal ? reward[i] - mean : 0;
        if (o->norm == AG_NORM_STD) a /= fmax(sd, o->sd_floor);
        if (!right[i]) a = fmin(a, o->wrong_cap);
        advantage[i] = fmin(fmax(a, -o->clamp), o->clamp);
    }
    return signal;
}
