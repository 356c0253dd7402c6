#!/usr/bin/env python3
"""Writes cases.json: nasty CSV texts and the rows that Python's csv module reads from them.

One difference is agreed: a CRLF inside a quoted field is an LF for agrl (src/data/csv.h), so rows are compared with CRLF as LF.
Run it from anywhere; the output is the same each time.
"""
import csv
import io
import json
import os
import random

ALPHABET = ['"', '""', ",", ";", "\t", "\n", "\r\n", " ", "a", "b", "7", "é", "漢", "😀", "'", "\\", "|", "\u00a0", "#"]
HAND = [
    (",", 'c1,c2\r\n"a ""b"" c",d\r\n'),
    (",", 'c1,c2\n"line\nfeed","crlf\r\nfeed"'),
    (",", 'c1,c2\n12" table,24"" chair\n'),
    (",", 'c1,c2\n"quoted" tail,"a"b"c"\n'),
    (",", 'c1,c2\n "x", y \n'),
    (",", 'c1,c2\n"",""\n,\n'),
    (",", 'c1,c2\n\n\nx,y\n\n'),
    (",", 'c1,c2\n"\n\n\n","\n"\n'),
    (",", 'c1,c2\n"""","""\n\n"""\n'),
    ("\t", 'c1\tc2\n"a\tb"\tc,d\n5" x\ty\n'),
    (";", 'c1;c2\n1,5;"2;5"\n'),
    (",", "c1,c2\nlast,line"),
    (",", 'c1,c2\n"cr\rinside",x\n'),
    (",", 'c1\n"one"\n"two, three"\n'),
]


def rows(text, delimiter):
    read = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [[field.replace("\r\n", "\n") for field in row] for row in read if row]


def main():
    rng = random.Random(20240607)
    cases = [{"delimiter": d, "text": t, "rows": rows(t, d)} for d, t in HAND]
    while len(cases) < 160:
        delimiter = rng.choice([",", ",", "\t", ";"])
        width = rng.randint(2, 5)
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=delimiter, lineterminator=rng.choice(["\n", "\r\n"]),
                            quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
        writer.writerow([f"c{i + 1}" for i in range(width)])
        for _ in range(rng.randint(1, 4)):
            writer.writerow(["".join(rng.choice(ALPHABET) for _ in range(rng.randint(0, 8))) for _ in range(width)])
        text = out.getvalue()
        cases.append({"delimiter": delimiter, "text": text, "rows": rows(text, delimiter)})
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.json")
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


main()
