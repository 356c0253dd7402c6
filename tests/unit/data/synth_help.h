/* synth_help.h: the invented shop with its book, facts and lexicon, for the tests of the generator. */
#ifndef AG_TEST_DATA_SYNTH_HELP_H
#define AG_TEST_DATA_SYNTH_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/shop.h"
#include "data/synth.h"

static ag_book *book;
static ag_facts *facts;
static ag_lexicon *lexicon;
static ag_arena arena = {.name = "shop"};
static ag_item *items;
static size_t item_count;

/* Everything but the lexicon's items, which the caller may change first. 0, or -1. */
static int open_shop(int products)
{
    ag_shop_options shop;
    ag_shop_defaults(&shop);
    shop.products = products;
    return ag_book_load(&book, AGRL_SOURCE_DIR "/rules/shop.yaml", NULL) != AG_OK ||
                   ag_facts_load(&facts, AGRL_SOURCE_DIR "/rules/facts/shop.yaml", NULL) != AG_OK ||
                   ag_shop_invent(&items, &item_count, &shop, &arena, NULL) != AG_OK ||
                   ag_lexicon_create(&lexicon, facts, book, NULL) != AG_OK
               ? -1
               : 0;
}

static int close_shop(void **state)
{
    (void)state;
    ag_lexicon_free(lexicon);
    ag_facts_free(facts);
    ag_book_free(book);
    ag_arena_free(&arena);
    return 0;
}

static ag_synth *make(const ag_synth_options *o)
{
    ag_synth *s = NULL;
    ag_error err = {0};
    if (ag_synth_run(&s, items, item_count, facts, book, lexicon, o, &err) != AG_OK)
        fail_msg("%s", err.message);
    return s;
}

#endif
