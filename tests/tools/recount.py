#!/usr/bin/env python3
"""Recounts receipts under a rule book with promotions, with arithmetic of its own.

    recount.py receipts --sample tests/data/online_retail_sample.csv.gz --most 600    receipts to ring up, JSON lines
    recount.py rules --sample (the same) --most 600 --at 1790000000                   a merge patch: 200 promotions for them
    recount.py check RULE_BOOK ANSWERS                                                1 and the first differences, or 0

ANSWERS has a JSON line {"receipt", "seconds", "tier", "answer"} for each quote: what was rung up, the Unix time, the
member's tier, what the node said. Compared are each line's discount, points and redeemed points, the totals, and each
promotion's money off by line and points. How many points a balance lets a member redeem is taken from the answer.

Covered, after the documentation of the rule book's model: filters by SKU, group (a tree), price and exception; discounts
by percent, steps, sum, sum a unit and unit price; buy-and-get; sets; conditions on dates, weekdays, hours, tiers, totals,
goods and codes, with all, any and not; points by percent, multiple, receipt, unit and full sum; stages, priorities, `last`,
first-of and best-of groups, limits in money a receipt, bounds of discounts, three ways of rounding. Anything else ends
the run. Moscow's clock is three hours ahead of UTC all year.

Where the documentation leaves room: an effect's share of several lines is rounded once and laid on them by largest
remainder, and so is what a bound or limit leaves; part of a line costs its share, rounded down; units that are bought are
set aside before those that are got, from the other end of the order.
"""

import argparse
import copy
import csv
import gzip
import json
import random
import sys
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

MOSCOW = timezone(timedelta(hours=3))
GROUPS = ["toys", "paper", "cards", "home", "glass", "closed", "sealed"]
PROMOTIONS = 200
DIFFERENCES_SHOWN = 20


# --- arithmetic: whole minor units and exact fractions ---

def rounded(value, how):
    whole, rest = divmod(value, 1)
    half = Fraction(1, 2)
    up = {"floor": False, "half_up": rest >= half, "half_even": rest > half or (rest == half and whole % 2 == 1)}[how]
    return int(whole) + up


def laid(total, weights):
    """A sum in proportion to weights, by largest remainder; of equal ones the earlier place."""
    if total == 0:
        return [0] * len(weights)
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    parts = [int(share) for share in exact]
    by_remainder = sorted(range(len(parts)), key=lambda place: (parts[place] - exact[place], place))
    for place in by_remainder[: total - sum(parts)]:
        parts[place] += 1
    return parts


def spread(total, prices, how):
    rest = min(total, sum(prices))
    if how == "prorata":
        return laid(rest, prices)
    parts = [0] * len(prices)
    for place in sorted(range(len(prices)), key=lambda place: (prices[place], place)):
        parts[place] = min(rest, prices[place])
        rest -= parts[place]
    return parts


class Line:
    """A line of the receipt: its price before and at the moment, and its units by whether a deal has used them."""

    def __init__(self, rung, groups):
        self.sku, self.unit_price, self.quantity = rung["sku"], rung["unit_price"], Fraction(rung["quantity"])
        self.before = self.left = rounded(self.quantity * self.unit_price, "half_up")
        self.free = self.quantity.numerator if self.quantity.denominator == 1 else 0
        self.used_cost = 0
        self.rules = groups.get(rung.get("group"), {})
        self.open = self.rules.get("discounts", True)
        self.groups, code = [], rung.get("group")
        while code:
            self.groups.append(code)
            code = groups.get(code, {}).get("parent")

    def fits(self, goods):
        known(goods, "skus", "groups", "price_min", "price_max", "except")
        return (("skus" not in goods or self.sku in goods["skus"])
                and ("groups" not in goods or any(group in goods["groups"] for group in self.groups))
                and goods.get("price_min", 0) <= self.unit_price <= goods.get("price_max", self.unit_price)
                and not ("except" in goods and self.fits(goods["except"])))

    def cost(self, units):
        """What so many of the unused units cost now."""
        return (self.left - self.used_cost) * units // self.free if self.free else 0


def known(thing, *fields):
    if unknown := set(thing) - set(fields):
        raise SystemExit(f"not covered: {sorted(unknown)} of {thing}")


