/* report_rows.c: the judged rows: queries worst first, each with its items in the judge's order. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/report_page.h"

/* --- choosing ------------------------------------------------------------------------------------------- */

/* Worst first; then where they lie among the sorted groups, so that the order is total. */
static int by_badness(const void *pa, const void *pb)
{
    const ag_page_query *a = pa, *b = pb;
    if (a->badness != b->badness) return a->badness < b->badness ? 1 : -1;
    return (a->from > b->from) - (a->from < b->from);
}

typedef struct ranked_row {
    double score;
    size_t record;
} ranked_row;

static int by_rank(const void *pa, const void *pb)
{
    const ranked_row *a = pa, *b = pb;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    return (a->record > b->record) - (a->record < b->record);
}

/* Puts the rows of a query into the judge's order and measures it. scratch and scored have room for n. */
static void measure_query(ag_page *page, ag_page_query *query, ranked_row *scratch, ag_scored *scored)
{
    const ag_book *book = page->records->book;
    size_t *order = page->groups.order + query->from, used = 0;
    for (size_t i = 0; i < query->n; i++) {
        const ag_record *r = &page->records->items[order[i]];
        double score = ag_record_score(r, book);
        scratch[i] = (ranked_row){isnan(score) ? -INFINITY : score, order[i]};
        if (r->gold >= 0 && r->tier >= 0) {
            query->judged++;
            query->wrong += r->gold != r->tier;
        }
        if (r->gold >= 0 && !isnan(score)) scored[used++] = (ag_scored){score, book->tiers[r->gold].gain};
    }
    qsort(scratch, query->n, sizeof *scratch, by_rank);
    for (size_t i = 0; i < query->n; i++) order[i] = scratch[i].record;
    query->ndcg = ag_ndcg(scored, used, &query->random);
    query->badness = isnan(query->ndcg) ? 0 : 1 - query->ndcg;
    if (query->judged) query->badness += (double)query->wrong / (double)query->judged;
}

static void list_queries(ag_page *page, ranked_row *scratch, ag_scored *scored)
{
    const ag_groups *g = &page->groups;
    for (size_t i = 0; i < g->count; i++) {
        for (size_t from = g->start[i], to; from < g->start[i + 1]; from = to) {
            const char *text = page->records->items[g->order[from]].query;
            for (to = from + 1; to < g->start[i + 1]; to++)
                if (!ag_streq(text, page->records->items[g->order[to]].query)) break;
            page->queries[page->query_count] = (ag_page_query){.from = from, .n = to - from};
            measure_query(page, &page->queries[page->query_count++], scratch, scored);
        }
    }
    qsort(page->queries, page->query_count, sizeof *page->queries, by_badness);
}

static void embed(ag_page *page, ag_page_query *query)
{
    size_t n = query->n < AG_PAGE_QUERY_ROWS ? query->n : AG_PAGE_QUERY_ROWS;
    if (query->shown || page->embedded + n > AG_PAGE_ROWS) return;
    query->shown = n;
    page->embedded += n;
}

/* All rows where they fit; else the worst queries, and an even sample of the others in the last quarter of
 * the room. */
static void choose(ag_page *page)
{
    size_t at = 0, count = page->query_count;
    bool fits = page->records->count <= AG_PAGE_ROWS;
    for (; at < count && (fits || page->embedded < AG_PAGE_ROWS / 4 * 3); at++)
        embed(page, &page->queries[at]);
    size_t rest = count - at, rows = page->records->count - page->embedded;
    size_t step = rows / (AG_PAGE_ROWS / 4) + 1;
    for (size_t i = 0; i < rest; i += step) embed(page, &page->queries[at + i]);
    size_t number = 0;
    for (size_t q = 0; q < count; q++)
        for (size_t i = 0; i < page->queries[q].shown; i++)
            page->number[page->groups.order[page->queries[q].from + i]] = ++number;
}

ag_status ag_page_rows_prepare(ag_page *page, ag_error *err)
{
    size_t n = page->records->count;
    ranked_row *scratch = ag_calloc(n, sizeof *scratch);
    ag_scored *scored = ag_calloc(n, sizeof *scored);
    page->queries = ag_calloc(n, sizeof *page->queries);
    page->number = ag_calloc(n, sizeof *page->number);
    ag_status status = ag_groups_collect(&page->groups, page->records, NULL, n, err);
    if (!status && (!scratch || !scored || !page->queries || !page->number))
        status = ag_fail_memory(err, "report");
    if (!status) {
        list_queries(page, scratch, scored);
        choose(page);
    }
    ag_free(scratch);
    ag_free(scored);
    return status;
}

/* --- writing -------------------------------------------------------------------------------------------- */

