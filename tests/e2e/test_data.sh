#!/bin/sh
# test_data.sh: synth and import: same bytes for the same seed, splits, bad input, full disks.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
BOOK=$SRC/rules/shop.yaml

t "synth writes the shop"
run 0 "$AGRL" synth --rules "$BOOK" --out a --pairs 400 --products 600 --seed 7
for file in sft rl valid test test_unseen catalogue; do
    [ -s a/$file.jsonl ] || wrong "no $file.jsonl"
done
[ -s a/lexicon.json ] || wrong "no lexicon.json"

t "the same seed gives the same bytes, another others"
run 0 "$AGRL" synth --rules "$BOOK" --out b --pairs 400 --products 600 --seed 7
diff -r a b > difference || wrong "$(head -c 300 difference)"
run 0 "$AGRL" synth --rules "$BOOK" --out c --pairs 400 --products 600 --seed 8
cmp -s a/sft.jsonl c/sft.jsonl && wrong "seed 8 gave what seed 7 gave"

t "the labels of the shop are what the rules derive"
for file in sft test_unseen; do
    run 0 "$AGRL" rules derive --rules "$BOOK" a/$file.jsonl
    is "$(wc -l < out)" "$(wc -l < a/$file.jsonl)"
done

t "a withheld rule is not there"
run 0 "$AGRL" synth --rules "$BOOK" --out w --pairs 400 --products 600 --seed 7 --withhold R4
grep -q '"rule": *"R4"' w/sft.jsonl && wrong "R4 decides a pair of sft.jsonl"
grep -q '"rule": *"R4"' w/test.jsonl || wrong "R4 decides no pair of test.jsonl"

t "synth on wrong settings"
run 2 "$AGRL" synth --rules "$BOOK"
says -- '--out'
run 2 "$AGRL" synth --out x
says -- '--rules'
run 2 "$AGRL" synth --rules "$BOOK" --out x --pairs 0
says 'whole number'
run 1 "$AGRL" synth --rules missing.yaml --out x
says missing.yaml
"$AGRL" synth --rules "$BOOK" --out x --pairs 50 --withhold R99 > out 2> err
code=$?
[ $code -ne 0 ] || wrong "R99 was taken for a rule"
says R99
echo file > file
run 1 "$AGRL" synth --rules "$BOOK" --out file --pairs 50 --products 100
says file
is "$(cat file)" file

t "synth on a full disk leaves no file that looks whole"
run 1 full_disk "$AGRL" synth --rules "$BOOK" --out full --pairs 100 --products 200
says full
absent full/sft.jsonl full/test.jsonl
cp -r a kept
run 1 full_disk "$AGRL" synth --rules "$BOOK" --out kept --pairs 100 --products 200
diff -r a kept > difference || wrong "the old files changed: $(head -c 300 difference)"

cat > table.csv << 'CSV'
query,title,brand,price,tier
red boots,"Boots, red",Harlow,89.0,4
red boots,Boots in blue,Harlow,79.0,3
kettle,Toaster,Brightwell,19.5,1
CSV
t "synth over a catalogue"
# Sixty cables, adapters and printers in a table, with a repeated id, an empty title and a price that is none.
awk 'BEGIN {
    print "sku,product_name,manufacturer,price,colour,cable_length,compatibility"
    split("StarTech Belkin Philips", brand); split("Black White Blue", colour)
    split("USB cable|HDMI cable|Laser printer|Toner cartridge|Wireless mouse|Keyboard", kind, "|")
    for (i = 0; i < 240; i++) {
        b = brand[i % 3 + 1]; k = kind[int(i / 3) % 6 + 1]; c = colour[int(i / 18) % 3 + 1]; m = 1 + i % 4
        fits = k == "Toner cartridge" ? "LaserJet " 1000 + i % 5 : ""
        printf "p%d,%s %s X%d %s,%s,%d,%s,%s,%s\n", i, b, k, 100 + i, c, b, 5 + i % 50, c, k ~ /cable/ ? m : "", fits
    }
    print "p0,Again,,1,,,"; print "p900,,,1,,,"; print "p901,Belkin Mouse,Belkin,cheap,,,"
}' > shop.csv
ELECTRONICS=$SRC/rules/electronics.yaml
catalogue="--rules $ELECTRONICS --catalogue shop.csv --map sku=item.id --pairs 300 --unseen-brands 0 --unseen-categories 0"
# shellcheck disable=SC2086 # words
run 0 "$AGRL" synth $catalogue --out ca --audit 20
grep -qF '1 products with an id that another one has left out (first: shop.csv:242)' err || wrong "$(cat err)"
grep -qF '1 products without a title left out (first: shop.csv:243)' err || wrong "$(cat err)"
grep -qF '1 prices that are no number' err || wrong "$(cat err)"
[ "$(wc -l < ca/sft.jsonl)" -gt 100 ] || wrong "only $(wc -l < ca/sft.jsonl) pairs for sft"
is "$(wc -l < ca/audit.tsv)" 21
# shellcheck disable=SC2086
run 0 "$AGRL" synth $catalogue --out cb --audit 20
diff -r ca cb > difference || wrong "$(head -c 300 difference)"
run 0 "$AGRL" rules derive --rules "$ELECTRONICS" ca/sft.jsonl
is "$(wc -l < out)" "$(wc -l < ca/sft.jsonl)"

