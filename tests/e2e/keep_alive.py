"""Keep-alive policies from their papers' definitions, over the list of minutes in which each function was asked for.

Independent of the simulator: no events, no books, no clock; each policy is a loop. One instance for each function, which
is there or not; starts and handlers take no time; a minute with requests is cold if the instance is not there when it
begins, and of its requests one is. `docs/keep-alive.md` has the definitions, and where others count differently.
"""

import csv
import math
import pathlib


class Trace:
    """Functions with their minutes, from the files of the Azure Functions 2019 data set."""

    def __init__(self, folder: pathlib.Path):
        with open(folder / "memory.csv") as file:
            memory = {row["HashFunction"]: float(row["AverageAllocatedMb"]) for row in csv.DictReader(file)}
        with open(folder / "invocations.csv") as file:
            rows = list(csv.DictReader(file))
        columns = [name for name in rows[0] if name.isdigit()]
        # The data set counts minutes from 1 on.
        self.end = int(columns[-1])
        self.functions = []
        for row in rows:
            counts = {int(name) - 1: int(row[name]) for name in columns if row[name] not in ("", "0")}
            # Memory is known to the byte, as an integer.
            size = int(memory[row["HashFunction"]] * 2**20) / 2**20
            self.functions.append((sorted(counts), sum(counts.values()), size))

    def result(self, cold, mb_minutes):
        """Cold minutes by function and all memory-time, as the simulator reports them."""
        shares = [cold[i] / len(minutes) for i, (minutes, _, _) in enumerate(self.functions)]
        requests = sum(total for _, total, _ in self.functions)
        return {
            "cold_mean": sum(shares) / len(shares),
            "cold_by_request": sum(cold) / requests,
            "mb_s": mb_minutes * 60,
        }


def fixed(trace, keep):
    """Kept for so many minutes after each minute with requests; one that comes just then is warm."""
    return windows(trace, lambda _: (0, keep))


def hybrid(trace, bins, least=10, cv=2.0, head=5, tail=99, margin=0.1):
    """The histogram of Shahrad et al., section 4.2, without the forecast: where most idle times are within the range."""

    def window(idle):
        inside = [gap for gap in idle if gap < bins]
        if len(idle) < least:
            return 0, bins
        assert 2 * len(inside) >= len(idle), "the time-series forecast is not part of this model"
        counts = [0] * bins
        for gap in inside:
            counts[gap] += 1
        mean = sum(counts) / bins
        deviation = math.sqrt(sum((count - mean) ** 2 for count in counts) / bins)
        if deviation / mean < cv:
            return 0, bins
        begins = percentile(counts, head) * (1 - margin)
        ends = (percentile(counts, tail) + 1) * (1 + margin)
        return begins, ends

    return windows(trace, window)


def percentile(counts, percent):
    """The bin that holds the value of that rank."""
    wanted, seen = math.ceil(sum(counts) * percent / 100) or 1, 0
    for number, count in enumerate(counts):
        seen += count
        if seen >= wanted:
            return number
    raise AssertionError("there are values")


def windows(trace, window):
    """Loaded from one time after each minute with requests to another, both from the idle times before."""
    cold, mb_minutes = [], 0.0
    for minutes, _, size in trace.functions:
        idle, misses = [], 1
        for minute, following in zip(minutes, minutes[1:] + [None]):
            begins, ends = window(idle)
            until = trace.end if following is None else following
            mb_minutes += size * max(0.0, min(until - minute, ends) - begins)
            if following is not None:
                gap = following - minute
                misses += not begins <= gap <= ends
                idle.append(gap)
        cold.append(misses)
    return trace.result(cold, mb_minutes)


def lru(trace, budget_mb):
    """Everything is kept until there is more than the budget; then what was used longest ago goes."""
    return cache(trace, budget_mb, lambda _, __: 0.0)


def lfu(trace, budget_mb):
    """Then what was used least often since it is there goes, of that the one used longest ago."""
    return cache(trace, budget_mb, lambda _, entry: entry["frequency"])


def greedy_dual(trace, budget_mb, cost_ms):
    """Fuerst and Sharma, ASPLOS 2021, section 4: the priority is clock + frequency * cost / size."""

    def priority(i, entry):
        return entry["clock"] + entry["frequency"] * cost_ms[i] / trace.functions[i][2]

    return cache(trace, budget_mb, priority)


def cache(trace, budget_mb, priority):
    """Of what is there the least priority goes, and the clock becomes that; among equals what was used longest ago.

    What is asked for and not there begins with a frequency of none, makes room for itself first, and then is used.
    """
    arrivals = sorted((minute, i) for i, (minutes, _, _) in enumerate(trace.functions) for minute in minutes)
    there, cold, mb_minutes, before, clock = {}, [0] * len(trace.functions), 0.0, 0, 0.0

    def size(functions):
        return sum(trace.functions[j][2] for j in functions)

    for minute, i in arrivals:
        mb_minutes += size(there) * (minute - before)
        before = minute
        if i not in there:
            cold[i] += 1
            while there and size(there) + trace.functions[i][2] > budget_mb:
                # Of those last used in the same minute the first of the trace goes first.
                victim = min(there, key=lambda j: (priority(j, there[j]), there[j]["used"], j))
                clock = priority(victim, there.pop(victim))
            there[i] = {"frequency": 0}
        there[i].update(frequency=there[i]["frequency"] + 1, clock=clock, used=minute)
        if size(there) > budget_mb:
            # Larger than the budget by itself.
            clock = priority(i, there.pop(i))
    mb_minutes += size(there) * (trace.end - before)
    return trace.result(cold, mb_minutes)


def rainbowcake(trace, start_s, quantile=0.8, waiting=0.996, least=60.0):
    """Yu et al., ASPLOS 2024, section 4, of the User layer; nodes have the layers below it anyway.

    An instance is kept for the quantile of an exponential distribution with the mean of the last six times between
    arrivals and the time since; at most until that has cost as much as its start; at least for a time. After an arrival
    and that quantile one is started ahead, if none is there.
    """
    cold, mb_seconds, end = [], 0.0, trace.end * 60.0
    for i, (minutes, _, size) in enumerate(trace.functions):
        worth = waiting / (1 - waiting) * start_s[i] / size
        last, ahead, until, misses = [], [], None, 0

        def quantile_at(now):
            mean = (now - last[0]) / len(last)
            return -math.log(1 - quantile) * mean if mean > 0 else None

        def kept_until(now):
            within = quantile_at(now)
            return now + max(least, worth if within is None else min(within, worth))

        for arrival in [minute * 60.0 for minute in minutes] + [end]:
            # Before it are starts ahead. One that is due when an instance ends still finds it.
            for due in sorted(due for due in ahead if due < arrival):
                ahead.remove(due)
                if until is None or until < due:
                    until = kept_until(due)
                    mb_seconds += size * (min(until, arrival) - due)
            if arrival == end:
                break
            misses += until is None or until < arrival
            last = (last + [arrival])[-6:]
            within = quantile_at(arrival)
            if within is not None and len(ahead) < 6:
                ahead.append(arrival + within)
            until = kept_until(arrival)
            following = next((minute * 60.0 for minute in minutes if minute * 60.0 > arrival), end)
            mb_seconds += size * (min(until, following) - arrival)
        cold.append(misses)
    return trace.result(cold, mb_seconds / 60)
