/* test_facts_kind.c: what kind of thing an item is, read off its texts: every rule on a small facts file, and titles in the
 * style of an electronics catalogue against the file that ships for such shops.
 */
#include "unit/rules/facts_help.h"

#include <stdio.h>

#include "rules/facts_kind.h"

#define ELECTRONICS AGRL_SOURCE_DIR "/rules/facts/electronics.yaml"

static const char *const small =
    "facts: t\n"
    "type_fields: [type, product type]\n"
    "aside: [for, with, w]\n"
    "vague: [kit, pack, set, case, pc]\n"
    "phrases: {join: [and]}\n"
    "categories:\n"
    "  computer: {synonyms: [pc, gaming pc]}\n"
    "  laptop: {parents: [computer], synonyms: [notebook]}\n"
    "  laptop case: {synonyms: [sleeve case]}\n"
    "  laptop battery: {}\n"
    "  battery: {}\n"
    "  keyboard: {queries: [clacker, mouse clacker], titles: [qwerty, printer board]}\n"
    "  mouse: {}\n"
    "  mouse pad: {}\n"
    "  printer: {synonyms: [flat printer, small flat printer]}\n"
    "  printer stand: {}\n"
    "  cable: {}\n"
    "  printer cable: {parents: [cable]}\n";

/* A product: title, brand, description, and what its field "type" says; NULL where there is none. */
typedef struct line {
    const char *title, *kind, *brand, *description, *type;
} line;

static void check(const ag_facts *facts, const line *l)
{
    const char *values[] = {l->type}, *kind = "not set";
    ag_field field = {"type", values, 1};
    ag_item item = {.title = l->title,
                    .brand = l->brand,
                    .description = l->description,
                    .category = "never looked at",
                    .fields = &field,
                    .field_count = l->type != NULL};
    ag_error err = {0};
    if (ag_facts_kind(&kind, facts, &item, &err) != AG_OK) fail_msg("%s", err.message);
    if (!kind != !l->kind || (kind && strcmp(kind, l->kind) != 0))
        fail_msg("'%s' is '%s', not '%s'", l->title, kind ? kind : "-", l->kind ? l->kind : "-");
}