t "what the facts file lacks"
awk 'BEGIN {
    print "id,title,product_type"
    for (i = 0; i < 6; i++) { b = i % 2 ? "Acme" : "Bolt"; print "a" i "," b " Zapbook " 10 + i ",Laptop"; print "b" i "," b " frobnicator " 10 + i "," }
}' > odd.csv
run 0 "$AGRL" synth --rules "$ELECTRONICS" --catalogue odd.csv --map product_type=attributes.product_type --mine mined.yaml
grep -q '^  "laptop": {synonyms: \[' mined.yaml || wrong "$(cat mined.yaml)"
grep -q '"zapbook", # 6 of 6 products' mined.yaml || wrong "$(cat mined.yaml)"
grep -q '^# *6 .*frobnicator' mined.yaml || wrong "$(cat mined.yaml)"
sed "s|^facts:.*|facts: $PWD/mined.yaml|" "$ELECTRONICS" > mined-book.yaml # the file is one that can be used as it is
run 0 "$AGRL" rules check mined-book.yaml
run 0 "$AGRL" synth --rules "$ELECTRONICS" --catalogue odd.csv --map product_type=attributes.product_type --kinds kinds.tsv
[ "$(wc -l < kinds.tsv)" -eq "$(wc -l < odd.csv)" ] || wrong "not a line a product: $(head -n 3 kinds.tsv)"
grep -q '	laptop	' kinds.tsv || wrong "no laptop: $(head -n 3 kinds.tsv)"
run 2 "$AGRL" synth --rules "$ELECTRONICS" --kinds other.tsv
says 'catalogue'
absent other.tsv
run 2 "$AGRL" synth --rules "$ELECTRONICS" --mine other.yaml
says '--catalogue'

t "synth over what is no catalogue"
printf '{"id": "a", "title": "x"}\n{"id": \n' > broken.jsonl
run 1 "$AGRL" synth --rules "$ELECTRONICS" --catalogue broken.jsonl --out cx
says 'broken.jsonl:2'
absent cx
printf 'number,text_of_it\n1,a\n' > other.csv
run 1 "$AGRL" synth --rules "$ELECTRONICS" --catalogue other.csv --out cx
says 'COLUMN=title'
run 2 "$AGRL" synth --rules "$BOOK" --out cx --queries shop.csv
says '--catalogue'
run 2 "$AGRL" synth --rules "$BOOK" --out cx --map a=title
says '--catalogue'

t "import a table"
run 0 "$AGRL" import csv table.csv --rules "$BOOK"
is "$(wc -l < out)" 3
prints '"Boots, red"'
run 0 "$AGRL" import csv - --rules "$BOOK" --out pairs.jsonl < table.csv
silent
is "$(wc -l < pairs.jsonl)" 3
run 0 "$AGRL" import csv table.csv --rules "$BOOK" --out pairs.jsonl.gz
is "$(gzip -dc pairs.jsonl.gz | wc -l)" 3
run 0 "$AGRL" import jsonl pairs.jsonl --rules "$BOOK"
is "$(wc -l < out)" 3

