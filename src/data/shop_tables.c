/* shop_tables.c: the invented shop's words. Closed and small on purpose: a model of a few million parameters that has
 * seen only these words must be able to learn what they mean, from new combinations of them.
 */
#include "data/shop.h"

#include <stddef.h>

#define LIST(...)                                                                                            \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

#define CLOTH_COLOURS LIST("black", "navy", "blue", "olive", "red")
#define HOME_COLOURS  LIST("white", "black", "green", "red", "burgundy")
#define TECH_COLOURS  LIST("black", "white", "blue", "navy", "green")
#define WEARERS       LIST("women", "men", "unisex", "kids")
#define SHOE_SIZES    LIST("36", "38", "40", "42", "44")
#define SIZES         LIST("S", "M", "L", "XL")
#define LITRES        LIST("l", "ml")
#define KILOS         LIST("kg", "g")
#define WATTS         LIST("w", "kw")
#define FITS          LIST("device") /* replaced by devices of the shop */

#define CLOTH                                                                                                \
    {                                                                                                        \
        "colour", CLOTH_COLOURS, NULL, 0                                                                     \
    }
#define HOME                                                                                                 \
    {                                                                                                        \
        "colour", HOME_COLOURS, NULL, 0                                                                      \
    }
#define TECH                                                                                                 \
    {                                                                                                        \
        "colour", TECH_COLOURS, NULL, 0                                                                      \
    }
#define FOR                                                                                                  \
    {                                                                                                        \
        "for", WEARERS, NULL, 0                                                                              \
    }
#define MATERIAL(...)                                                                                        \
    {                                                                                                        \
        "material", LIST(__VA_ARGS__), NULL, 0                                                               \
    }
#define VOLUME(...)                                                                                          \
    {                                                                                                        \
        "volume", LIST(__VA_ARGS__), LITRES, 1000                                                            \
    }
#define WEIGHT(...)                                                                                          \
    {                                                                                                        \
        "weight", LIST(__VA_ARGS__), KILOS, 1000                                                             \
    }
#define POWER(...)                                                                                           \
    {                                                                                                        \
        "power", LIST(__VA_ARGS__), WATTS, 0.001                                                             \
    }
#define PACK(...)                                                                                            \
    {                                                                                                        \
        "pack", LIST(__VA_ARGS__), NULL, 0                                                                   \
    }
#define FLAVOUR(...)                                                                                         \
    {                                                                                                        \
        "flavour", LIST(__VA_ARGS__), NULL, 0                                                                \
    }

