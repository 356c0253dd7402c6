/* report_sets.c: which rows stand behind which number. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/report_page.h"

/* Is a record in a set? i and j: tier, bin or criterion. */
typedef bool set_test(const ag_book *book, const ag_record *r, int i, int j);

static bool judged(const ag_record *r)
{
    return r->gold >= 0 && r->tier >= 0;
}

static bool in_wrong(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)i, (void)j;
    return judged(r) && r->tier != r->gold;
}

static bool in_far(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)i, (void)j;
    return judged(r) && (r->tier > r->gold + 1 || r->gold > r->tier + 1);
}

static bool in_wrong_side(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)i, (void)j;
    return judged(r) && book->tiers[r->tier].good != book->tiers[r->gold].good;
}

static double confidence(const ag_book *book, const ag_record *r)
{
    double most = 0;
    for (int k = 0; k < book->tier_count; k++) most = fmax(most, r->probability[k]);
    return most;
}

static bool in_sure_wrong(const ag_book *book, const ag_record *r, int i, int j)
{
    return in_wrong(book, r, i, j) && ag_record_probable(r, book->tier_count) && confidence(book, r) >= 0.9;
}

static bool in_doubtful(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)i, (void)j;
    return judged(r) && ag_record_probable(r, book->tier_count) && confidence(book, r) < AG_CONFIDENT;
}

static bool in_format(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)i, (void)j;
    return r->answered && !r->format;
}

static bool in_gate(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)i, (void)j;
    return r->answered && !r->gate;
}

static bool in_process(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)i, (void)j;
    return r->answered && (r->answer_tier < 0 || r->answer_tier != r->derived_tier);
}

static bool in_adherence(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)i, (void)j;
    return r->answered && r->verdicts_known && !(r->gate && r->verdicts_right);
}

static bool in_not_compliant(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)i, (void)j;
    return r->answered && r->gold >= 0 && !(r->gate && r->answer_tier == r->gold);
}

static bool in_wrong_process(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)i, (void)j;
    return r->answered && r->gold >= 0 && !r->gate && r->answer_tier == r->gold;
}

static bool in_answer_wrong(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)i, (void)j;
    return r->answered && r->gold >= 0 && r->answer_tier != r->gold;
}

static bool in_disagree(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)i, (void)j;
    return r->answered && r->tier >= 0 && r->answer_tier != r->tier;
}

static bool in_rule(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)i, (void)j;
    return r->answered && r->gold_rule >= 0 && r->rule != r->gold_rule;
}

static bool in_verdicts(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)i, (void)j;
    for (int c = 0; c < book->criterion_count; c++)
        if (r->answered && r->verdict_hits[c] < r->verdict_count[c]) return true;
    return false;
}

static bool in_criterion(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)j;
    return r->answered && r->verdict_hits[i] < r->verdict_count[i];
}

static bool in_cell(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book;
    return r->gold == i && r->tier == j;
}

static bool in_gold(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)j;
    return judged(r) && r->gold == i;
}

static bool in_predicted(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)book, (void)j;
    return judged(r) && r->tier == i;
}

static bool in_false_positive(const ag_book *book, const ag_record *r, int i, int j)
{
    return in_predicted(book, r, i, j) && r->gold != i;
}

static bool in_missed(const ag_book *book, const ag_record *r, int i, int j)
{
    return in_gold(book, r, i, j) && r->tier != i;
}

static bool in_tier_wrong(const ag_book *book, const ag_record *r, int i, int j)
{
    return in_false_positive(book, r, i, j) || in_missed(book, r, i, j);
}

static bool in_bin(const ag_book *book, const ag_record *r, int i, int j)
{
    (void)j;
    return r->gold >= 0 && ag_record_probable(r, book->tier_count) &&
           ag_calibration_bin(confidence(book, r)) == i;
}

/* How a set's index runs. */
typedef enum set_each { EACH_ONE, EACH_TIER, EACH_CELL, EACH_BIN, EACH_CRITERION } set_each;

