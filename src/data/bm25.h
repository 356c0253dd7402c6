/* bm25.h: the retriever whose results become pairs: Okapi BM25 over the words of products.
 *
 * Score of a document d for a query: sum over its words t of idf(t) * tf (k1 + 1) / (tf + k1 (1 - b + b |d| / mean |d|)),
 * idf(t) = ln(1 + (N - n + 0.5) / (n + 0.5)), k1 = 1.2, b = 0.75 (Robertson and Zaragoza, "The Probabilistic Relevance
 * Framework", 2009, section 3, with the idf that stays positive). Words are those of rules/facts_text.h, so a query finds
 * what the comparators would find. Title words count twice.
 */
#ifndef AG_DATA_BM25_H
#define AG_DATA_BM25_H

#include "base/error.h"
#include "rules/case.h"

typedef struct ag_bm25 ag_bm25;
/* The items must outlive the index only while it is built. `english`: plurals are taken off. */
ag_status ag_bm25_build(ag_bm25 **index, const ag_item *items, size_t count, bool english, ag_error *err);
/* The best items for a query, best first (equal scores: the earlier item): *count of them, at most `max`. All have a
 * word of it; a word that the query says twice counts twice.
 * Not for several threads at once: the index holds the scores of the query at hand. */
ag_status ag_bm25_search(ag_bm25 *index, const char *query, uint32_t *found, int max, int *count,
                         ag_error *err);
void ag_bm25_free(ag_bm25 *index);

#endif
