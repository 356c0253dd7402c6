/* synth_print.c: see synth_print.h. */
#include "cli/synth_print.h"

#include <stdio.h>
#include <string.h>

/* Has a pair a value? */
typedef bool (*has_value)(const ag_synth_pair *pair, int value, const void *with);

static void print_count(size_t count, size_t total)
{
    printf("%8zu %6.1f%%", count, total ? 100.0 * (double)count / (double)total : 0.0);
}

/* How many pairs of each part have each value of something, and (of_real not NULL) of the pairs of real queries. */
static void print_rows(const ag_synth *synth, const char *title, const char *const *names, int n,
                       has_value has, has_value of_real, const void *with)
{
    printf("\n%-14s", title);
    for (int p = 0; p < AG_SYNTH_PARTS; p++) printf("%16s", ag_synth_part_names[p]);
    printf(of_real ? "%16s\n" : "\n", "real queries");
    for (int v = 0; v < n; v++) {
        size_t real = 0, all_real = 0;
        printf("  %-12s", names[v]);
        for (int p = 0; p < AG_SYNTH_PARTS; p++) {
            size_t count = 0, total = synth->pair_count[p];
            for (size_t i = 0; i < total; i++) {
                const ag_synth_pair *pair = &synth->pairs[p][i];
                count += has(pair, v, with);
                if (!of_real || pair->query->type != AG_SYNTH_REAL) continue;
                real += of_real(pair, v, with);
                all_real++;
            }
            print_count(count, total);
        }
        if (of_real) print_count(real, all_real);
        printf("\n");
    }
}

static bool has_tier(const ag_synth_pair *pair, int tier, const void *with)
{
    (void)with;
    return pair->gold.tier == tier;
}

static bool has_rule(const ag_synth_pair *pair, int rule, const void *with)
{
    (void)with;
    return pair->gold.rule == rule;
}

static bool has_type(const ag_synth_pair *pair, int type, const void *with)
{
    (void)with;
    return pair->query->type == (ag_synth_type)type;
}

/* What a real query amounts to. `with`: the facts. */
static bool reads_as(const ag_synth_pair *pair, int type, const void *with)
{
    return ag_synth_type_of(&pair->query->asked, pair->query->wanted, with) == (ag_synth_type)type;
}

static bool has_skill(const ag_synth_pair *pair, int skill, const void *with)
{
    (void)with;
    return pair->skills & (1u << skill);
}

enum { LONGEST = 8 };

static int words_of(const char *text)
{
    int n = 0;
    for (const char *at = text; *(at += strspn(at, " \t"));) {
        at += strcspn(at, " \t");
        n++;
    }
    return n < 1 ? 1 : n > LONGEST ? LONGEST : n;
}

/* Words a query, of what was made and of real ones. */
static void print_lengths(const ag_synth *synth, const char *const *queries, size_t count)
{
    long made[LONGEST + 1] = {0}, real[LONGEST + 1] = {0};
    for (size_t i = 0; i < synth->query_count; i++) made[words_of(synth->queries[i].text)]++;
    for (size_t i = 0; i < count; i++) real[words_of(queries[i])]++;
    printf("\n%-14s", "words a query");
    for (int k = 1; k <= LONGEST; k++) printf("%7d%s", k, k == LONGEST ? "+" : " ");
    printf("\n  %-12s", "made");
    for (int k = 1; k <= LONGEST; k++)
        printf("%6.1f%% ", synth->query_count ? 100.0 * (double)made[k] / (double)synth->query_count : 0.0);
    if (count) printf("\n  %-12s", "real");
    for (int k = 1; k <= LONGEST && count; k++) printf("%6.1f%% ", 100.0 * (double)real[k] / (double)count);
    printf("\n");
}

void ag_synth_print(const ag_synth *synth, const ag_book *book, const ag_facts *facts,
                    const char *const *queries, size_t query_count)
{
    bool real = query_count > 0;
    const char *tiers[AG_MAX_TIERS], *rules[AG_MAX_RULES];
    for (int i = 0; i < book->tier_count; i++) tiers[i] = book->tiers[i].id;
    for (int i = 0; i < book->rule_count; i++) rules[i] = book->rules[i].id;
    printf("%-14s", "pairs");
    for (int p = 0; p < AG_SYNTH_PARTS; p++) printf("%16zu", synth->pair_count[p]);
    printf("\n%-14s", "queries");
    for (int p = 0; p < AG_SYNTH_PARTS; p++) {
        size_t n = 0;
        const ag_synth_query *last = NULL;
        for (size_t i = 0; i < synth->pair_count[p]; i++) { /* pairs of a query stand together */
            n += synth->pairs[p][i].query != last;
            last = synth->pairs[p][i].query;
        }
        printf("%16zu", n);
    }
    printf("\n");
    print_rows(synth, "tier", tiers, book->tier_count, has_tier, real ? has_tier : NULL, NULL);
    print_rows(synth, "rule", rules, book->rule_count, has_rule, real ? has_rule : NULL, NULL);
    print_rows(synth, "type", ag_synth_type_names, AG_SYNTH_TYPES, has_type, real ? reads_as : NULL, facts);
    if (query_count)
        printf("real queries that the parser reads to the end: %ld were used\n", synth->real_read);
    print_rows(synth, "needs", ag_skill_names, AG_SKILL_COUNT, has_skill, real ? has_skill : NULL, NULL);
    print_lengths(synth, queries, query_count);
    double precision = synth->parsed_entries ? (double)synth->agreed_entries / (double)synth->parsed_entries
                                             : 1.0;
    double recall = synth->asked_entries ? (double)synth->agreed_entries / (double)synth->asked_entries : 1.0;
    printf("\nparser of asked: precision %.3f, recall %.3f over %ld requests", precision, recall,
           synth->asked_entries);
    printf("; sft pairs with its reading: %ld (%ld more kept their own, because it missed what decides)\n",
           synth->parsed_asked, synth->parser_missed);
    if (synth->withheld) printf("products kept out of sft by withholding: %ld\n", synth->withheld);
}
