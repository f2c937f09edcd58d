#!/usr/bin/env python3
"""recount.py RULE_BOOK ANSWERS: recounts receipts under a rule book with promotions, with arithmetic of its own.

RULE_BOOK is what `kopilka-hub rulebook export` prints. ANSWERS has a JSON line {"receipt", "seconds", "tier", "online",
"answer"} for each quote: what was rung up, the Unix time, the member's tier, whether the hub could be reached, what the node said. Compared are each line's discount,
redeemed and earned points, the totals, and each promotion's money off by line and points. Only how many points the balance
allows to redeem is taken from the answer. Prints the first differences; exit code 1 if there are any.

Written after the documentation of the rule book's model, for all that data/promotions/make.py draws; anything else ends
the run. Moscow is three hours ahead of UTC. Where the documentation leaves room: an effect's share of several lines is
rounded once and laid on them by largest remainder, and so is what a bound or limit leaves; some units of a line cost their
share of it, rounded down; units bought are set aside first, from the other end of the order than those got.
"""

import copy
import json
import sys
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path

MOSCOW = timezone(timedelta(hours=3))
MEASURES = {"before_discounts": "before", "after_discounts": "left"}
DIFFERENCES_SHOWN = 20


def known(thing, *fields):
    if set(thing) - set(fields):
        raise SystemExit(f"not covered: {sorted(set(thing) - set(fields))} of {thing}")


def rounded(value, how):
    """A fraction of a minor unit to a whole number of them."""
    whole, rest, half = value // 1, value % 1, Fraction(1, 2)
    up = {"floor": False, "half_up": rest >= half, "half_even": rest > half or (rest == half and whole % 2 == 1)}
    return whole + up[how]


def laid(total, weights):
    """A sum in proportion to weights, by largest remainder; of equal ones the earlier place."""
    if total == 0:
        return [0] * len(weights)
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    order = sorted(range(len(parts)), key=lambda place: (-(total * weights[place] % whole), place))
    for place in order[: total - sum(parts)]:
        parts[place] += 1
    return parts


def spread(total, prices, how):
    """A sum off some prices, as far as they go."""
    if how == "prorata":
        return laid(min(total, sum(prices)), prices)
    parts = [0] * len(prices)
    for place in sorted(range(len(prices)), key=lambda place: (prices[place], place)):
        parts[place] = min(total - sum(parts), prices[place])
    return parts


class Line:
    """A line of the receipt: its price before and now, and how much of it units cost that a deal has used."""

    def __init__(self, rung, groups):
        self.sku, self.unit_price, self.quantity = rung["sku"], rung["unit_price"], Fraction(rung["quantity"])
        self.before = self.left = rounded(self.quantity * self.unit_price, "half_up")
        self.free, self.used_cost = self.quantity.numerator if self.quantity.denominator == 1 else 0, 0
        group = groups.get(rung["group"], {})
        self.open = group.get("discounts", True)
        self.earns, self.redeems = group.get("earns", True), group.get("redeems", True)
        self.groups, code = [], rung["group"]
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


