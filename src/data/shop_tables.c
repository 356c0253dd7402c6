/* shop_tables.c: the invented shop's words. Closed and small on purpose: a model of a few million parameters that has
 * seen only these words must be able to learn what they mean, from new combinations of them.
 */
#include "data/shop.h"

#include <stddef.h>

#define LIST(...) (const char *const[]) { __VA_ARGS__, NULL }

#define COLOURS                                                                                                     \
    LIST("black", "white", "red", "blue", "green", "navy", "olive", "burgundy")
#define WEARERS     LIST("women", "men", "unisex", "kids")
#define SHOE_SIZES  LIST("36", "38", "40", "42", "44")
#define SIZES       LIST("S", "M", "L", "XL")
#define LITRES      LIST("l", "ml")
#define KILOS       LIST("kg", "g")
#define WATTS       LIST("w", "kw")
#define FITS        LIST("device") /* replaced by devices of the shop */

#define COLOUR      {"colour", COLOURS, NULL, 0}
#define FOR         {"for", WEARERS, NULL, 0}
#define MATERIAL(...) {"material", LIST(__VA_ARGS__), NULL, 0}
#define VOLUME(...) {"volume", LIST(__VA_ARGS__), LITRES, 1000}
#define WEIGHT(...) {"weight", LIST(__VA_ARGS__), KILOS, 1000}
#define POWER(...)  {"power", LIST(__VA_ARGS__), WATTS, 0.001}
#define PACK(...)   {"pack", LIST(__VA_ARGS__), NULL, 0}
#define FLAVOUR(...) {"flavour", LIST(__VA_ARGS__), NULL, 0}

const ag_shop_category ag_shop_categories[] = {
    {"trainers", "trainers", 80,
     {FOR, COLOUR, MATERIAL("leather", "suede", "mesh", "canvas"), {"size", SHOE_SIZES, NULL, 0}}, false},
    {"boots", "boots", 110,
     {FOR, COLOUR, MATERIAL("leather", "suede", "nubuck", "rubber"), {"size", SHOE_SIZES, NULL, 0}}, false},
    {"shoe cream", "shoe cream", 10, {COLOUR, VOLUME("0.05", "0.075", "0.1", "0.15")}, false},
    {"jackets", "jacket", 90,
     {FOR, COLOUR, MATERIAL("cotton", "polyester", "wool", "leather", "merino"), {"size", SIZES, NULL, 0}}, false},
    {"coats", "coat", 140,
     {FOR, COLOUR, MATERIAL("wool", "cashmere", "cotton", "polyester"), {"size", SIZES, NULL, 0}}, false},
    {"hangers", "hangers", 20, {MATERIAL("oak", "bamboo", "steel", "plastic"), PACK("4", "6", "8", "12"), COLOUR}, false},
    {"backpacks", "backpack", 60,
     {FOR, COLOUR, MATERIAL("canvas", "nylon", "polyester", "leather"), VOLUME("15", "20", "25", "28", "30", "40")},
     false},
    {"suitcases", "suitcase", 110,
     {COLOUR, MATERIAL("aluminium", "polycarbonate", "polyester"), VOLUME("30", "38", "40", "60", "65", "90")}, false},
    {"packing cubes", "packing cubes", 24, {COLOUR, MATERIAL("nylon", "polyester", "cotton"), PACK("3", "4", "6", "8")}, false},
    {"kettles", "kettle", 50,
     {COLOUR, MATERIAL("stainless steel", "glass", "plastic"), VOLUME("0.8", "1", "1.2", "1.5", "1.6", "2"),
      POWER("1500", "2000", "2200", "3000")},
     false},
    {"teapots", "teapot", 36,
     {COLOUR, MATERIAL("glass", "ceramic", "cast iron", "stainless steel"), VOLUME("0.6", "0.8", "1", "1.2", "1.5")}, false},
    {"tea", "tea", 12,
     {FLAVOUR("ginger", "jasmine", "chamomile", "lemon", "peppermint"), WEIGHT("0.05", "0.1", "0.25", "0.5"),
      PACK("2", "3", "4", "6")},
     false},
    {"coffee", "coffee", 16,
     {FLAVOUR("hazelnut", "vanilla", "caramel", "cocoa"), WEIGHT("0.25", "0.5", "0.75", "1"), PACK("2", "3", "4", "6")}, false},
    {"water bottles", "water bottle", 22,
     {FOR, COLOUR, MATERIAL("stainless steel", "glass", "plastic", "aluminium"), VOLUME("0.35", "0.5", "0.75", "0.8", "1")},
     false},
    {"flasks", "flask", 30,
     {COLOUR, MATERIAL("stainless steel", "aluminium", "glass"), VOLUME("0.35", "0.5", "0.75", "0.8", "1", "1.2")}, false},
    {"bottle brushes", "bottle brush", 9, {COLOUR, MATERIAL("nylon", "silicone", "bamboo"), PACK("2", "3", "4", "6")}, false},
    {"phones", "phone", 400, {COLOUR, WEIGHT("0.15", "0.16", "0.18", "0.2")}, true},
    {"phone cases", "phone case", 20, {{"fits", FITS, NULL, 0}, COLOUR, MATERIAL("leather", "silicone", "plastic", "suede")}, false},
    {"chargers", "charger", 26, {{"fits", FITS, NULL, 0}, POWER("20", "30", "45", "65", "100"), COLOUR}, false},
    {"power banks", "power bank", 42,
     {{"fits", FITS, NULL, 0}, POWER("20", "30", "45", "65"), WEIGHT("0.15", "0.2", "0.25", "0.4"), COLOUR}, false},
};
const int ag_shop_category_count = sizeof ag_shop_categories / sizeof *ag_shop_categories;

const ag_shop_brand ag_shop_brands[] = {
    {"Norvik", 2}, {"Tarnell", 2}, {"Quillo", 2}, {"Ostrel", 2}, {"Brenna", 1}, {"Kelmo", 1},
    {"Lumio", 1},  {"Daskel", 1},  {"Pexa", 0},   {"Zorba", 0},  {"Budgo", 0},  {"Rikko", 0},
};
const int ag_shop_brand_count = sizeof ag_shop_brands / sizeof *ag_shop_brands;

const char *const ag_shop_devices[] = {"Zelo 5",    "Zelo 6",   "Zelo 7",   "Mirva One",
                                       "Mirva Two", "Fenn Max", "Fenn Air", "Okta Pro", NULL};

const char *const ag_shop_series[] = {"Nova",  "Trail", "Urban", "Classic", "Prime", "Aero",  "Delta", "Vista",
                                      "Pulse", "Arc",   "Motion", "Summit", "Lite",  "Signal", "Orbit", "Haven", NULL};

const char *const ag_shop_sentences[] = {
    "A favourite of our customers.", "Easy to care for.", "Ships within two days.", "New this season.",
    "Designed to last.", "Comes in a gift box.", "Tested by our team.", "A good choice for every day.",
    "With a two year guarantee.", "Simple and well made.", "Now in stock again.", "Small batch, limited stock.", NULL};

const int ag_shop_prices[] = {4,  5,  6,  7,  8,  9,  10, 12, 14, 15, 16, 18, 19, 20, 22,  24,  25,  28,  30,  32,
                              35, 38, 40, 42, 45, 48, 50, 55, 60, 65, 70, 75, 80, 85, 90,  95,  100, 110, 120, 130,
                              140, 150, 160, 180, 200, 220, 240, 260, 280, 300, 350, 400, 450, 500, 600, 700, 800, 900, 0};
