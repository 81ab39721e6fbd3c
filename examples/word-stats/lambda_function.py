"""Describes a text, and a table if the event has one.

    {"text": "...", "csv": "name,size\\na,1\\n", "top": 5}

Tables and patterns are made when the module is loaded, once for all requests of an instance: this is the
user's share of a cold start.
"""

import collections
import csv
import datetime
import hashlib
import io
import json
import logging
import re
import statistics
import unicodedata

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)

STARTED = datetime.datetime.now(datetime.timezone.utc)
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
SENTENCE = re.compile(r"[^.!?…]+[.!?…]*\s*")
STOP_WORDS = frozenset(
    "a an and are as at be but by for from had has have he her his i if in into is it its no not of on"
    " one or out she so such that the their them then there they this to was we were what when which who"
    " will with you your".split()
)
# Letters by the script that they belong to, for a guess at the alphabet of a text.
SCRIPTS = {
    chr(code): unicodedata.name(chr(code)).split()[0]
    for code in range(0x20, 0x600)
    if unicodedata.category(chr(code)).startswith("L")
}

invocations = 0


def lambda_handler(event, context):
    global invocations
    invocations += 1
    text = event.get("text", "")
    if not isinstance(text, str):
        raise TypeError("text must be a string")
    answer = {
        "text": describe_text(text, int(event.get("top", 5))),
        "instance": {
            "started": STARTED.isoformat(timespec="milliseconds"),
            "invocations": invocations,
            "left_ms": context.get_remaining_time_in_millis(),
        },
    }
    if "csv" in event:
        answer["table"] = describe_table(event["csv"])
    log.info("described %d characters", len(text))
    return answer


def describe_text(text, top):
    """Counts, the most frequent words that mean something, and how hard the text is to read."""
    words = [word.casefold() for word in WORD.findall(text)]
    sentences = [sentence for sentence in SENTENCE.findall(text) if WORD.search(sentence)]
    lengths = [len(word) for word in words]
    frequent = collections.Counter(word for word in words if word not in STOP_WORDS)
    scripts = collections.Counter(SCRIPTS.get(letter, "OTHER") for letter in text if letter.isalpha())
    return {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "characters": len(text),
        "words": len(words),
        "distinct_words": len(set(words)),
        "sentences": len(sentences),
        "mean_word_length": round(statistics.fmean(lengths), 2) if lengths else None,
        "median_word_length": statistics.median(lengths) if lengths else None,
        "words_per_sentence": round(len(words) / len(sentences), 2) if sentences else None,
        "most_frequent": dict(frequent.most_common(top)),
        "scripts": dict(scripts.most_common(3)),
    }


def describe_table(text):
    """For each column of a CSV with a header: what it holds, and statistics if that is numbers."""
    rows = list(csv.DictReader(io.StringIO(text)))
    columns = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows if row[name] not in (None, "")]
        try:
            numbers = [float(value) for value in values]
        except ValueError:
            columns[name] = {"kind": "text", "distinct": len(set(values))}
            continue
        columns[name] = {
            "kind": "number",
            "mean": statistics.fmean(numbers) if numbers else None,
            "median": statistics.median(numbers) if numbers else None,
            "deviation": round(statistics.pstdev(numbers), 6) if numbers else None,
            "range": [min(numbers), max(numbers)] if numbers else None,
        }
    return {"rows": len(rows), "columns": columns}


if __name__ == "__main__":
    import sys
    import types

    local = types.SimpleNamespace(get_remaining_time_in_millis=lambda: 0)
    print(json.dumps(lambda_handler({"text": sys.stdin.read()}, local), indent=2, ensure_ascii=False))