static const line rules[] = {
    /* the head stands last, before the first comma, bracket, preposition or number */
    {.title = "Acme keyboard", .kind = "keyboard"},
    {.title = "Acme Keyboards", .kind = "keyboard"},
    {.title = "Acme printer cable", .kind = "printer cable"},
    {.title = "Acme printer USB cable", .kind = "cable"},
    {.title = "Acme cable, printer", .kind = "cable"},
    {.title = "Acme cable (printer)", .kind = "cable"},
    {.title = "Acme cable - printer", .kind = "cable"},
    {.title = "Acme cable \xE2\x80\x93 printer", .kind = "cable"},
    {.title = "Acme cable | printer", .kind = "cable"},
    {.title = "Acme cable\nprinter", .kind = "cable"},
    {.title = "Acme cable for printer", .kind = "cable"},
    {.title = "Acme printer with cable", .kind = "printer"},
    {.title = "Acme printer w/ cable", .kind = "printer"},
    {.title = "Acme printer 2 m cable", .kind = "printer"},
    {.title = "Acme 2 m printer cable", .kind = "printer cable"},
    {.title = "Acme, printer", .kind = "printer"},
    {.title = "Acme plug-in printer", .kind = "printer"}, /* a hyphen inside a word parts nothing */
    {.title = "Acme mouse black wireless", .kind = "mouse"},
    {.title = "Acme keyboard mouse", .kind = "mouse"},
    {.title = "Acme keyboard black mouse", .kind = "mouse"},
    /* what stands after "for" first is not the thing, until something parts */
    {.title = "For Acme printer", .kind = NULL},
    {.title = "For Acme printer: cable", .kind = "cable"},
    {.title = "for printer, for mouse", .kind = NULL},
    {.title = "300 W printer", .kind = "printer"}, /* one letter turns aside only before a slash */
    {.title = "X w/ printer", .kind = NULL},
    /* two names as one: the longest, the words of a synonym's category */
    {.title = "Acme mouse pad", .kind = "mouse pad"},
    {.title = "Acme mouse (pad)", .kind = "mouse"},
    {.title = "Acme notebook battery", .kind = "laptop battery"},
    {.title = "Acme notebook sleeve case", .kind = "laptop case"},
    {.title = "Acme notebook mouse", .kind = "mouse"},
    {.title = "Acme notebook, battery", .kind = "laptop"},
    /* of names that overlap, the later one */
    {.title = "Acme small flat printer stand", .kind = "printer stand"},
    {.title = "Acme small flat printer", .kind = "printer"},
    {.title = "Acme small flat printer, stand", .kind = "printer"},
    /* names that only queries use */
    {.title = "Acme clacker", .kind = NULL},
    {.title = "Acme cable clacker", .kind = "cable"},
    {.title = "Acme mouse clacker", .kind = "mouse"},
    {.title = "X1", .kind = NULL, .description = "A clacker"},
    /* and names that only titles use */
    {.title = "Acme qwerty", .kind = "keyboard"},
    {.title = "Acme printer board", .kind = "keyboard"},
    {.title = "X1", .kind = "keyboard", .type = "Qwerty"},
    /* two things at once are none */
    {.title = "Acme keyboard + mouse", .kind = NULL},
    {.title = "Acme keyboard & mouse", .kind = NULL},
    {.title = "Acme keyboard and mouse", .kind = NULL},
    {.title = "Acme keyboard and mouse pad, black", .kind = NULL},
    {.title = "Acme keyboard and more", .kind = "keyboard"},
    {.title = "Acme printer + keyboard", .kind = NULL, .type = "printer", .description = "A printer"},
    /* vague heads */
    {.title = "Acme printer kit", .kind = NULL},
    {.title = "Acme printer kit", .kind = NULL, .type = "printer", .description = "A printer"},
    {.title = "Acme kit printer", .kind = "printer"},
    {.title = "Acme kit, printer", .kind = NULL},
    {.title = "Acme kit 5 m printer", .kind = NULL},
    {.title = "Acme kit for printer", .kind = NULL},
    {.title = "Acme laptop case", .kind = "laptop case"}, /* a longer name goes before */
    {.title = "Acme notebook case", .kind = NULL},        /* no such name: "case" may be anything */
    {.title = "Acme gaming PC", .kind = "computer"},
    {.title = "Acme PC", .kind = NULL}, /* a name for queries only */
    /* quantities */
    {.title = "Acme 301 Original 1 pc(s)", .kind = "cable", .description = "A cable"},
    {.title = "Acme 301 500 pcs.", .kind = "cable", .description = "A cable"},
    {.title = "Acme 301 (4pcs)", .kind = "cable", .description = "A cable"},
    {.title = "Acme 301 3-pack", .kind = "cable", .description = "A cable"},
    {.title = "Acme 2 printer(s)", .kind = NULL},
    {.title = "Acme 301 printer", .kind = "printer"},
    {.title = "Acme 301 printers", .kind = "printer"},
    {.title = "Acme battery 2 pc(s)", .kind = "battery"},
    {.title = "Acme 5 kit", .kind = NULL, .description = "A cable"},
    /* the maker's name says nothing */
    {.title = "Mouse House printer", .kind = "printer", .brand = "Mouse House"},
    {.title = "Mouse House X1", .kind = NULL, .brand = "Mouse House"},
    {.title = "mouse-house X1", .kind = NULL, .brand = "Mouse House"},
    {.title = "X1 Mouse House", .kind = "mouse", .brand = "Mouse House"},
    {.title = "Kit 5 printer", .kind = "printer", .brand = "kit"},
    {.title = "Mouse", .kind = NULL, .brand = "Mouse"},
    {.title = "Mouse", .kind = "mouse", .brand = " -"},
    /* type fields, then the description, where the title says nothing */
    {.title = "X1", .kind = "laptop", .type = "Notebook"},
    {.title = "X1", .kind = "laptop", .type = "NOTEBOOKS", .description = "A printer"},
    {.title = "X1", .kind = "printer", .type = "Original", .description = "The printer for all"},
    {.title = "X1", .kind = NULL, .type = "Notebook and more"}, /* the whole value or nothing */
    {.title = "Acme mouse", .kind = "mouse", .type = "keyboard"},
    {.title = "X1", .kind = "cable", .description = "Black cable\nprinter"},
    {.title = "X1", .kind = NULL, .description = "For your printer"},
    {.title = "X1", .kind = NULL, .description = "Silent, with printer"}, /* what it is stands first */
    {.title = "X1", .kind = NULL, .description = "Silent\nA printer"},
    {.title = "X1", .kind = "printer", .type = "PC", .description = "A printer"},
    {.title = "X1", .kind = NULL, .description = "A printer kit"},
    {.title = "", .kind = "printer", .description = "A printer"},
    {.title = "", .kind = NULL},
    {.title = " ,;- ", .kind = NULL, .description = ""},
};