const ag_shop_category ag_shop_categories[] = {
    {"trainers",
     "trainers",
     80,
     {FOR, CLOTH, MATERIAL("leather", "suede", "mesh", "canvas"), {"size", SHOE_SIZES, NULL, 0}},
     false,
     0},
    {"boots",
     "boots",
     110,
     {FOR, CLOTH, MATERIAL("leather", "suede", "nubuck", "rubber"), {"size", SHOE_SIZES, NULL, 0}},
     false,
     0},
    {"shoe cream", "shoe cream", 10, {CLOTH, VOLUME("0.05", "0.075", "0.1", "0.15")}, false, 0},
    {"jackets",
     "jacket",
     90,
     {FOR, CLOTH, MATERIAL("cotton", "polyester", "wool", "leather", "merino"), {"size", SIZES, NULL, 0}},
     false,
     0},
    {"coats",
     "coat",
     140,
     {FOR, CLOTH, MATERIAL("wool", "cashmere", "cotton", "polyester"), {"size", SIZES, NULL, 0}},
     false,
     0},
    {"hangers",
     "hangers",
     20,
     {MATERIAL("oak", "bamboo", "steel", "plastic"), PACK("4", "6", "8", "12"), CLOTH},
     false,
     0},
    {"backpacks",
     "backpack",
     60,
     {FOR, CLOTH, MATERIAL("canvas", "nylon", "polyester", "leather"),
      VOLUME("15", "20", "25", "28", "30", "40")},
     false,
     0},
    {"suitcases",
     "suitcase",
     110,
     {CLOTH, MATERIAL("aluminium", "polycarbonate", "polyester"), VOLUME("30", "38", "40", "60", "65", "90")},
     false,
     0},
    {"packing cubes",
     "packing cubes",
     24,
     {CLOTH, MATERIAL("nylon", "polyester", "cotton"), PACK("3", "4", "6", "8")},
     false,
     0},
    {"kettles",
     "kettle",
     50,
     {HOME, MATERIAL("stainless steel", "glass", "plastic"), VOLUME("0.8", "1", "1.2", "1.5", "1.6", "2"),
      POWER("1500", "2000", "2200", "3000")},
     false,
     1},
    {"teapots",
     "teapot",
     36,
     {HOME, MATERIAL("glass", "ceramic", "cast iron", "stainless steel"),
      VOLUME("0.6", "0.8", "1", "1.2", "1.5")},
     false,
     1},
    {"tea",
     "tea",
     12,
     {FLAVOUR("ginger", "jasmine", "chamomile", "lemon", "peppermint"), WEIGHT("0.05", "0.1", "0.25", "0.5"),
      PACK("2", "3", "4", "6")},
     false,
     1},
    {"coffee",
     "coffee",
     16,
     {FLAVOUR("hazelnut", "vanilla", "caramel", "cocoa"), WEIGHT("0.25", "0.5", "0.75", "1"),
      PACK("2", "3", "4", "6")},
     false,
     1},
    {"water bottles",
     "water bottle",
     22,
     {FOR, HOME, MATERIAL("stainless steel", "glass", "plastic", "aluminium"),
      VOLUME("0.35", "0.5", "0.75", "0.8", "1")},
     false,
     1},
    {"flasks",
     "flask",
     30,
     {HOME, MATERIAL("stainless steel", "aluminium", "glass"),
      VOLUME("0.35", "0.5", "0.75", "0.8", "1", "1.2")},
     false,
     1},
    {"bottle brushes",
     "bottle brush",
     9,
     {HOME, MATERIAL("nylon", "silicone", "bamboo"), PACK("2", "3", "4", "6")},
     false,
     1},
    {"phones", "phone", 400, {TECH, WEIGHT("0.15", "0.16", "0.18", "0.2")}, true, 2},
    {"phone cases",
     "phone case",
     20,
     {{"fits", FITS, NULL, 0}, TECH, MATERIAL("leather", "silicone", "plastic", "suede")},
     false,
     2},
    {"chargers",
     "charger",
     26,
     {{"fits", FITS, NULL, 0}, POWER("20", "30", "45", "65", "100"), TECH},
     false,
     2},
    {"power banks",
     "power bank",
     42,
     {{"fits", FITS, NULL, 0}, POWER("20", "30", "45", "65"), WEIGHT("0.15", "0.2", "0.25", "0.4"), TECH},
     false,
     2},
};
const int ag_shop_category_count = sizeof ag_shop_categories / sizeof *ag_shop_categories;

const ag_shop_brand ag_shop_brands[] = {
    /* each makes the things of one trade: to wear and carry, to brew, to charge */
    {"Norvik", 2, 0}, {"Tarnell", 2, 0}, {"Brenna", 1, 0},  {"Kelmo", 1, 0},  {"Pexa", 0, 0},
    {"Zorba", 0, 0},  {"Quillo", 2, 1},  {"Ostrel", 2, 1},  {"Lumio", 1, 1},  {"Fjorda", 1, 1},
    {"Budgo", 0, 1},  {"Nimbo", 0, 1},   {"Vardane", 2, 2}, {"Heliot", 2, 2}, {"Daskel", 1, 2},
    {"Solvin", 1, 2}, {"Rikko", 0, 2},   {"Jaxa", 0, 2},
};
const int ag_shop_brand_count = sizeof ag_shop_brands / sizeof *ag_shop_brands;

const char *const ag_shop_devices[] = {"Zelo 5",   "Zelo 6",   "Zelo 7",   "Mirva One", "Mirva Two",
                                       "Fenn Max", "Fenn Air", "Okta Pro", NULL};

const char *const ag_shop_series[] = {"Nova",  "Trail",  "Urban", "Classic", "Prime",  "Aero",
                                      "Delta", "Vista",  "Pulse", "Arc",     "Motion", "Summit",
                                      "Lite",  "Signal", "Orbit", "Haven",   NULL};

const char *const ag_shop_sentences[] = {"A favourite of our customers.",
                                         "Easy to care for.",
                                         "Ships within two days.",
                                         "New this season.",
                                         "Designed to last.",
                                         "Comes in a gift box.",
                                         "Tested by our team.",
                                         "A good choice for every day.",
                                         "With a two year guarantee.",
                                         "Simple and well made.",
                                         "Now in stock again.",
                                         "Small batch, limited stock.",
                                         NULL};

const int ag_shop_prices[] = {4,   5,   6,   7,   8,   9,   10,  12,  14,  15,  16,  18,  19,  20,  22,
                              24,  25,  28,  30,  32,  35,  38,  40,  42,  45,  48,  50,  55,  60,  65,
                              70,  75,  80,  85,  90,  95,  100, 110, 120, 130, 140, 150, 160, 180, 200,
                              220, 240, 260, 280, 300, 350, 400, 450, 500, 600, 700, 800, 900, 0};