class Receipt:
    """A receipt on its way through the stages."""

    def __init__(self, book, asked):
        self.book, self.tier, self.redeemed = book, asked["tier"], asked["answer"]["redeemed"]
        self.online = asked["online"]
        self.now = datetime.fromtimestamp(asked["seconds"], MOSCOW)
        self.codes = {code.upper() for code in asked["receipt"]["promo_codes"]}
        self.lines = [Line(rung, book["groups"]) for rung in asked["receipt"]["lines"]]
        self.off, self.credited, self.winners = {}, {}, set()

    def holds(self, when):
        of, today, hour = when.get("of"), self.now.date().isoformat(), self.now.strftime("%H:%M")
        asks = when["kind"] in ("goods", "total")
        fits = [line for line in self.lines if asks and line.fits(when.get("goods", {}))]
        total = sum(getattr(line, MEASURES[when.get("measure", "after_discounts")]) for line in fits)
        return {
            "all": lambda: all(self.holds(one) for one in of),
            "any": lambda: any(self.holds(one) for one in of),
            "not": lambda: not self.holds(of),
            "dates": lambda: when.get("from", today) <= today <= when.get("to", today),
            "weekdays": lambda: self.now.strftime("%A").lower() in of,
            "hours": lambda: any(hours["from"] <= hour < hours["to"] for hours in of),
            "tiers": lambda: self.tier in of,
            "promo_codes": lambda: any(code.upper() in self.codes for code in of),
            "goods": lambda: sum(line.quantity for line in fits) * 1000 >= when["quantity_min"],
            "total": lambda: when.get("min", total) <= total <= when.get("max", total),
        }[when["kind"]]()

    def percent(self, permille, amounts):
        return laid(rounded(Fraction(sum(amounts) * permille, 1000), self.book["rounding"]), amounts)

    def use(self, goods, order, units, used):
        """Uses so many units in an order of the price of one; gives them by place, or nothing if there are too few."""
        places = [place for place, line in enumerate(self.lines) if line.free and line.open and line.fits(goods)]
        sign, found = {"cheapest": 1, "dearest": -1}[order], {}
        for place in sorted(places, key=lambda place: (sign * self.lines[place].cost(1), place)):
            found[place] = min(units, self.lines[place].free - used[place])
            used[place] += found[place]
            units -= found[place]
        return found if units == 0 else None

    def buy_get(self, deal):
        """So many units of some goods, for one more of them at less."""
        known(deal, "kind", "buy", "buy_units", "get_units", "off_permille", "pick", "times_max")
        assert deal["get_units"] == 1 and deal["pick"] == "cheapest", f"not covered: {deal}"
        used, off = [0] * len(self.lines), [0] * len(self.lines)
        units = sum(line.free for line in self.lines if line.open and line.fits(deal["buy"]))
        times = min(units // (deal["buy_units"] + 1), deal.get("times_max", units))
        self.use(deal["buy"], "dearest", times * deal["buy_units"], used)
        for place, part in self.use(deal["buy"], "cheapest", times, used).items():
            [off[place]] = self.percent(deal["off_permille"], [self.lines[place].cost(part)])
        return off, used

    def sets(self, deal):
        """As many sets as there are, the dearest goods first."""
        used, off, how = [0] * len(self.lines), [0] * len(self.lines), deal["off"]
        for _ in range(deal.get("times_max", 10_000)):
            more, prices = list(used), [0] * len(self.lines)
            for part in deal["parts"]:
                found = self.use(part["goods"], "dearest", part["units"], more)
                if found is None:
                    return off, used
                for place, units in found.items():
                    prices[place] += self.lines[place].cost(units)
            shares = {"percent": lambda: self.percent(how["permille"], prices),
                      "amount": lambda: spread(how["minor"], prices, how["spread"]),
                      "price": lambda: laid(max(0, sum(prices) - how["minor"]), prices)}[how["by"]]()
            used, off = more, [sum(pair) for pair in zip(off, shares)]
        return off, used

    def lower(self, effect):
        """What an effect is to take off each line, and the units that it uses."""
        if effect["kind"] != "discount":
            return {"buy_get": self.buy_get, "set": self.sets}[effect["kind"]](effect)
        off, goods = effect["off"], {"receipt": {}, "lines": effect["target"].get("goods")}[effect["target"]["of"]]
        lines = [line for line in self.lines if line.open and line.fits(goods)]
        prices = [line.before if effect.get("base") == "original" else line.left for line in lines]
        each = [rounded(line.quantity * off["minor"], "half_up") for line in lines if off["by"].startswith("unit")]
        total = sum(getattr(line, MEASURES[off.get("measure", "after_discounts")]) for line in lines)
        reached = [(step["from"], step["permille"]) for step in off.get("steps", []) if step["from"] <= total]
        parts = dict(zip(lines, {
            "percent": lambda: self.percent(off["permille"], prices),
            "steps": lambda: self.percent(max(reached, default=(0, 0))[1], prices),
            "amount": lambda: spread(off["minor"], prices, off["spread"]),
            "unit_amount": lambda: map(min, prices, each),
            "unit_price": lambda: [max(0, price - part) for price, part in zip(prices, each)],
        }[off["by"]]()))
        return [parts.get(line, 0) for line in self.lines], [0] * len(self.lines)

    def take_off(self, wanted, used, most):
        """Takes off what bounds and limits leave of what is wanted; gives what came off."""
        if not any(wanted):
            return wanted
        bounds, before = self.book["bounds"], sum(line.before for line in self.lines)
        rooms = [line.left - line.before + line.before * bounds["line_permille_max"] // 1000 for line in self.lines]
        parts = [max(0, min(pair)) for pair in zip(wanted, rooms)]
        floor = before - before * bounds["receipt_permille_max"] // 1000
        most = max(0, min(most, sum(line.left for line in self.lines) - floor))
        parts = laid(min(most, sum(parts)), parts)
        for line, part, units in zip(self.lines, parts, used if any(parts) else [0] * len(used)):
            unused = line.left - line.used_cost - line.cost(units)
            if part > 0:
                line.used_cost = line.used_cost * (line.left - part) // line.left
            line.left -= part
            if units > 0:
                line.used_cost, line.free = line.left - unused, line.free - units
        return parts

    def points(self, effect):
        """Points for each line that earns."""
        known(effect, "kind", "how", "goods")
        how, lines = effect["how"], [one for one in self.lines if one.earns and one.fits(effect.get("goods", {}))]
        paid, by_tier = zip(*(self.worths[line] for line in lines)) if lines else ((), ())
        amounts = paid if how.get("measure") == "after_discounts" else [line.before for line in lines]
        parts = dict(zip(lines, {
            "percent": lambda: self.percent(how["permille"], amounts),
            "multiply": lambda: self.percent(how["permille"] - 1000, by_tier),
            "unit": lambda: [rounded(line.quantity * how["minor"], "half_up") for line in lines],
            "fixed": lambda: laid(how["minor"] * bool(lines), amounts),
            "stepped": lambda: laid(how["minor"] * (sum(amounts) // how["every"]), amounts),
        }[how["by"]]()))
        return [parts.get(line, 0) for line in self.lines]

    def give(self, number, promotion):
        """Applies one promotion, if it applies; gives what it is worth."""
        known(promotion, "name", "stage", "priority", "group", "last", "when", "effects", "limits", "enabled",
              "offline")
        if not {"free": True, "online": self.online}[promotion.get("offline", "free")]:
            return 0
        off = credited = [0] * len(self.lines)
        if promotion.get("group") in self.winners or not self.holds(promotion.get("when", {"kind": "all", "of": []})):
            return 0
        for effect in promotion["effects"]:
            if effect["kind"] == "points":
                credited = [sum(pair) for pair in zip(credited, self.points(effect))]
                continue
            most = sum(line.before for line in self.lines)
            for limit in promotion.get("limits", []):
                most = min(most, {("receipt", "money"): limit["most"]}[limit["scope"], limit["count"]])
            taken = self.take_off(*self.lower(effect), most - sum(off))
            off = [sum(pair) for pair in zip(off, taken)]
        if not any(off + credited):
            return 0
        self.off[number], self.credited[number] = off, credited
        if "group" in promotion:
            self.winners.add(promotion["group"])
        for line, part in zip(self.lines, off):
            line.open = line.open and not (promotion.get("last") and part > 0)
        return sum(off) + sum(credited)

    def worth(self, number, promotion):
        """What it would be worth, of which nothing remains."""
        trial = copy.copy(self)
        trial.lines = [copy.copy(line) for line in self.lines]
        trial.off, trial.credited, trial.winners = {}, {}, set(self.winners)
        return trial.give(number, promotion)

    def stage(self, stage):
        enabled = [(number, one) for number, one in self.book["promotions"].items()
                   if one["stage"] == stage and one.get("enabled", True)]
        enabled.sort(key=lambda pair: (pair[1]["priority"], int(pair[0])))
        for number, promotion in enabled:
            group = promotion.get("group")
            if group is None or self.book["choices"][group] == "first":
                self.give(number, promotion)
            elif group not in self.winners:
                # The group has one turn: that of its first promotion.
                rivals = [pair for pair in enabled if pair[1].get("group") == group]
                self.give(*max(rivals, key=lambda rival: self.worth(*rival)))
                self.winners.add(group)

    def recount(self):
        """The receipt's figures."""
        for stage in ("lines", "receipt", "coupons"):
            self.stage(stage)
        payable = [line.left if line.redeems else 0 for line in self.lines]
        redeemable = sum(payable) * self.book["redemption"]["share_permille_max"] // 1000
        redeemed = laid(min(self.redeemed, redeemable), payable)
        paid = [(line.left - part) * line.earns for line, part in zip(self.lines, redeemed)]
        permille = next(tier["earn_permille"] for tier in self.book["tiers"] if tier["code"] == self.tier)
        by_tier = laid(sum(paid) * permille // 1000, paid)
        self.worths = dict(zip(self.lines, zip(paid, by_tier)))
        self.stage("earning")
        earned = [sum(parts) for parts in zip(by_tier, *self.credited.values())]
        total = sum(line.left for line in self.lines)
        figures = {"total": total, "redeemable": redeemable, "to_pay": total - sum(redeemed), "earned": sum(earned)}
        for place, line in enumerate(self.lines):
            figures[f"line {place}, {line.sku}"] = (line.before - line.left, redeemed[place], earned[place])
        for number in self.off:
            figures[f"x{number}"] = (self.off[number], sum(self.credited[number]))
        return figures


def differences(book, asked):
    answer, ours = asked["answer"], Receipt(book, asked).recount()
    theirs = {name: answer[name] for name in ("total", "redeemable", "to_pay", "earned")}
    for place, line in enumerate(answer["lines"]):
        theirs[f"line {place}, {line['sku']}"] = (line["discount"], line["redeemed"], line["earned"])
    for one in answer["promotions"]:
        if one.get("reason") is None:
            theirs[one["promotion_id"]] = (one["line_shares"] or [0] * len(answer["lines"]), one["points"])
    differ = [name for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]
    return [f"{name}: {ours.get(name)}, and not {theirs.get(name)}" for name in differ]


def main(book, answers):
    book = json.loads(Path(book).read_text(encoding="utf-8"))
    asked = [json.loads(line) for line in Path(answers).read_text(encoding="utf-8").splitlines()]
    found = [f"receipt {number}, {one}" for number, of in enumerate(asked, 1) for one in differences(book, of)]
    print(*found[:DIFFERENCES_SHOWN], f"{len(asked)} receipts, {len(found)} differences", sep="\n")
    return 1 if found or not asked else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 3 else __doc__)
