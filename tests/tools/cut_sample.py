#!/usr/bin/env python3
"""Cuts the Online Retail CSV to its first calendar days and prints exact counts of the cut.

    tests/tools/cut_sample.py online_retail.csv.gz --until 2011-08-01 --output tests/data/online_retail_sample.csv.gz
    tests/tools/cut_sample.py tests/data/online_retail_sample.csv.gz     (counts only)

The same input, date and zlib give the same bytes. Only the standard library is needed.
"""

import argparse
import csv
import gzip
import io
import sys
from decimal import Decimal

COLUMNS = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
OUTPUT_BYTES_MAX = 5_000_000


def read_rows(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as source:
        reader = csv.reader(source)
        header = next(reader)
        if header != COLUMNS:
            raise SystemExit(f"{path}: unexpected columns {header}")
        return list(reader)


def cut(rows, until):
    """Keeps the rows dated before `until` and refuses a date that would split an invoice."""
    # ISO 8601 text with one fixed width sorts as time.
    kept = [row for row in rows if row[4] < until]
    dropped = {row[0] for row in rows if row[4] >= until}
    split = dropped & {row[0] for row in kept}
    if split:
        raise SystemExit(f"{until} splits invoices {sorted(split)}")
    return kept


def write_rows(path, rows):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    # A zero time stamp and no name keep the archive the same on every run.
    packed = gzip.compress(text.getvalue().encode("utf-8"), compresslevel=9, mtime=0)
    if len(packed) > OUTPUT_BYTES_MAX:
        raise SystemExit(f"{len(packed)} bytes are over the limit of {OUTPUT_BYTES_MAX}: choose an earlier date")
    with open(path, "wb") as target:
        target.write(packed)


def counts(rows):
    quantities = [int(row[3]) for row in rows]
    prices = [Decimal(row[5]) for row in rows]
    return [
        ("first line", min(row[4] for row in rows)),
        ("last line", max(row[4] for row in rows)),
        ("lines", len(rows)),
        ("invoices", len({row[0] for row in rows})),
        ("customers", len({row[6] for row in rows if row[6]})),
        ("countries", len({row[7] for row in rows})),
        ("stock codes", len({row[1] for row in rows})),
        ("lines without customer", sum(not row[6] for row in rows)),
        ("cancelled lines (invoice C...)", sum(row[0].startswith("C") for row in rows)),
        ("cancelled invoices (C...)", len({row[0] for row in rows if row[0].startswith("C")})),
        ("negative quantities", sum(quantity < 0 for quantity in quantities)),
        ("prices <= 0", sum(price <= 0 for price in prices)),
        ("exact duplicates (lines seen before)", len(rows) - len({tuple(row) for row in rows})),
        ("sum of quantity x price", sum(quantity * price for quantity, price in zip(quantities, prices))),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="gzip CSV to read")
    parser.add_argument("--until", help="first date that is not kept, YYYY-MM-DD")
    parser.add_argument("--output", help="gzip CSV to write")
    arguments = parser.parse_args()
    if bool(arguments.until) != bool(arguments.output):
        parser.error("--until and --output go together")
    rows = read_rows(arguments.source)
    if arguments.until:
        rows = cut(rows, arguments.until)
        write_rows(arguments.output, rows)
    for name, value in counts(rows):
        print(f"{name}: {value}")


if __name__ == "__main__":
    sys.exit(main())
