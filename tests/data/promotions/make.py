#!/usr/bin/env python3
"""Makes receipts of the sample data, and a rule book with 200 live promotions that these receipts meet.

    make.py receipts SAMPLE --most 600                                  one receipt a line, as JSON
    make.py rules SAMPLE --most 600 --starter BOOK --at 1790000000      the starter book with promotions

Sales with a customer, in the order of the file; each article is in a product group by the sum of its letters. The seed is
fixed, so that the same arguments give the same bytes. Schedules are laid around the day of --at (Unix time): some of them
hold on it and some do not. Moscow's clock is three hours ahead of UTC all year. Only the standard library is needed.
"""

import argparse
import csv
import gzip
import itertools
import json
import random
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal

MOSCOW = timezone(timedelta(hours=3))
PROMOTIONS = 200
# On top of those, and switched off.
DISABLED = [20, 50, 90]
# One promotion on lines in so many works only with the hub.
ONLINE_ONE_IN = 25
SEED = 20101201
# An article's group by the sum of its letters; some have none.
GROUPS = ["toys", "paper", "cards", "home", "glass", "candles", "books", "music", "outlet", "", "", ""]
GROUP_RULES = {
    "paper": {"earns": True, "redeems": True},
    "cards": {"parent": "paper", "earns": True, "redeems": True},
    "home": {"earns": True, "redeems": True},
    "glass": {"parent": "home", "earns": True, "redeems": False},
    "candles": {"parent": "glass", "earns": False, "redeems": True},
    "toys": {"earns": True, "redeems": True},
    "books": {"earns": True, "redeems": False, "discounts": False},
    "outlet": {"earns": False, "redeems": False},
}
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
CODES = 10
TIERS = ["base", "gold", "platinum"]