static void write_flags(ag_page *page, const ag_record *r)
{
    const ag_book *book = page->records->book;
    ag_str *out = &page->out;
    if (!r->answered) return;
    if (!r->format)
        ag_str_add(out, "<span class=\"flag bad\">not in the format</span>");
    else if (!r->gate)
        ag_str_add(out, "<span class=\"flag bad\">gate broken</span>");
    if (r->format && r->verdicts_known && !r->verdicts_right)
        ag_str_add(out, "<span class=\"flag bad\">verdict missed</span>");
    if (r->tier >= 0 && r->answer_tier >= 0 && r->answer_tier != r->tier) {
        ag_str_add(out, "<span class=\"flag\">answer says ");
        ag_page_text(page, book->tiers[r->answer_tier].id);
        ag_str_add(out, "</span>");
    }
    if (r->rule >= 0 && r->rule < book->rule_count) {
        ag_str_add(out, "<span class=\"flag\">rule ");
        ag_page_text(page, book->rules[r->rule].id);
        if (r->gold_rule >= 0 && r->gold_rule < book->rule_count && r->gold_rule != r->rule) {
            ag_str_add(out, ", gold ");
            ag_page_text(page, book->rules[r->gold_rule].id);
        }
        ag_str_add(out, "</span>");
    }
}

static void write_bars(ag_page *page, const ag_record *r)
{
    const ag_book *book = page->records->book;
    ag_str *out = &page->out;
    if (!ag_record_probable(r, book->tier_count)) return;
    ag_str_add(out, "<div class=\"bars\" role=\"img\" aria-label=\"Probabilities:");
    for (int k = 0; k < book->tier_count; k++) {
        ag_str_addc(out, ' ');
        ag_page_text(page, book->tiers[k].id);
        ag_str_addf(out, " %.0f%%", 100 * r->probability[k]);
    }
    ag_str_add(out, "\">");
    for (int k = 0; k < book->tier_count; k++) {
        ag_str_addf(out, "<span class=\"bar%s\" style=\"--t:%.3f;--p:%.3f\"><b>", k == r->gold ? " gold" : "",
                    (double)k / (book->tier_count > 1 ? book->tier_count - 1 : 1), r->probability[k]);
        ag_page_text(page, book->tiers[k].id);
        ag_str_addf(out, "</b><i></i><em>%.0f%%</em></span>", 100 * r->probability[k]);
    }
    ag_str_add(out, "</div>");
}

static void write_ratings(ag_page *page, const ag_record *r)
{
    if (r->rating_count == 0) return;
    ag_str_add(&page->out, "<span>raters");
    for (int j = 0; j < r->rating_count && j < 12; j++) {
        ag_str_addc(&page->out, ' ');
        ag_page_text(page, r->ratings[j] < 0 ? "?" : page->records->book->tiers[r->ratings[j]].id);
    }
    ag_str_add(&page->out, "</span>");
}

/* number 0: a row shown once more as an example, without an anchor of its own. */
static void write_row(ag_page *page, const ag_record *r, size_t number)
{
    ag_str *out = &page->out;
    bool wrong = r->gold >= 0 && r->tier >= 0 && r->gold != r->tier;
    if (number)
        ag_str_addf(out, "<article class=\"row%s\" id=\"r%zu\">", wrong ? " wrong" : "", number);
    else
        ag_str_addf(out, "<article class=\"row%s\">", wrong ? " wrong" : "");
    ag_str_add(out, "<div class=\"what\"><p class=\"title\" dir=\"auto\">");
    ag_page_text(page, r->title ? r->title : "(no title)");
    ag_str_add(out, "</p><p class=\"facts\">");
    if (number) ag_str_addf(out, "<a href=\"#r%zu\">row %zu</a>", number, number);
    if (r->id) {
        ag_str_add(out, "<span><code>");
        ag_page_text(page, r->id);
        ag_str_add(out, "</code></span>");
    }
    for (int s = 0; s < r->slice_count && s < 12; s++) {
        ag_str_add(out, "<span>");
        ag_page_text(page, r->slice_names[s]);
        ag_str_addc(out, ' ');
        ag_page_text(page, r->slice_values[s]);
        ag_str_add(out, "</span>");
    }
    write_ratings(page, r);
    ag_str_add(out, "</p>");
    if (r->answer) {
        ag_str_add(out, "<details class=\"answer\"><summary>Answer ");
        write_flags(page, r);
        ag_str_add(out, "</summary><pre dir=\"auto\">");
        ag_page_text(page, r->answer);
        ag_str_add(out, "</pre></details>");
    } else if (r->answered) {
        ag_str_add(out, "<p class=\"facts\">");
        write_flags(page, r);
        ag_str_add(out, "</p>");
    }
    ag_str_add(out, "</div><dl class=\"verdict\"><div><dt>gold</dt><dd>");
    ag_page_tier(page, r->gold);
    ag_str_add(out, "</dd></div><div><dt>judged</dt><dd>");
    ag_page_tier(page, r->tier);
    ag_str_add(out, "</dd></div></dl>");
    write_bars(page, r);
    ag_str_add(out, "</article>\n");
}

