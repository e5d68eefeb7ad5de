"""Writes a small shop with a log of 60 days, the way shops have them: products with umlauts, quotes and commas, and one
event per shown product. The same shop as JSON lines, CSV and Parquet (the last needs pyarrow).

    python benches/own-shop.py DIR [--products 3000] [--events 20000] [--seed 1]

Clicks follow what was asked: a product is clicked more often the better its words fit the query, the better it is, and the
higher it stood."""

import argparse
import csv
import datetime
import json
import math
import pathlib
import random

COLORS = ["rot", "grün", "blau", "schwarz", "weiß", "gelb", "beige", "türkis"]
MATERIALS = ["Eiche", "Buche", "Stahl", "Baumwolle", "Wolle", "Leder", "Glas", "Plüsch"]
KINDS = [
    ("Möbel", "Sofas", "Sofa"), ("Möbel", "Stühle", "Stuhl"), ("Möbel", "Tische", "Tisch"), ("Möbel", "Regale", "Regal"),
    ("Küche", "Töpfe", "Topf"), ("Küche", "Messer", "Messer"), ("Küche", "Gläser", "Glas"), ("Garten", "Schläuche", "Schlauch"),
    ("Garten", "Körbe", "Korb"), ("Bad", "Handtücher", "Handtuch"), ("Bad", "Spiegel", "Spiegel"), ("Licht", "Lampen", "Lampe"),
]
BRANDS = ["Höhe & Söhne", "Müller, Co.", "Ærø", "O'Neil", "Haus \"Nord\"", "Café-Bär", "Straße 7", "Zoë"]


def shop(rng, n_products):
    products = []
    for number in range(n_products):
        room, shelf, kind = rng.choice(KINDS)
        color, material, brand = rng.choice(COLORS), rng.choice(MATERIALS), rng.choice(BRANDS)
        size = rng.choice([20, 40, 60, 80, 120])
        products.append({
            "product_id": f"{number:06d}",
            "title": f'{kind} "{color}", {material} {size} cm',
            "brand": brand,
            "category": f"{room} > {shelf}",
            "description": f"{kind} aus {material}, {color}; von {brand}",
            "price": round(rng.lognormvariate(3.5, 0.8), 2),
            "words": {kind.lower(), color, material.lower()},
            "good": rng.gauss(0, 1),
        })
    return products


def events(rng, products, n_events):
    start = datetime.datetime(2026, 3, 1, 6, 0, tzinfo=datetime.timezone.utc)
    by_word = {}
    for place, product in enumerate(products):
        for word in product["words"]:
            by_word.setdefault(word, []).append(place)
    rows, request = [], 0
    per_page = 8
    n_requests = max(1, n_events // per_page)
    sessions = {}
    while len(rows) < n_events:
        moment = start + datetime.timedelta(seconds=int(60 * 86_400 * request / n_requests))
        user = f"k{rng.randrange(400):04d}"
        session = sessions.get(user)
        if session is None or rng.random() < 0.4:
            session = sessions[user] = f"s{request:06d}"
        wanted = rng.choice(products)
        asked = [word for word in sorted(wanted["words"]) if rng.random() < 0.7] or [sorted(wanted["words"])[0]]
        found = {place for word in asked for place in by_word[word]}
        score = lambda place: len(products[place]["words"] & set(asked)) + 0.2 * products[place]["good"] + rng.gauss(0, 0.3)
        page = sorted(sorted(found), key=score, reverse=True)[:per_page]
        for position, place in enumerate(page, 1):
            product = products[place]
            fit = len(product["words"] & set(asked)) / len(asked)
            seen = rng.random() < position ** -0.7
            click = seen and rng.random() < 1 / (1 + math.exp(3.5 - 3.5 * fit - 0.6 * product["good"]))
            cart = click and rng.random() < 0.3
            order = cart and rng.random() < 0.4
            rows.append({
                "search_id": f"r{request:07d}", "session_id": session, "customer_id": user,
                "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "query": " ".join(asked),
                "product_id": product["product_id"], "position": position,
                "clicked": int(click), "carted": int(cart), "ordered": int(order),
            })
        request += 1
    return rows[:n_events]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--products", type=int, default=3000)
    parser.add_argument("--events", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    rng = random.Random(a.seed)
    products = shop(rng, a.products)
    rows = events(rng, products, a.events)
    items = [{key: value for key, value in one.items() if key not in ("words", "good")} for one in products]
    a.folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("products", items), ("events", rows)):
        with open(a.folder / f"{name}.jsonl", "w", encoding="utf-8") as out:
            for row in table:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        with open(a.folder / f"{name}.csv", "w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, fieldnames=list(table[0]))
            writer.writeheader()
            writer.writerows(table)
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            print(f"{name}.parquet: not written, pyarrow is missing")
            continue
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), a.folder / f"{name}.parquet")


if __name__ == "__main__":
    main()