def receipts(path, most):
    """The first sales of known customers."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        sales = []
        for invoice, rows in itertools.groupby(csv.DictReader(file), key=lambda row: row["InvoiceNo"]):
            lines = [line_of(row) for row in rows if row["CustomerID"]]
            lines = [line for line in lines if line["unit_price"] > 0 and not line["quantity"].startswith("-")]
            if lines and not invoice.startswith("C"):
                place = len(sales)
                codes = [f"spring{place % (CODES + 3)}"] if place % 3 == 0 else []
                sales.append({"lines": lines[:1000], "promo_codes": codes, "redeem_most": place % 4 == 1})
            if len(sales) == most:
                break
    return sales


def line_of(row):
    minor = (Decimal(row["UnitPrice"]) * 100).quantize(Decimal(1), ROUND_HALF_UP)
    sku = row["StockCode"]
    group = GROUPS[sum(sku.encode()) % len(GROUPS)]
    return {"sku": sku, "group": group, "quantity": row["Quantity"], "unit_price": int(minor)}


class Maker:
    """Makes promotions; articles that are often bought are drawn often."""

    def __init__(self, sales, today):
        self.random, self.today = random.Random(SEED), today
        lines = [line for sale in sales for line in sale["lines"]]
        self.popular = [sku for sku, _ in Counter(line["sku"] for line in lines).most_common(300)]
        self.price = {line["sku"]: line["unit_price"] for line in lines}
        # A deal counts units of articles of its own, but for the few that share them.
        self.counted = list(self.popular[:120])
        self.random.shuffle(self.counted)
        self.sales = [{line["sku"] for line in sale["lines"]} for sale in sales]
        self.made = []

    def pair(self):
        """An article, and another that is often bought with it."""
        first = self.counted.pop()
        others = Counter(sku for sale in self.sales if first in sale for sku in self.counted if sku in sale)
        second = others.most_common(1)[0][0]
        self.counted.remove(second)
        return first, second

    def add(self, stage, effect, **more):
        if "when" not in more and self.random.randrange(4) == 0:
            more["when"] = self.schedule()
        if "priority" not in more:
            more["priority"] = self.random.randrange(-3, 4)
        number = len(self.made) + 1
        name = {"ru": f"Акция {number}", "en": f"Promotion {number}"}
        self.made.append({"name": name, "stage": stage, **more, "effects": [effect]})
        return self.made[-1]

    def schedule(self):
        day = self.today.weekday()
        some, other = WEEKDAYS[day], WEEKDAYS[(day + 1) % 7]
        date = lambda days: (self.today + timedelta(days=days)).date().isoformat()
        hours = lambda first, last: {"kind": "hours", "of": [{"from": first, "to": last}]}
        weekday = {"kind": "weekdays", "of": [some, WEEKDAYS[(day + 3) % 7]]}
        return self.random.choice([
            weekday,
            {"kind": "weekdays", "of": [other]},
            hours("00:00", "12:00"),
            hours("12:00", "24:00"),
            {"kind": "all", "of": [weekday, hours("06:00", "22:00")]},
            {"kind": "any", "of": [hours("00:00", "06:00"), {"kind": "dates", "from": date(-1), "to": date(1)}]},
            {"kind": "not", "of": {"kind": "weekdays", "of": [some]}},
            {"kind": "dates", "to": date(-7)},
            {"kind": "tiers", "of": self.random.sample(TIERS, 2)},
        ])

    def skus(self, least, most):
        return {"skus": self.random.sample(self.popular, self.random.randrange(least, most))}

    def goods(self, goods, off, **more):
        return {"kind": "discount", "off": off, "target": {"of": "lines", "goods": goods}, **more}

    def percent(self, least=15, most=150):
        return {"by": "percent", "permille": self.random.randrange(least, most)}

    def on_lines(self):
        for place in range(34):
            more = {"group": f"best{place % 4}"} if place < 12 else {"last": place % 7 == 0}
            base = {"base": "original"} if place % 5 == 0 else {}
            self.add("lines", self.goods(self.skus(4, 12), self.percent(), **base), **more)
        for place in range(10):
            goods = {"groups": self.random.sample(sorted(GROUP_RULES), 2)}
            if place % 2:
                goods["except"] = self.skus(3, 6)
            if place % 3 == 0:
                goods["price_min"] = self.random.randrange(100, 500)
            more = {"limits": [{"scope": "receipt", "count": "money", "most": 777}]} if place % 4 == 0 else {}
            self.add("lines", self.goods(goods, self.percent(10, 120)), **more)
        for sku in self.random.sample(self.popular, 20):
            minor = self.price[sku] * self.random.randrange(60, 97) // 100
            self.add("lines", self.goods({"skus": [sku]}, {"by": "unit_price", "minor": minor}), priority=-5)
        for place in range(16):
            spread = "cheapest_first" if place % 2 else "prorata"
            off = {"by": "amount", "minor": self.random.randrange(30, 400), "spread": spread}
            more = {"group": f"first{place % 3}"} if place < 9 else {}
            self.add("lines", self.goods(self.skus(2, 12), off), **more)
        for _ in range(8):
            off = {"by": "unit_amount", "minor": self.random.randrange(3, 60)}
            self.add("lines", self.goods(self.skus(3, 8), off))

    def deals(self):
        for place in range(34):
            # The last few come first of all, two on the same article.
            again = place >= 28 and place % 2 == 1
            sku = self.made[-1]["effects"][0]["buy"]["skus"][0] if again else self.counted.pop()
            permille = self.random.choice([1000, 1000, 500, 333])
            more = {"priority": -10} if place >= 28 else {}
            if again:
                more["when"] = {"kind": "goods", "goods": {"skus": [sku]}, "quantity_min": 4000}
            deal = {"kind": "buy_get", "buy": {"skus": [sku]}, "buy_units": 1 if again else 2, "get_units": 1,
                    "off_permille": permille}
            if place % 4 == 0:
                deal["times_max"] = 2
            self.add("lines", deal, **more)
        for place in range(26):
            first, second = self.pair()
            parts = [{"goods": {"skus": [first]}, "units": 1}, {"goods": {"skus": [second]}, "units": 1 + place % 2}]
            price = self.price[first] + self.price[second] * (1 + place % 2)
            off = [{"by": "percent", "permille": self.random.randrange(50, 300)},
                   {"by": "amount", "minor": price // 7 + 1, "spread": ["prorata", "cheapest_first"][place % 2]},
                   {"by": "price", "minor": price * 4 // 5}][place % 3]
            more = {"times_max": 3} if place % 5 == 0 else {}
            self.add("lines", {"kind": "set", "parts": parts, "off": off, **more}, last=place == 7)

    def on_receipts(self):
        measures = itertools.cycle(["before_discounts", "after_discounts"])
        total = lambda least: {"kind": "total", "measure": next(measures), "min": least}
        for place in range(12):
            more = {"group": "receipt"} if place < 6 else {}
            effect = {"kind": "discount", "off": self.percent(5, 60)}
            self.add("receipt", effect, when=total(self.random.randrange(5_000, 60_000)), **more)
        for _ in range(6):
            froms = sorted(self.random.sample(range(2_000, 60_000), 3))
            steps = [{"from": least, "permille": 8 * at + 5} for at, least in enumerate(froms, 1)]
            off = {"by": "steps", "measure": next(measures), "steps": steps}
            self.add("receipt", {"kind": "discount", "off": off})
        for number in range(CODES):
            off = [self.percent(20, 100), {"by": "amount", "minor": self.random.randrange(50, 900)}][number % 2]
            when = {"kind": "promo_codes", "of": [f"SPRING{number}", f"EXTRA{number}"]}
            if number % 3 == 0:
                goods = {"groups": ["home", "toys"]}
                when = {"kind": "all", "of": [when, {**total(500), "goods": goods}]}
            self.add("coupons", {"kind": "discount", "off": off}, when=when)

    def points(self):
        measures = itertools.cycle(["before_discounts", "after_discounts"])
        while len(self.made) < PROMOTIONS + len(DISABLED):
            place = len(self.made)
            how = [lambda: {"by": "multiply", "permille": self.random.randrange(1_100, 3_000)},
                   lambda: {"by": "fixed", "minor": self.random.randrange(50, 900)},
                   lambda: {"by": "unit", "minor": self.random.randrange(3, 50)},
                   lambda: {"by": "percent", "permille": self.random.randrange(5, 80), "measure": next(measures)},
                   lambda: {"by": "stepped", "every": 1_000, "minor": 77, "measure": next(measures)}][place % 5]()
            effect = {"kind": "points", "how": how}
            if place % 6:
                effect["goods"] = {"groups": ["paper", "home"]} if place % 4 == 0 else self.skus(5, 20)
            more = {"group": f"points{place % 2}"} if place % 3 == 0 else {}
            self.add("earning", effect, **more)


def rules(sales, starter, today):
    maker = Maker(sales, today)
    maker.on_lines()
    maker.deals()
    maker.on_receipts()
    maker.points()
    for place in DISABLED:
        maker.made[place]["enabled"] = False
    for promotion in [one for one in maker.made if one["stage"] == "lines"][4::ONLINE_ONE_IN]:
        promotion["offline"] = "online"
    maker.random.shuffle(maker.made)
    groups = sorted({promotion["group"] for promotion in maker.made if "group" in promotion})
    return {
        **starter,
        "groups": {**starter["groups"], **GROUP_RULES},
        "bounds": {"line_permille_max": 700, "receipt_permille_max": 400},
        "choices": {group: "best" if group.startswith(("best", "receipt")) else "first" for group in groups},
        "promotions": {str(number): promotion for number, promotion in enumerate(maker.made, 1)},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["receipts", "rules"])
    parser.add_argument("sample", help="gzip CSV as tests/data/SOURCE.md describes it")
    parser.add_argument("--most", type=int, required=True, help="receipts")
    parser.add_argument("--starter", help="rule book as `kopilka-hub rulebook export` prints it")
    parser.add_argument("--at", type=int, help="Unix time of a moment of the day on which the receipts are rung up")
    arguments = parser.parse_args()
    sales = receipts(arguments.sample, arguments.most)
    if arguments.what == "receipts":
        for sale in sales:
            print(json.dumps(sale))
        return
    if arguments.starter is None or arguments.at is None:
        parser.error("rules need --starter and --at")
    with open(arguments.starter, encoding="utf-8") as file:
        starter = json.load(file)
    today = datetime.fromtimestamp(arguments.at, MOSCOW)
    print(json.dumps(rules(sales, starter, today), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    sys.exit(main())