static void write_query(ag_page *page, const ag_page_query *query, bool open)
{
    ag_str *out = &page->out;
    const size_t *order = page->groups.order + query->from;
    const char *text = page->records->items[order[0]].query;
    ag_str_addf(out, "<details class=\"q\"%s><summary><span class=\"qt\" dir=\"auto\">", open ? " open" : "");
    ag_page_text(page, text ? text : "(no query)");
    ag_str_add(out, "</span><span class=\"qm\"><span><b>");
    ag_page_number(page, query->ndcg, 3);
    ag_str_addf(out, "</b> NDCG</span><span><b>%zu</b> of %zu wrong</span></span></summary>\n", query->wrong,
                query->judged);
    if (isfinite(query->random))
        ag_str_addf(out,
                    "<p class=\"note\">In the judge\u2019s order, by expected gain. A random order has "
                    "NDCG@10 %.3f.</p>\n",
                    query->random);
    for (size_t i = 0; i < query->shown; i++)
        write_row(page, &page->records->items[order[i]], page->number[order[i]]);
    if (query->shown < query->n)
        ag_str_addf(out, "<p class=\"note\">%zu more rows of this query are left out.</p>\n",
                    query->n - query->shown);
    ag_str_add(out, "</details>\n");
}

void ag_page_queries(ag_page *page)
{
    ag_str *out = &page->out;
    size_t listed = 0, shown = 0;
    if (!page->records || page->query_count == 0) return;
    for (size_t q = 0; q < page->query_count; q++) shown += page->queries[q].shown > 0;
    ag_str_add(
        out,
        "<section id=\"queries\"><h2>Queries, worst first</h2><p class=\"note\">Ordered by lost NDCG@10 plus "
        "the share of wrong tiers.");
    if (page->embedded < page->records->count)
        ag_str_addf(
            out,
            " This page holds %zu of %zu rows (%zu of %zu queries): the worst, and an even sample of the "
            "others; %zu rows are left out.",
            page->embedded, page->records->count, shown, page->query_count,
            page->records->count - page->embedded);
    ag_str_add(
        out,
        "</p><div id=\"filter\" hidden role=\"status\"><span></span><button type=\"button\">Show all</button>"
        "</div>\n");
    for (size_t q = 0; q < page->query_count; q++) {
        if (page->queries[q].shown == 0) continue;
        if (listed == AG_PAGE_OPEN)
            ag_str_addf(out, "<details class=\"more\"><summary>%zu more queries</summary>\n", shown - listed);
        write_query(page, &page->queries[q], listed == 0);
        listed++;
    }
    if (listed > AG_PAGE_OPEN) ag_str_add(out, "</details>\n");
    ag_str_add(out, "</section>\n");
}

/* For each gold tier one row that was judged right, of median confidence: what an ordinary judgement looks
 * like. */
static const ag_record *example_of(const ag_page *page, int tier, ranked_row *scratch)
{
    size_t n = 0;
    for (size_t i = 0; i < page->records->count; i++) {
        const ag_record *r = &page->records->items[i];
        if (r->gold == tier && r->tier == tier) scratch[n++] = (ranked_row){r->probability[tier], i};
    }
    qsort(scratch, n, sizeof *scratch, by_rank);
    return n ? &page->records->items[scratch[n / 2].record] : NULL;
}

void ag_page_examples(ag_page *page)
{
    ag_str *out = &page->out;
    bool any = false;
    if (!page->records || page->records->book->tier_count > 10) return;
    ranked_row *scratch = ag_calloc(page->records->count, sizeof *scratch);
    if (!scratch) {
        page->out.failed = true;
        return;
    }
    for (int k = 0; k < page->records->book->tier_count; k++) {
        const ag_record *r = example_of(page, k, scratch);
        if (!r) continue;
        if (!any)
            ag_str_add(
                out,
                "<section id=\"examples\"><h2>Judged examples</h2><p class=\"note\">For each tier, a pair "
                "judged right with the median confidence of such pairs.</p>\n");
        any = true;
        ag_str_add(out, "<p class=\"qline\" dir=\"auto\">");
        ag_page_text(page, r->query ? r->query : "(no query)");
        ag_str_add(out, "</p>");
        write_row(page, r, 0);
    }
    if (any) ag_str_add(out, "</section>\n");
    ag_free(scratch);
}

void ag_page_release(ag_page *page)
{
    for (size_t i = 0; i < page->set_count; i++) {
        ag_str_free(&page->sets[i].label);
        ag_free(page->sets[i].rows);
    }
    ag_free(page->sets);
    ag_free(page->queries);
    ag_free(page->number);
    ag_groups_free(&page->groups);
    ag_str_free(&page->out);
}
