/* bench_prompts.c: the prompts that a judge reads, as token ids, so that another engine can be given the very same ones.
 *
 * usage: bench_prompts MODEL RULES PAIRS.jsonl
 * Prints one JSON line a pair: {"tokens": [...]}, up to where the tier begins. What a query asks for is read from it unless the pair has it.
 */
#include <stdio.h>
#include <stdlib.h>
#include "cli/judge_open.h"
#include "data/pair.h"

static ag_error err;

static void must(ag_status status)
{
    if (status == AG_OK) return;
    fprintf(stderr, "bench: %s\n", err.message);
    exit(1);
}

int main(int argc, char **argv)
{
    ag_model_choice choice = AG_MODEL_CHOICE_DEFAULTS;
    ag_judge_setup setup = {0};
    ag_pairs *pairs;
    ag_pair *pair;
    if (argc != 4) {
        fprintf(stderr, "usage: bench_prompts MODEL RULES PAIRS.jsonl\n");
        return 2;
    }
    choice.model = argv[1];
    must(ag_setup_model(&setup, &choice, &err));
    must(ag_setup_rules(&setup, argv[2], NULL, &err));
    must(ag_setup_judge(&setup, &choice, &err));
    const ag_prompt_options *format = &ag_judge_options_of(setup.judge)->format.prompt;
    must(ag_pairs_open(&pairs, argv[3], setup.book, AG_AGGREGATE_GIVEN, false, &err));
    for (;;) {
        ag_tokens tokens = {0};
        must(ag_pairs_next(pairs, &pair, &err));
        if (!pair) break;
        must(ag_pair_fill_asked(pair, setup.lexicon, &err));
        must(ag_prompt_encode(&tokens, setup.book, setup.opened.tokenizer, format, pair->query, &pair->item,
                              &pair->asked, NULL, NULL, &err));
        printf("{\"tokens\": [");
        for (size_t i = 0; i < tokens.len; i++) printf("%s%d", i ? ", " : "", tokens.ids[i]);
        printf("]}\n");
        ag_tokens_free(&tokens);
        ag_pair_free(pair);
    }
    ag_pairs_close(pairs);
    ag_setup_close(&setup);
    return 0;
}
