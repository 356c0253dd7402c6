/* rng.c: counter-based random numbers, Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers:
 * as easy as 1, 2, 3", SC 2011). The constants and the order of the words are those of that paper, which
 * the test holds against its published known answers.
 */
#include "base/rng.h"

#include <math.h>

static void philox_block(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* A stream's name is 6 words of 64 bits and Philox takes 6 of 32, one of which counts blocks. So the name is
 * absorbed by the generator itself, block by block; 128 bits of the result name the stream, which makes two
 * streams of one run meet with a probability that never matters. */
ag_rng ag_rng_at(uint64_t seed, ag_purpose purpose, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    ag_rng r = {.key = {(uint32_t)seed, (uint32_t)(seed >> 32)}};
    uint32_t x[4] = {(uint32_t)purpose, 0, 0, 0x6167726Cu};
    uint32_t key[2];
    philox_block(r.key, x, x);
    key[0] = x[0], key[1] = x[1];
    x[0] ^= (uint32_t)a, x[1] ^= (uint32_t)(a >> 32), x[2] ^= (uint32_t)b, x[3] ^= (uint32_t)(b >> 32);
    philox_block(key, x, x);
    x[0] ^= (uint32_t)c, x[1] ^= (uint32_t)(c >> 32), x[2] ^= (uint32_t)d, x[3] ^= (uint32_t)(d >> 32);
    philox_block(key, x, x);
    r.key[0] = key[0] ^ x[0], r.key[1] = key[1];
    r.counter[0] = 0, r.counter[1] = x[1], r.counter[2] = x[2], r.counter[3] = x[3];
    return r;
}

uint32_t ag_rng_u32(ag_rng *r)
{
    if (r->left == 0) {
        philox_block(r->key, r->counter, r->out);
        r->counter[0]++;
        r->left = 4;
    }
    return r->out[4 - r->left--];
}

uint64_t ag_rng_u64(ag_rng *r)
{
    uint64_t low = ag_rng_u32(r);
    return low | (uint64_t)ag_rng_u32(r) << 32;
}

double ag_rng_double(ag_rng *r)
{
    return (double)(ag_rng_u64(r) >> 11) * 0x1p-53;
}

/* Lemire, "Fast random integer generation in an interval" (2019). */
uint32_t ag_rng_below(ag_rng *r, uint32_t n)
{
    uint64_t product = (uint64_t)ag_rng_u32(r) * n;
    if ((uint32_t)product < n) {
        uint32_t threshold = -n % n;
        while ((uint32_t)product < threshold) product = (uint64_t)ag_rng_u32(r) * n;
    }
    return (uint32_t)(product >> 32);
}

/* The second value of the pair is dropped: a stream then has no state besides its place. */
double ag_rng_normal(ag_rng *r)
{
    double u = 1.0 - ag_rng_double(r), v = ag_rng_double(r);
    return sqrt(-2.0 * log(u)) * cos(2.0 * 3.14159265358979323846 * v);
}

void ag_rng_shuffle(ag_rng *r, uint32_t *items, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = ag_rng_below(r, i), kept = items[i - 1];
        items[i - 1] = items[j];
        items[j] = kept;
    }
}

uint64_t ag_hash64(const void *bytes, uint64_t n)
{
    const unsigned char *p = bytes;
    uint64_t h = 0xCBF29CE484222325u;
    for (uint64_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001B3u;
    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCDu;
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53u;
    return h ^ h >> 33;
}
