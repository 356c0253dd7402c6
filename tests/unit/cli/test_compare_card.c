/* test_compare_card.c: which card a cell of `agrl compare --cards N` gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/compare_cells.h"

static void test_cards(void **state)
{
    static const struct {
        const char *visible;
        int cards, place;
        const char *card; /* NULL: refused */
    } rows[] = {
        {NULL, 1, 5, "0"},  {NULL, 2, 0, "0"},   {NULL, 2, 3, "1"},  {"", 4, 6, "2"},
        {"3,7", 2, 0, "3"}, {"3,7", 2, 1, "7"},  {"3,7", 2, 4, "3"}, {"GPU-5f,GPU-a0,1", 2, 3, "GPU-a0"},
        {"3", 2, 0, NULL},  {"3,7", 3, 1, NULL}, {"5", 1, 9, "5"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char card[64];
        ag_error err = {0};
        ag_status status = ag_compare_card(card, rows[i].visible, rows[i].cards, rows[i].place, &err);
        assert_int_equal(status, rows[i].card ? AG_OK : AG_ERR_USAGE);
        if (rows[i].card) assert_string_equal(card, rows[i].card);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cards)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
