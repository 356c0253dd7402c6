/* synth_print.h: what `agrl synth` says of the pairs that it made. */
#ifndef AG_CLI_SYNTH_PRINT_H
#define AG_CLI_SYNTH_PRINT_H

#include "data/synth.h"

/* Tables on standard output: pairs and queries of each file, by tier, rule, type and comparator, and how long queries are, all beside
 * those of the real `queries` (NULL: none); and how the parser reads the queries. */
void ag_synth_print(const ag_synth *synth, const ag_book *book, const ag_facts *facts,
                    const char *const *queries, size_t query_count);

#endif
