/* group.c: the keys under which queries count as the same for splits: folded, stemmed, in any order of words.
 *
 * Here merging too much costs nothing (a few test queries fewer) and merging too little leaks test queries
 * into training; so the keys are coarse. They never reach a model.
 */
#include "data/pair.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/rng.h"
#include "data/group.h"
#include "data/split.h"

/* --- a light English stemmer
 * --------------------------------------------------------------------------------
 * After M. F. Porter, "An algorithm for suffix stripping" (1980): its steps for plurals, -ed and -ing,
 * final y and final e. The steps that strip derivations (-ational, -iveness) are left out: "general" and
 * "generate" are different needs of a shopper. Words are lower-case ASCII letters; anything else is left
 * alone. */

static bool is_vowel(const char *word, size_t i)
{
    if (strchr("aeiou", word[i])) return true;
    return word[i] == 'y' && i > 0 && !is_vowel(word, i - 1);
}

static bool has_vowel(const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_vowel(word, i)) return true;
    return false;
}

/* Porter's m: how often a vowel is followed by a consonant. */
static int measure(const char *word, size_t n)
{
    int m = 0;
    for (size_t i = 1; i < n; i++) m += is_vowel(word, i - 1) && !is_vowel(word, i);
    return m;
}

static bool double_consonant(const char *word, size_t n)
{
    return n >= 2 && word[n - 1] == word[n - 2] && !is_vowel(word, n - 1);
}

/* Ends in consonant, vowel, consonant (the last not w, x, y): a short word that had a final e, such as
 * "hop(e)". */
static bool short_end(const char *word, size_t n)
{
    return n >= 3 && !is_vowel(word, n - 3) && is_vowel(word, n - 2) && !is_vowel(word, n - 1) &&
           !strchr("wxy", word[n - 1]);
}

static bool ends(const char *word, size_t n, const char *suffix)
{
    size_t s = strlen(suffix);
    return n > s && memcmp(word + n - s, suffix, s) == 0;
}

static size_t strip_plural(const char *word, size_t n)
{
    if (ends(word, n, "sses")) return n - 2;
    if (ends(word, n, "ies")) return n > 4 ? n - 2 : n - 1; /* berries: berri, ties: tie */
    if (ends(word, n, "ss") || ends(word, n, "us") || !ends(word, n, "s")) return n;
    return n - 1;
}

/* -ed and -ing, with what that leaves put right: hopping: hop, hoping: hope, sized: size. */
static size_t strip_participle(char *word, size_t n)
{
    size_t stem = ends(word, n, "ed") ? n - 2 : ends(word, n, "ing") ? n - 3 : n;
    if (ends(word, n, "eed")) return measure(word, n - 3) > 0 ? n - 1 : n;
    if (stem == n || !has_vowel(word, stem)) return n;
    if (ends(word, stem, "at") || ends(word, stem, "bl") || ends(word, stem, "iz")) {
        word[stem] = 'e';
        return stem + 1;
    }
    if (double_consonant(word, stem) && !strchr("lsz", word[stem - 1])) return stem - 1;
    if (measure(word, stem) == 1 && short_end(word, stem)) {
        word[stem] = 'e';
        return stem + 1;
    }
    return stem;
}

static size_t strip_final(char *word, size_t n)
{
    if (n > 2 && word[n - 1] == 'y' && has_vowel(word, n - 1)) word[n - 1] = 'i';
    if (n > 1 && word[n - 1] == 'e') {
        int m = measure(word, n - 1);
        if (m > 1 || (m == 1 && !short_end(word, n - 1))) n--;
    }
    if (double_consonant(word, n) && word[n - 1] == 'l' && measure(word, n - 1) > 1) n--;
    return n;
}

size_t ag_stem(char *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (word[i] < 'a' || word[i] > 'z') return n;
    if (n < 3) return n;
    n = strip_plural(word, n);
    n = strip_participle(word, n);
    return strip_final(word, n);
}

/* --- words
 * -------------------------------------------------------------------------------------------------- */

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

/* Letters, digits and marks of any script make words. */
static bool is_word(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO);
}

/* Appends a letter without its accents: combining marks of the block that Latin, Greek and Cyrillic use
 * fall away; those of scripts in which marks are vowels stay. */