static const struct {
    const char *key, *label; /* of an indexed set the key gets "-i" (and "-j") behind it */
    set_each each;
    set_test *in;
} set_table[] = {
    {"wrong", "headline tier is not gold", EACH_ONE, in_wrong},
    {"far", "headline tier is two or more tiers off", EACH_ONE, in_far},
    {"side", "on the wrong side of good", EACH_ONE, in_wrong_side},
    {"sure", "wrong with confidence 0.9 or more", EACH_ONE, in_sure_wrong},
    {"doubt", "confidence below 0.7", EACH_ONE, in_doubtful},
    {"format", "answer is not in the format", EACH_ONE, in_format},
    {"gate", "answer contradicts itself (gate)", EACH_ONE, in_gate},
    {"process", "answer's tier is not what its verdicts derive", EACH_ONE, in_process},
    {"adherence", "gate broken or a gold verdict missed", EACH_ONE, in_adherence},
    {"compliant", "answer's tier is wrong or the gate is broken", EACH_ONE, in_not_compliant},
    {"lucky", "right answer, wrong process", EACH_ONE, in_wrong_process},
    {"answer", "answer's tier is not gold", EACH_ONE, in_answer_wrong},
    {"differs", "answer's tier is not the headline tier", EACH_ONE, in_disagree},
    {"rule", "rule is not the gold rule", EACH_ONE, in_rule},
    {"verdicts", "a gold verdict missed", EACH_ONE, in_verdicts},
    {"verdict", "gold verdict missed: ", EACH_CRITERION, in_criterion},
    {"gold", "gold ", EACH_TIER, in_gold},
    {"pred", "predicted ", EACH_TIER, in_predicted},
    {"fp", "wrongly predicted ", EACH_TIER, in_false_positive},
    {"fn", "missed gold ", EACH_TIER, in_missed},
    {"off", "wrong, with gold or predicted tier ", EACH_TIER, in_tier_wrong},
    {"cell", "gold ", EACH_CELL, in_cell},
    {"bin", "confidence ", EACH_BIN, in_bin},
};

/* The new set at the end of the list, or NULL when out of memory. */
static ag_row_set *new_set(ag_page *page)
{
    if (!ag_grow(&page->sets, &page->set_cap, page->set_count + 1, sizeof *page->sets)) return NULL;
    ag_row_set *set = &page->sets[page->set_count++];
    memset(set, 0, sizeof *set);
    return set;
}

static bool set_add(ag_page *page, ag_row_set *set, size_t record)
{
    size_t number = page->number[record];
    set->total++;
    if (number == 0) return true;
    if (!ag_grow(&set->rows, &set->cap, set->count + 1, sizeof *set->rows)) return false;
    set->rows[set->count++] = number;
    return true;
}

static void label_set(ag_row_set *set, const ag_book *book, set_each each, const char *label, int i, int j)
{
    ag_str_add(&set->label, label);
    if (each == EACH_TIER) ag_str_add(&set->label, book->tiers[i].id);
    if (each == EACH_CELL) ag_str_addf(&set->label, "%s, predicted %s", book->tiers[i].id, book->tiers[j].id);
    if (each == EACH_CRITERION) ag_str_add(&set->label, book->criteria[i].id);
    if (each == EACH_BIN)
        ag_str_addf(&set->label, "%.2f to %.2f", (double)i / AG_CALIBRATION_BINS,
                    (i + 1.0) / AG_CALIBRATION_BINS);
}

static bool table_set(ag_page *page, size_t row, int i, int j)
{
    const ag_book *book = page->records->book;
    ag_row_set *set = new_set(page);
    set_each each = set_table[row].each;
    if (!set) return false;
    if (each == EACH_ONE)
        snprintf(set->key, sizeof set->key, "%s", set_table[row].key);
    else if (each == EACH_CELL)
        snprintf(set->key, sizeof set->key, "%s-%d-%d", set_table[row].key, i, j);
    else
        snprintf(set->key, sizeof set->key, "%s-%d", set_table[row].key, i);
    label_set(set, book, each, set_table[row].label, i, j);
    for (size_t n = 0; n < page->records->count; n++)
        if (set_table[row].in(book, &page->records->items[n], i, j) && !set_add(page, set, n)) return false;
    return !set->label.failed;
}