static void test_rules(void **state)
{
    (void)state;
    ag_facts *f = help_facts(small);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) check(f, &rules[i]);
    ag_facts_free(f);
    f = help_facts("facts: t\n"); /* without categories nothing is a kind of anything */
    check(f, &(line){.title = "Acme printer", .type = "printer"});
    ag_facts_free(f);
    assert_int_equal(ag_facts_empty(&f, NULL), AG_OK);
    check(f, &(line){.title = "Acme printer"});
    ag_facts_free(f);
}

/* The kind in the title's own words, and the words before it. */
static void test_words(void **state)
{
    static const struct {
        const char *title, *brand, *name, *before;
        int words;
    } rows[] = {
        {"Acme Blue Optical Mouse", "Acme", "mouse", "blue optical", 2},
        {"Acme Blue Optical Mouse", "Acme", "mouse", "optical", 1},
        {"Acme Blue Optical Mouse", "Acme", "mouse", "blue optical", 5}, /* not the maker's name */
        {"Blue, Optical Mouse", NULL, "mouse", "optical", 2},            /* nor what is parted */
        {"*Blue Mouse", NULL, "mouse", "blue", 2},   /* nothing stands before the first word */
        {"Blue X300 Mouse", NULL, "mouse", "", 2},   /* nor words with digits */
        {"GSM72-100EU Mouse", NULL, "mouse", "", 2}, /* or pieces of them */
        {"All-in-one Printer", NULL, "printer", "in-one", 2},
        {"Slim Notebook Battery", NULL, "notebook battery", "slim", 2},
        {"Slim Notebook Mouse", NULL, "mouse", "slim notebook", 2},
        {"Mouse 5 m cable", NULL, "mouse", "", 2},
        {"X1", NULL, "", "", 2},
        {"Acme printer kit", NULL, "", "", 2},
    };
    (void)state;
    ag_facts *f = help_facts(small);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ag_str name = {0}, before = {0};
        ag_item item = {.title = rows[i].title, .brand = rows[i].brand, .description = "A printer"};
        assert_int_equal(ag_facts_kind_words(&name, &before, f, &item, rows[i].words, NULL), AG_OK);
        if (strcmp(ag_str_text(&name), rows[i].name) != 0 ||
            strcmp(ag_str_text(&before), rows[i].before) != 0)
            fail_msg("'%s': '%s' before '%s'", rows[i].title, ag_str_text(&before), ag_str_text(&name));
        ag_str_free(&name);
        ag_str_free(&before);
    }
    ag_facts_free(f);
}

static void test_type_fields(void **state)
{
    (void)state;
    ag_facts *f = help_facts(small);
    const char *original[] = {"Original", "mouse"}, *printer[] = {"printer"}, *kind;
    ag_field fields[] = {{"product type", printer, 1}, {"type", original, 2}, {"colour", printer, 1}};
    ag_item item = {.title = "X1", .fields = fields, .field_count = 3};
    assert_int_equal(ag_facts_kind(&kind, f, &item, NULL), AG_OK);
    assert_string_equal(kind, "mouse"); /* the facts file's order of fields, and any of a field's values */
    item.field_count = 1;
    assert_int_equal(ag_facts_kind(&kind, f, &item, NULL), AG_OK);
    assert_string_equal(kind, "printer");
    item.fields = fields + 2;
    assert_int_equal(ag_facts_kind(&kind, f, &item, NULL), AG_OK);
    assert_null(kind);
    ag_facts_free(f);
}

static void test_item_kind(void **state)
{
    (void)state;
    ag_item item = {.title = "x"};
    assert_null(ag_item_kind(&item));
    item.kind = "mouse";
    assert_string_equal(ag_item_kind(&item), "mouse");
    item.category = "";
    assert_string_equal(ag_item_kind(&item), "mouse");
    item.category = "keyboards"; /* what the catalogue states goes before what is read off */
    assert_string_equal(ag_item_kind(&item), "keyboards");
    assert_string_equal(ag_any_kind, "*");
}