static void add_plain(ag_str *out, uint32_t c)
{
    utf8proc_int32_t parts[8];
    int boundary = 0;
    char put[4];
    utf8proc_ssize_t n = c < 0x80 ? 0
                                  : utf8proc_decompose_char((utf8proc_int32_t)c, parts, 8,
                                                            UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
    bool hangul = c >= 0xAC00 && c <= 0xD7A3;
    if (n <= 0 || n > 8 || hangul) {
        n = 1;
        parts[0] = (utf8proc_int32_t)c;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        if (parts[i] >= 0x300 && parts[i] <= 0x36F) continue;
        ag_str_addn(out, put, (size_t)ag_utf8_put((uint32_t)parts[i], put));
    }
}

/* Appends the words of a query, each closed by a NUL. A point or comma between digits stays a point: 1.5
 * is not 15. */
ag_status ag_query_words(ag_str *out, const char *query, ag_error *err)
{
    ag_str folded = {0};
    ag_status status = ag_text_fold(&folded, query, strlen(query), err);
    if (status != AG_OK) goto out;
    const char *text = ag_str_text(&folded);
    uint32_t before = ' ';
    bool open = false; /* in the middle of a word */
    for (size_t at = 0; at < folded.len;) {
        uint32_t c = ag_utf8_next(text, folded.len, &at);
        size_t ahead = at;
        uint32_t next = at < folded.len ? ag_utf8_next(text, folded.len, &ahead) : ' ';
        bool point = (c == '.' || c == ',') && is_digit(before) && is_digit(next);
        if (point) {
            ag_str_addc(out, '.');
        } else if (is_word(c)) {
            size_t from = out->len;
            add_plain(out, c);
            open = open || out->len > from;
        } else if (open && c != '\'') { /* men's: mens */
            ag_str_addc(out, '\0');
            open = false;
        }
        before = c;
    }
    if (open) ag_str_addc(out, '\0');
    status = ag_str_ok(out, err);
out:
    ag_str_free(&folded);
    return status;
}

/* --- keys
 * --------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

ag_status ag_word_set_key(ag_str *out, char *words, size_t len, ag_error *err)
{
    size_t n = 0, i = 0;
    for (size_t at = 0; at < len; at++) n += words[at] == '\0';
    char **list = ag_calloc(n, sizeof *list);
    if (!list) return ag_fail_memory(err, "words of a query");
    for (char *word = words; i < n; i++) {
        size_t length = strlen(word);
        list[i] = word;
        word[ag_stem(word, length)] = '\0';
        word += length + 1;
    }
    qsort(list, n, sizeof *list, by_text);
    for (i = 0; i < n; i++)
        if (i == 0 || strcmp(list[i], list[i - 1]) != 0) ag_str_add(out, list[i]);
    ag_free(list);
    return ag_str_ok(out, err);
}

ag_status ag_query_keys(ag_str *token_set, ag_str *joined, const char *query, ag_error *err)
{
    ag_str words = {0}, one = {0};
    ag_status status = ag_query_words(&words, query, err);
    if (status != AG_OK) goto out;
    if (words.len == 0) { /* no word at all, such as "???": the folded text is the key */
        if (token_set && (status = ag_text_fold(token_set, query, strlen(query), err)) != AG_OK) goto out;
        if (joined) status = ag_text_fold(joined, query, strlen(query), err);
        goto out;
    }
    for (size_t at = 0; joined && at < words.len; at++)
        if (words.data[at]) ag_str_addc(&one, words.data[at]);
    if (joined && !one.failed) ag_str_addn(joined, one.data, ag_stem(one.data, one.len));
    if ((status = ag_str_ok(&one, err)) != AG_OK) goto out;
    if (joined && (status = ag_str_ok(joined, err)) != AG_OK) goto out;
    if (token_set) status = ag_word_set_key(token_set, words.data, words.len, err);
out:
    ag_str_free(&words);
    ag_str_free(&one);
    return status;
}

ag_status ag_query_group(ag_str *out, const char *query, ag_error *err)
{
    return ag_query_keys(out, NULL, query, err);
}

int ag_query_fold(const char *group, uint64_t seed, int folds)
{
    ag_rng r = ag_rng_at(seed, AG_RNG_SPLIT, ag_hash64(group, strlen(group)), 0, 0, 0);
    return (int)ag_rng_below(&r, (uint32_t)folds);
}