static bool slice_has(const ag_record *r, const char *name, const char *value)
{
    for (int s = 0; s < r->slice_count; s++)
        if (ag_streq(r->slice_names[s], name) && ag_streq(r->slice_values[s], value)) return true;
    return false;
}

/* The slices that the metrics list: number v of slice s is "slice-s-v". */
static bool slice_sets(ag_page *page)
{
    size_t s, v;
    json_t *slice, *value;
    json_array_foreach(json_object_get(page->metrics, "slices"), s, slice)
    {
        json_array_foreach(json_object_get(slice, "values"), v, value)
        {
            const char *name = ag_page_string(slice, "name"), *text = ag_page_string(value, "value");
            ag_row_set *set = new_set(page);
            if (!set) return false;
            snprintf(set->key, sizeof set->key, "slice-%u-%u", (unsigned)s, (unsigned)v);
            ag_str_addf(&set->label, "%s = %s", name, text);
            for (size_t n = 0; n < page->records->count; n++)
                if (slice_has(&page->records->items[n], name, text) && !set_add(page, set, n)) return false;
            if (set->label.failed) return false;
        }
    }
    return true;
}

/* Rows of queries whose order is not the best one. */
static bool order_set(ag_page *page)
{
    ag_row_set *set = new_set(page);
    if (!set) return false;
    snprintf(set->key, sizeof set->key, "order");
    ag_str_add(&set->label, "queries with NDCG@10 below 1");
    for (size_t q = 0; q < page->query_count; q++) {
        const ag_page_query *query = &page->queries[q];
        if (!(query->ndcg < 1 - 1e-9)) continue;
        for (size_t i = 0; i < query->n; i++)
            if (!set_add(page, set, page->groups.order[query->from + i])) return false;
    }
    return !set->label.failed;
}

ag_status ag_page_sets_prepare(ag_page *page, ag_error *err)
{
    const ag_book *book = page->records->book;
    const int counts[] = {1, book->tier_count, book->tier_count, AG_CALIBRATION_BINS, book->criterion_count};
    bool made = order_set(page);
    for (size_t row = 0; row < sizeof set_table / sizeof set_table[0]; row++) {
        set_each each = set_table[row].each;
        for (int i = 0; i < counts[each] && made; i++)
            for (int j = 0; j < (each == EACH_CELL ? book->tier_count : 1) && made; j++)
                made = table_set(page, row, i, j);
    }
    if (made) made = slice_sets(page);
    return made ? AG_OK : ag_fail_memory(err, "report");
}

void ag_page_index(ag_page *page)
{
    ag_str *out = &page->out;
    if (page->set_count == 0) return;
    ag_str_add(
        out,
        "<section id=\"index\"><h2>Rows behind each number</h2><p class=\"note\">Every number above that is "
        "underlined leads here, or, where scripts run, straight to its rows.</p>\n");
    for (size_t i = 0; i < page->set_count; i++) {
        const ag_row_set *set = &page->sets[i];
        if (set->count == 0) continue;
        ag_str_add(out, "<details class=\"set\"><summary>");
        ag_page_textn(page, ag_str_text(&set->label), set->label.len);
        ag_str_addf(out, " <span class=\"muted\">%zu", set->total);
        if (set->total > set->count) ag_str_addf(out, ", %zu of them on this page", set->count);
        ag_str_addf(out, "</span></summary><p id=\"s-%s\">", set->key);
        for (size_t r = 0; r < set->count; r++)
            ag_str_addf(out, "<a href=\"#r%zu\">%zu</a> ", set->rows[r], set->rows[r]);
        ag_str_add(out, "</p></details>\n");
    }
    ag_str_add(out, "</section>\n");
}