static const line electronics[] = {
    {.title = "Norvik 45A toner cartridge Original Black 1 pc(s)", .kind = "toner cartridge"},
    {.title = "Norvik 45A Original Black 1 pc(s)",
     .kind = "toner cartridge",
     .type = "Original",
     .description = "45A Black Original Laser Toner Cartridge"},
    {.title = "Norvik Singlepack Cyan N0552", .kind = "ink cartridge"},
    {.title = "Norvik DX-4 fuser 120000 pages", .kind = "maintenance kit"},
    {.title = "Norvik Imaging Drum for LaserPrint 2200", .kind = "printer drum"},
    {.title = "Norvik DotWriter 80 dot matrix printer", .kind = "dot matrix printer"},
    {.title = "Norvik LaserPrint 2200n 600 x 600 DPI laser printer A4", .kind = "laser printer"},
    {.title = "Norvik SheetScan 90 600 x 600 DPI ADF scanner White A4", .kind = "scanner"},
    {.title = "Norvik Premium Glossy Photo Paper, A3, 250g, 20 Sheets", .kind = "photo paper"},
    {.title = "Norvik Coloured Labels A4 105x148 mm paper matt 400 pcs.", .kind = "label"},
    {.title = "Pexa ProBook 15 Notebook Silver 39.6 cm (15.6\") 1920 x 1080 pixels 8 GB", .kind = "laptop"},
    {.title = "Pexa notebook battery", .kind = "laptop battery"},
    {.title = "Pexa 2400 Docking Station Black", .kind = "laptop dock"},
    {.title = "Pexa City notebook sleeve 39.6 cm Sleeve case Grey", .kind = "laptop sleeve"},
    {.title = "Pexa Micro tower M5 Desktop PC", .kind = "desktop computer"},
    {.title = "Pexa Calc 12 calculator Desktop Printing Black", .kind = NULL},
    {.title = "Pexa rack server 2U 16 GB", .kind = "server"},
    {.title = "Pexa System Specific Memory 2GB DDR2 667 MHz memory module", .kind = "memory module"},
    {.title = "Pexa 320GB 7200 rpm 3.5\" Serial ATA", .kind = "hard drive", .type = "HDD"},
    {.title = "Pexa SpeedDrive 480 GB",
     .kind = "solid state drive",
     .description = "internal solid state drive"},
    {.title = "Pexa 16GB USB Flash Drive", .kind = "usb flash drive"},
    {.title = "Pexa 4GB SDHC Card memory card", .kind = "sd card"},
    {.title = "Pexa Core 5-540 processor 2.5 GHz Box 3 MB", .kind = "processor"},
    {.title = "Pexa B45 motherboard Socket 945 Mini ITX", .kind = "motherboard"},
    {.title = "Pexa GT 520 graphics card 1 GB", .kind = "graphics card"},
    {.title = "Pexa FireWire PCI adapter card", .kind = "interface card"},
    {.title = "Pexa Hard Drive Mounting Bracket", .kind = NULL},
    {.title = "Pexa desktop keyboard + mouse USB Black", .kind = NULL},
    {.title = "Pexa Gel Keyboard Wrist Rest \xE2\x80\x94 Red", .kind = "wrist rest"},
    {.title = "Pexa wireless mouse, black, for laptops", .kind = "wireless mouse"},
    {.title = "Pexa 19\" LCD monitor with speakers", .kind = "monitor"},
    {.title = "Pexa flat panel wall mount for TVs", .kind = "wall mount"},
    {.title = "Pexa projector lamp 230 W", .kind = "projector lamp"},
    {.title = "Cablo 15 ft DVI-D Dual Link Cable - M/M", .kind = "dvi cable"},
    {.title = "Cablo Cat6, 100ft networking cable 30.48 m Orange", .kind = "network cable"},
    {.title = "Cablo 3m Multimode Duplex Fiber Patch Cable SC - ST", .kind = "fibre optic cable"},
    {.title = "Cablo USB extension cable 3 m A/A", .kind = "usb cable"},
    {.title = "Cablo 2.0 AA 3 m USB cable", .kind = "usb cable"},
    {.title = "Cablo Home Theatre HDMI Pass-Through Wallplate, White", .kind = NULL},
    {.title = "Cablo 300W Ultra-Compact Line-Interactive UPS with USB port, 6 Outlets", .kind = "ups"},
    {.title = "Cablo 6-Outlet Surge Protector, 1.8 m Cord, White", .kind = "surge protector"},
    {.title = "Cablo DVI to VGA adapter", .kind = NULL},
    {.title = "Cablo 24-Port Fast Ethernet Switch", .kind = "network switch"},
    {.title = "Net-Link DSL-20 modem 24000 Kbit/s", .kind = "modem", .brand = "Net-Link"},
    {.title = "Cablo 42U 600mm Wide Freestanding rack Black", .kind = "rack cabinet"},
    {.title = "Vossa MP3/MP4 player case Transparent", .kind = "mp3 player case"},
    {.title = "Vossa TunePod MP3/MP4 player Red 4 GB", .kind = "mp3 player"},
    {.title = "Vossa AAA - 4 pack Single-use battery Alkaline", .kind = "battery"},
    {.title = "Vossa CR2 Single-use battery Lithium", .kind = "battery"},
    {.title = "Vossa 50mm camera lens", .kind = "camera lens"},
    {.title = "Vossa 7FF digital photo frame 17.8 cm (7\")", .kind = "photo frame"},
    {.title = "Vossa blank DVD 4.7 GB DVD-R 25 pc(s)", .kind = "blank dvd"},
    {.title = "Vossa Canvas Plus memory card 64 GB", .kind = "memory card"},
    {.title = "Vossa Soft Lens Case 300 Grey", .kind = "lens case"},
    {.title = "Vossa GPS Steam iron", .kind = "iron"},
    {.title = "Vossa Straightening iron Warm Black", .kind = NULL},
    {.title = "Vossa software license 10 license(s)", .kind = NULL},
};