class Receipt:
    """A receipt on its way through the stages."""

    def __init__(self, book, asked):
        receipt, self.answer = asked["receipt"], asked["answer"]
        self.book, self.tier = book, asked["tier"]
        self.now = datetime.fromtimestamp(asked["seconds"], MOSCOW)
        self.codes = {code.upper() for code in receipt.get("promo_codes", [])}
        self.lines = [Line(rung, book["groups"]) for rung in receipt["lines"]]
        self.gave, self.winners = {}, {}

    def holds(self, when):
        kind, of = when["kind"], when.get("of")
        if kind in ("all", "any"):
            return (all if kind == "all" else any)(self.holds(one) for one in of)
        if kind == "not":
            return not self.holds(of)
        if kind == "dates":
            today = self.now.date().isoformat()
            return when.get("from", today) <= today <= when.get("to", today)
        if kind == "weekdays":
            return self.now.strftime("%A").lower() in of
        if kind == "hours":
            return any(hours["from"] <= self.now.strftime("%H:%M") < hours["to"] for hours in of)
        if kind == "tiers":
            return self.tier in of
        if kind == "promo_codes":
            return any(code.upper() in self.codes for code in of)
        fitting = [line for line in self.lines if line.fits(when.get("goods") or {})]
        if kind == "goods":
            return sum(line.quantity for line in fitting) * 1000 >= max(when["quantity_min"], 1)
        if kind == "total":
            total = sum(line.before if when["measure"] == "before_discounts" else line.left for line in fitting)
            return when.get("min", total) <= total <= when.get("max", total)
        raise SystemExit(f"not covered: condition {kind}")

    # --- prices ---

    def percent(self, permille, prices):
        return laid(rounded(Fraction(sum(prices) * permille, 1000), self.book["rounding"]), prices)

    def discount(self, effect):
        """What a discount would take off each line."""
        off, target, base = effect["off"], effect.get("target", {"of": "receipt"}), effect.get("base", "current")
        if target["of"] not in ("receipt", "lines"):
            raise SystemExit(f"not covered: target {target}")
        lines = [line for line in self.lines if line.open and line.fits(target.get("goods", {}))]
        prices = [line.before if base == "original" else line.left for line in lines]
        if off["by"] == "percent":
            parts = self.percent(off["permille"], prices)
        elif off["by"] == "steps":
            total = sum(line.before if off["measure"] == "before_discounts" else line.left for line in lines)
            reached = [(step["from"], step["permille"]) for step in off["steps"] if step["from"] <= total]
            parts = self.percent(max(reached, default=(0, 0))[1], prices)
        elif off["by"] == "amount":
            parts = spread(off["minor"], prices, off.get("spread", "prorata"))
        else:
            each = [rounded(line.quantity * off["minor"], "half_up") for line in lines]
            wanted = {"unit_amount": each, "unit_price": [price - part for price, part in zip(prices, each)]}[off["by"]]
            parts = [max(0, min(price, part)) for price, part in zip(prices, wanted)]
        return [parts[lines.index(line)] if line in lines else 0 for line in self.lines]

    def take(self, goods, order, units, used):
        """Uses so many units in an order of the price of one; gives (place, units)."""
        places = [place for place, line in enumerate(self.lines) if line.free and line.fits(goods)]
        sign = {"cheapest": 1, "dearest": -1, "receipt": 0}[order]
        taken = []
        for place in sorted(places, key=lambda place: (sign * self.lines[place].cost(1), place)):
            part = min(units, self.lines[place].free - used[place])
            if part > 0:
                units, used[place] = units - part, used[place] + part
                taken.append((place, part))
        return taken if units == 0 else None

    def buy_get(self, deal):
        """One article for itself or another, one unit at a time for less: so no time is left incomplete."""
        if deal["get_units"] != 1 or "get" in deal and deal["get"].get("skus") == deal["buy"].get("skus"):
            raise SystemExit(f"not covered: {deal}")
        buy, get, pick = deal["buy"], deal.get("get", deal["buy"]), deal.get("pick", "cheapest")
        units = lambda goods, shut: sum(line.free for line in self.lines if line.fits(goods) and (line.open or shut))
        if "get" in deal:
            times = min(units(buy, True) // deal["buy_units"], units(get, False))
        else:
            times = units(buy, False) // (deal["buy_units"] + 1)
        times = min(times, deal.get("times_max", times))
        used, off = [0] * len(self.lines), [0] * len(self.lines)
        other_end = {"cheapest": "dearest", "dearest": "cheapest", "receipt": "receipt"}[pick]
        self.take(buy, other_end, times * deal["buy_units"], used)
        for place, part in self.take(get, pick, times, used):
            price = Fraction(self.lines[place].cost(part) * deal["off_permille"], 1000)
            off[place] += rounded(price, self.book["rounding"])
        return off, used if any(off) else [0] * len(used)

    def sets(self, deal):
        used, off = [0] * len(self.lines), [0] * len(self.lines)
        for _ in range(deal.get("times_max", 10_000)):
            whole, prices = list(used), [0] * len(self.lines)
            for part in deal["parts"]:
                shut = {"skus": [line.sku for line in self.lines if not line.open]}
                taken = self.take({**part["goods"], "except": shut}, "dearest", part["units"], whole)
                if taken is None:
                    return off, used
                for place, units in taken:
                    prices[place] += self.lines[place].cost(units)
            how = deal["off"]
            if how["by"] == "percent":
                shares = self.percent(how["permille"], prices)
            elif how["by"] == "amount":
                shares = spread(how["minor"], prices, how.get("spread", "prorata"))
            else:
                shares = laid(max(0, sum(prices) - how["minor"]), prices)
            used, off = whole, [sum(pair) for pair in zip(off, shares)]
        return off, used

    def lower(self, number, promotion, wanted, used):
        """Takes off what bounds and limits leave of what is wanted."""
        bound = lambda price, field: price * self.book["bounds"][field] // 1000
        room = [line.left - line.before + bound(line.before, "line_permille_max") for line in self.lines]
        parts = [max(0, min(part, most)) if line.open else 0 for line, part, most in zip(self.lines, wanted, room)]
        before = sum(line.before for line in self.lines)
        most = sum(line.left for line in self.lines) - before + bound(before, "receipt_permille_max")
        for limit in promotion.get("limits", []):
            if (limit["scope"], limit["count"]) != ("receipt", "money"):
                raise SystemExit(f"not covered: {limit}")
            most = min(most, limit["most"] - sum(self.gave[number]["line_shares"]))
        if sum(parts) > max(0, most):
            parts = laid(max(0, most), parts)
        if not any(parts):
            return
        for line, part, units in zip(self.lines, parts, used):
            unused = line.left - line.used_cost - line.cost(units)
            kept = line.used_cost * (line.left - part) // max(1, line.left)
            line.left -= part
            line.used_cost, line.free = line.left - unused if units else kept, line.free - units
        self.gave[number]["line_shares"] = [sum(pair) for pair in zip(self.gave[number]["line_shares"], parts)]

    # --- points ---

    def points(self, effect):
        known(effect, "kind", "how", "goods")
        how, places = effect["how"], range(len(self.lines))
        fits = [place for place in places if self.earns[place] and self.lines[place].fits(effect.get("goods", {}))]
        before = how["by"] == "fixed" or how.get("measure") == "before_discounts"
        weights = [self.lines[place].before if before else self.paid[place] for place in fits]
        if how["by"] == "percent":
            parts = self.percent(how["permille"], weights)
        elif how["by"] == "multiply":
            parts = self.percent(how["permille"] - 1000, [self.by_tier[place] for place in fits])
        elif how["by"] == "unit":
            parts = [rounded(self.lines[place].quantity * how["minor"], "half_up") for place in fits]
        else:
            sums = how["minor"] * (1 if how["by"] == "fixed" else sum(weights) // how["every"])
            parts = laid(sums, weights) if any(weights) else [sums if at == 0 else 0 for at in range(len(fits))]
        return [parts[fits.index(place)] if place in fits else 0 for place in places]

    # --- the order of things ---

    def give(self, number, promotion):
        """Applies one promotion, if it applies; gives what it is worth."""
        known(promotion, "name", "stage", "priority", "group", "last", "when", "effects", "limits", "enabled")
        if promotion.get("group") in self.winners or not self.holds(promotion.get("when", {"kind": "all", "of": []})):
            return 0
        nothing = [0] * len(self.lines)
        gave = self.gave[number] = {"line_shares": nothing, "points": nothing}
        for effect in promotion["effects"]:
            if effect["kind"] == "points":
                gave["points"] = [sum(pair) for pair in zip(gave["points"], self.points(effect))]
            else:
                of = {"discount": lambda one: (self.discount(one), nothing), "buy_get": self.buy_get, "set": self.sets}
                self.lower(number, promotion, *of[effect["kind"]](effect))
        worth = sum(gave["line_shares"]) + sum(gave["points"])
        if worth == 0:
            del self.gave[number]
            return 0
        if "group" in promotion:
            self.winners[promotion["group"]] = number
        if promotion.get("last"):
            for line, part in zip(self.lines, gave["line_shares"]):
                line.open = line.open and part == 0
        return worth

    def twin(self):
        twin = copy.copy(self)
        twin.lines = [copy.copy(line) for line in self.lines]
        twin.gave, twin.winners = dict(self.gave), dict(self.winners)
        return twin

    def stages(self, *stages):
        book, done = self.book, set()
        for stage in stages:
            of_stage = [(one.get("priority", 0), int(number), one) for number, one in book["promotions"].items()
                        if one["stage"] == stage and one.get("enabled", True)]
            of_stage.sort(key=lambda entry: entry[:2])
            for _, number, promotion in of_stage:
                group = promotion.get("group")
                if group is None or book["choices"][group] == "first":
                    self.give(number, promotion)
                elif (stage, group) not in done:
                    # The group has one turn, that of its first promotion.
                    done.add((stage, group))
                    rivals = [(number, one) for _, number, one in of_stage if one.get("group") == group]
                    worths = [self.twin().give(*rival) for rival in rivals]
                    self.give(*rivals[worths.index(max(worths))])

    def recount(self):
        """The receipt's figures."""
        book, answer = self.book, self.answer
        self.stages("lines", "receipt", "coupons")
        payable = [line.left if line.rules.get("redeems", True) else 0 for line in self.lines]
        redeemable = sum(payable) * book["redemption"]["share_permille_max"] // 1000
        redeemed = laid(min(answer["redeemed"], redeemable), payable)
        self.earns = [line.rules.get("earns", True) for line in self.lines]
        self.paid = [(line.left - part) * earns for line, part, earns in zip(self.lines, redeemed, self.earns)]
        permille = next(tier["earn_permille"] for tier in book["tiers"] if tier["code"] == self.tier)
        self.by_tier = laid(sum(self.paid) * permille // 1000, self.paid)
        self.stages("earning")
        earned = [sum(parts) for parts in zip(self.by_tier, *(gave["points"] for gave in self.gave.values()))]
        total = sum(line.left for line in self.lines)
        figures = {"total": total, "redeemable": redeemable, "to_pay": total - sum(redeemed), "earned": sum(earned)}
        for place, line in enumerate(self.lines):
            figures[f"line {place} ({line.sku})"] = (line.before - line.left, redeemed[place], earned[place])
        for number, gave in self.gave.items():
            figures[f"x{number}"] = (gave["line_shares"], sum(gave["points"]))
        return figures


def answered(answer):
    figures = {name: answer[name] for name in ("total", "redeemable", "to_pay", "earned")}
    for place, line in enumerate(answer["lines"]):
        figures[f"line {place} ({line['sku']})"] = (line["discount"], line["redeemed"], line["earned"])
    for one in answer["promotions"]:
        if one.get("reason") is None:
            shares = one["line_shares"] or [0] * len(answer["lines"])
            figures[one["promotion_id"]] = (shares, one["points"])
    return figures


def check(arguments):
    with open(arguments.rule_book, encoding="utf-8") as file:
        book = json.load(file)
    differences, receipts = [], 0
    with open(arguments.answers, encoding="utf-8") as file:
        for receipts, text in enumerate(file, 1):
            asked = json.loads(text)
            ours, theirs = Receipt(book, asked).recount(), answered(asked["answer"])
            for name in dict.fromkeys([*ours, *theirs]):
                if ours.get(name) != theirs.get(name):
                    differences.append(f"receipt {receipts}, {name}: {ours.get(name)}, not {theirs.get(name)}")
    print(*differences[:DIFFERENCES_SHOWN], f"{receipts} receipts, {len(differences)} differences", sep="\n")
    return 1 if differences or not receipts else 0