t "import of a table whose rows name their products"
printf '{"id":"B1","title":"Boots, red","brand":"Harlow","price":89}\n{"id":"T9","title":"Toaster"}\n' | gzip > products.jsonl.gz
printf 'query,sku,tier\nred boots,B1,4\nkettle,T9,1\nkettle,gone,1\n' > named.csv
run 0 "$AGRL" import csv named.csv --catalogue products.jsonl.gz --map sku=item.id --rules "$BOOK"
is "$(wc -l < out)" 2
prints '"item":{"id":"B1","title":"Boots, red","brand":"Harlow","price":89},"gold":{"tier":"4"}'
grep -q 'warning: 1 pairs left out: product not in the catalogue (product gone)' err || wrong "$(cat err)"
run 1 "$AGRL" import csv named.csv --catalogue products.jsonl.gz --rules "$BOOK" --out fresh.jsonl
says 'no column gives the product id'
run 2 "$AGRL" import csv table.csv --queries named.csv --rules "$BOOK" --out fresh.jsonl
says '--queries is for judgments'
absent fresh.jsonl

t "import of bad tables names the place and writes nothing"
printf 'query,title,tier\na,b,9\n' > bad.csv
run 1 "$AGRL" import csv bad.csv --rules "$BOOK" --out fresh.jsonl
silent
says 'bad.csv:2'
absent fresh.jsonl
printf 'query,title,tier\na,b\n' > bad.csv
run 1 "$AGRL" import csv bad.csv --rules "$BOOK" --out pairs.jsonl
says 'bad.csv:2'
is "$(wc -l < pairs.jsonl)" 3
printf 'query,title\na,"b\n' > bad.csv
run 1 "$AGRL" import csv bad.csv --rules "$BOOK"
says 'bad.csv'
printf 'query,title\na,\377\n' > bad.csv
run 1 "$AGRL" import csv bad.csv --rules "$BOOK"
says 'bad.csv'
printf '{"query": "a"\n' > bad.jsonl
run 1 "$AGRL" import jsonl bad.jsonl --rules "$BOOK" --out fresh.jsonl
says 'bad.jsonl:1'
absent fresh.jsonl
: > empty.csv
run 1 "$AGRL" import csv empty.csv --rules "$BOOK"
says empty.csv
run 1 "$AGRL" import csv missing.csv --rules "$BOOK"
says missing.csv
run 2 "$AGRL" import nonsense table.csv --rules "$BOOK"
says nonsense
run 2 "$AGRL" import csv table.csv
says -- '--rules'

t "import on a full disk"
awk 'NR == 1 { print } NR > 1 { for (i = 0; i < 40; i++) { line = $0; sub(/^[^,]*/, "& " i, line); print line } }' table.csv > many.csv
run 1 full_disk "$AGRL" import csv many.csv --rules "$BOOK" --out pairs.jsonl
says pairs.jsonl
is "$(wc -l < pairs.jsonl)" 3
if [ -c /dev/full ]; then
    "$AGRL" import csv table.csv --rules "$BOOK" > /dev/full 2> err
    is $? 1
    tail -n 1 err > last
    mv last err
    says "standard output"
fi

t "folds that cannot all be filled touch no file"
"$AGRL" init folds > /dev/null 2>&1
echo precious > fx.fold1.test.jsonl
run 1 "$AGRL" import jsonl folds/pairs.jsonl --rules folds/rulebook.yaml --out fx.jsonl --folds 5
tail -n 1 err > last
mv last err
says 'gets no pair'
is "$(cat fx.fold1.test.jsonl)" precious
absent fx.fold2.test.jsonl

t "import: a key that a JSON line lacks is another value, a column that a table lacks is a mistake"
printf '%s\n%s\n' '{"query": "red boots", "item": {"title": "Boots"}, "type": "negation"}' \
    '{"query": "red boots", "item": {"title": "Shoes"}}' > some.jsonl
run 0 "$AGRL" import jsonl some.jsonl --rules "$BOOK" --where type=negation
prints '"title":"Boots"'
is "$(wc -l < out)" 1
printf 'query,title\na,b\n' > some.csv
run 1 "$AGRL" import csv some.csv --rules "$BOOK" --where type=negation
tail -n 1 err > last
mv last err
says "some.csv:2: no column 'type'"
printf 'query,product_title,tier\na,b,4\n' > some.csv
run 1 "$AGRL" import esci some.csv --rules "$BOOK"
tail -n 1 err > last
mv last err
says 'some.csv:1: no column gives the label.*--map COLUMN=tier'

finish