static void test_electronics(void **state)
{
    (void)state;
    ag_facts *f = NULL;
    ag_error err = {0};
    if (ag_facts_load(&f, ELECTRONICS, &err) != AG_OK) fail_msg("%s", err.message);
    for (size_t i = 0; i < sizeof electronics / sizeof *electronics; i++) check(f, &electronics[i]);
    ag_facts_free(f);
}

/* Titles made of anything: a category of the file or none, never a crash, the same twice. */
static void test_any_text(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "keyboard", "mouse", "notebook", "case", "for", "w/",    "and", "+",           "&",
        ",",        "(",     ")",        " - ",  "12",  "pc(s)", "pcs", "kit",         "\n",
        "Acme",     "\xFF",  "\xC3\xA9", "|",    "$",   "1.5 l", "'s",  "\xE2\x80\x94"};
    ag_facts *f = help_facts(small);
    for (uint64_t i = 0; i < 20000; i++) {
        ag_rng rng = ag_rng_at(41, AG_RNG_TEST, i, 0, 0, 0);
        char title[256] = "";
        for (uint32_t n = ag_rng_below(&rng, 10); n > 0; n--) {
            strcat(title, parts[ag_rng_below(&rng, sizeof parts / sizeof *parts)]);
            if (ag_rng_below(&rng, 3)) strcat(title, " ");
        }
        ag_item item = {.title = title, .description = title, .brand = i % 3 ? "Acme" : NULL};
        const char *kind, *again;
        assert_int_equal(ag_facts_kind(&kind, f, &item, NULL), AG_OK);
        assert_int_equal(ag_facts_kind(&again, f, &item, NULL), AG_OK);
        assert_ptr_equal(kind, again);
        if (!kind) continue;
        assert_int_equal(ag_facts_category(f, kind, kind), AG_REL_SAME);
    }
    ag_facts_free(f);
}

static void test_memory(void **state)
{
    (void)state;
    ag_facts *f = help_facts(small);
    const char *values[] = {"Original"};
    ag_field field = {"type", values, 1};
    ag_item item = {.title = "Acm\xC3\xA9 X1\n301 500 pcs",
                    .brand = "Acm\xC3\xA9",
                    .description = "A notebook\xE2\x84\xA2 notebook battery\nfor all",
                    .fields = &field,
                    .field_count = 1};
    for (long n = 1;; n++) {
        const char *kind;
        ag_error err = {0};
        ag_mem_fail_at(n, n % 2);
        ag_status status = ag_facts_kind(&kind, f, &item, &err);
        ag_mem_fail_at(0, false);
        if (status == AG_OK) {
            assert_string_equal(kind, "laptop battery");
            assert_true(n > 8);
            break;
        }
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_null(kind);
    }
    ag_facts_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules),       cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_type_fields), cmocka_unit_test(test_item_kind),
                                       cmocka_unit_test(test_electronics), cmocka_unit_test(test_any_text),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
