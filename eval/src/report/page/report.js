// Sorting and comparing any two systems. The page is complete without it, but for choosing.
"use strict";
document.documentElement.classList.add("scripted-page");
const byId = (id) => document.getElementById(id);
const say = (text) => { byId("said").textContent = text; };

for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const first = head.dataset.first || "descending";
      const other = first === "descending" ? "ascending" : "descending";
      const direction = before === first ? other : first;
      table.querySelectorAll("th[aria-sort]").forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      const key = (row) => row.cells[column].dataset.sort ?? "";
      const sign = direction === "ascending" ? 1 : -1;
      const rows = [...body.rows].sort((left, right) => {
        const a = key(left), b = key(right);
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = head.dataset.kind === "text" ? a.localeCompare(b) : Number(a) - Number(b);
        return sign * order;
      });
      body.append(...rows);
      say(`sorted by ${button.textContent.trim()}, ${direction}`);
    });
  });
}

// Numbers as the page writes them elsewhere.
const none = "–";
const commas = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
const size = (v) => (v < 99.9995 ? v.toFixed(3) : v < 999.95 ? v.toFixed(1) : v < 1e15 ? commas(v) : v.toExponential(2));
const isZero = (text) => !/[1-9]/.test(text);
const showValue = (v) => { const text = size(Math.abs(v)); return v < 0 && !isZero(text) ? `−${text}` : text; };
const signed = (v) => { const text = size(Math.abs(v)); return (isZero(text) ? "±" : v < 0 ? "−" : "+") + text; };
const pValue = (p) => (p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`);
const short = (v) => String(Number(v.toPrecision(3)));
const score = (v) => {
  const a = Math.abs(v);
  if (a !== 0 && (a < 0.001 || a >= 1e6)) return v.toExponential(2).replace("e+", "e").replaceAll("-", "−");
  const text = a.toFixed(a >= 100 ? 0 : a >= 10 ? 1 : a >= 1 || a === 0 ? 2 : 3);
  return (v < 0 ? "−" : "") + text;
};

/** An element with a class and children; texts stay texts. */
const make = (tag, className, ...children) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
};
const isolated = (text) => make("bdi", "", text);

const marked = (text, marks) => {
  const title = make("bdi", "");
  let from = 0;
  for (const [start, end, worth] of marks) {
    const mark = make("mark", "", text.slice(start, end));
    mark.title = `adds ${worth} to the score`;
    title.append(text.slice(from, start), mark);
    from = end;
  }
  title.append(text.slice(from));
  return title;
};

const comparer = () => {
  const data = JSON.parse(byId("data").textContent);
  const left = byId("left"), right = byId("right");

  const pair = (a, b) => {
    const flip = (t) => t && [-t[0], -t[2], -t[1], t[3], -t[4], t[7], t[6], t[5], t[8] === null ? null : -t[8], 0, t[10]];
    const one = data.pairs.find((p) => p.system === a && p.against === b);
    if (one) return one.metrics;
    const other = data.pairs.find((p) => p.system === b && p.against === a);
    return other ? other.metrics.map(flip) : null;
  };
  const mark = (t) => (!t || !t[4] ? "○" : t[0] > 0 ? "▲" : "▼");
  const tone = (t) => (!t || !t[4] ? "" : t[4] > 0 ? "up" : "down");
  /** A system's name, which leads to its run if it has one: once, in the head of the table. */
  const named = (system) => {
    if (!system.link) return isolated(system.name);
    const link = make("a", "quiet", isolated(system.name));
    link.href = system.link;
    link.title = `run of ${system.name}`;
    return link;
  };
  const figure = (estimate) => (estimate ? showValue(estimate[0]) : none);

  const verdict = (a, b, tests) => {
    const metric = data.metrics[0];
    const [x, y] = [data.systems[a], data.systems[b]];
    if (a === b) return ["Choose two different systems."];
    if (!metric || !x.estimates[0] || !y.estimates[0]) return ["These systems have no figures to compare."];
    const t = tests && tests[0];
    const bold = (text) => make("strong", "", isolated(text));
    if (!t) {
      const difference = x.estimates[0][0] - y.estimates[0][0];
      return [bold(x.name), " has ", signed(difference), ` ${metric.name} against `, bold(y.name), ". This pair was not tested: the difference may be chance."];
    }
    const how = !t[4] ? " is not shown to differ from " : t[4] > 0 ? " is significantly better than " : " is significantly worse than ";
    const test = data.tests[t[10]];
    const sure = ["", " It is shown not to be inferior by the stated margin.", " It is shown to be inferior by more than the stated margin.", " Non-inferiority is not shown."][t[9]];
    return [bold(x.name), how, bold(y.name), ` on ${metric.name}: `, `${signed(t[0])} (${signed(t[1])} to ${signed(t[2])}), ${pValue(t[3])}`, `${test ? `, ${test}` : ""}.${sure}`];
  };

  const tally = (x, y, t) => {
    const total = t ? t[5] + t[6] + t[7] : 0;
    if (!total) return "";
    const parts = [[`ahead ${x.look}`, t[5]], ["tied", t[6]], [`behind ${y.look}`, t[7]]];
    const bar = make("div", "tally-bar");
    bar.setAttribute("aria-hidden", "true");
    for (const [name, count] of parts) {
      const part = make("span", name);
      part.style.flexGrow = count;
      if (count) bar.append(part);
    }
    const text = (name, count) => make("li", "", make("span", `swatch ${name}`), ` ${name === "tied" ? "equal" : name.split(" ")[0]} on `, `${commas(count)} requests (${Math.round((100 * count) / total)}%)`);
    return make("div", "", bar, make("ul", "tally-text", ...parts.map(([name, count]) => text(name, count))));
  };

  const line = (metric, at, a, b, t) => {
    const [x, y] = [data.systems[a], data.systems[b]];
    const known = x.estimates[at] && y.estimates[at];
    const difference = t ? t[0] : known ? x.estimates[at][0] - y.estimates[at][0] : null;
    const head = make("th", "", metric.name);
    head.scope = "row";
    const delta = make("td", "", difference === null ? none : signed(difference), " ");
    if (t) {
      const sign = make("span", `mark ${tone(t)}`, mark(t));
      sign.setAttribute("aria-hidden", "true");
      delta.append(sign);
    }
    const counted = t && t[5] + t[6] + t[7] > 0;
    return make("tr", "", head, make("td", "", figure(x.estimates[at])), make("td", "", figure(y.estimates[at])), delta,
      make("td", "", t ? `${signed(t[1])} to ${signed(t[2])}` : none),
      make("td", "", t ? pValue(t[3]) : known && a !== b ? "not tested" : none),
      make("td", "", counted ? `${commas(t[5])} / ${commas(t[6])} / ${commas(t[7])}` : none),
      make("td", "", t && t[8] !== null ? signed(t[8]) : none));
  };

  const grade = ([, value, relevant]) => {
    if (relevant) return make("span", "grade yes", value === null ? "✓" : `✓ grade ${short(value)}`);
    if (value !== null) return make("span", "grade no", `✗ grade ${short(value)}`);
    const dot = make("span", "grade", "·");
    dot.setAttribute("aria-label", "not judged");
    return dot;
  };
  const list = (system, value, items) => {
    const found = items ? items.findIndex((item) => item[2]) + 1 : 0;
    const where = !items || !items.length ? ["no answer"] : found ? [`found at ${found}`] : [items.length === 1 ? "not relevant: the one shown" : `none relevant in the ${items.length} shown`];
    const entry = (item) => {
      const row = make("li", item[2] ? "hit" : "", make("span", "", marked(data.items[item[0]][1], item[4] || []), "\u00a0", grade(item)),
        item[3] === null ? null : make("span", "score", score(item[3])));
      row.title = data.items[item[0]][0];
      return row;
    };
    const side = value === null ? where : [`${data.metrics[0].name} `, showValue(value), " · ", ...where];
    return make("div", "", make("h4", "", named(system), " ", make("span", "", ...side)), make("ol", "", ...(items || []).map(entry)));
  };
  const request = (one, a, b, open) => {
    const title = one.text || (one.history.length ? `after ${one.history.at(-1)}` : one.id);
    const [x, y] = [one.values[a], one.values[b]];
    const [s, r] = [data.systems[a], data.systems[b]];
    const side = x === null || y === null ? [] : [signed(x - y), " (", showValue(x), " against ", showValue(y), ")"];
    const inside = make("div", "inside");
    const fill = () => {
      if (inside.childElementCount) return;
      const label = (text) => make("span", "label", text);
      inside.append(make("p", "", label("Request: "), make("code", "", one.id), one.chosen ? ` · ${one.chosen}` : ""));
      if (one.history.length) inside.append(make("p", "", label("History: "), ...one.history.flatMap((item, at) => [at ? " → " : "", isolated(item)])));
      const relevant = one.relevant.flatMap(([item, value], at) => [at ? "; " : "", isolated(data.items[item][1]), value === null ? "" : ` (grade ${short(value)})`]);
      inside.append(make("p", "", label("Relevant: "), ...relevant, one.more ? `; and ${commas(one.more)} more` : ""));
      inside.append(make("div", "lists two", list(s, one.values[a], one.lists[a]), list(r, one.values[b], one.lists[b])));
    };
    const details = make("details", "", make("summary", "", make("strong", "", isolated(title)), make("span", "side", ...side)), inside);
    details.addEventListener("toggle", fill);
    if (open) { details.open = true; fill(); }
    return details;
  };

  /** What is asked: the same for every request of one query. */
  const question = (one) => (one.text || one.history.length ? JSON.stringify([one.text, one.history]) : one.id);
  const swings = (a, b) => {
    const lower = data.metrics[0]?.lower ? -1 : 1;
    const known = data.requests.filter((one) => one.values[a] !== null && one.values[b] !== null);
    const gain = (one) => lower * (one.values[a] - one.values[b]);
    const order = known.map((one) => [gain(one), one]).sort((x, y) => y[0] - x[0]);
    // Of the requests of one query the largest win or loss stands for all.
    const asked = new Set();
    const single = (entries) => entries.filter(([, one]) => { const text = question(one); return !asked.has(text) && asked.add(text); });
    const largest = new Set(single([...order].sort((x, y) => Math.abs(y[0]) - Math.abs(x[0]))));
    const group = (title, entries, sentence) => {
      const box = make("div", "swing", make("h3", "", title));
      if (!entries.length) { box.append(make("p", "lead", sentence)); return box; }
      let from = 0;
      const more = make("button", "more", "");
      more.type = "button";
      const add = (n) => {
        const fresh = entries.slice(from, from + n).map(([, one], at) => request(one, a, b, from === 0 && at === 0));
        from += fresh.length;
        box.insertBefore(make("div", "", ...fresh), more);
        more.hidden = from >= entries.length;
        more.textContent = `Show ${Math.min(10, entries.length - from)} more of ${commas(entries.length - from)}`;
      };
      more.addEventListener("click", () => add(10));
      box.append(more);
      add(5);
      return box;
    };
    if (!known.length && !data.requests.length) return [];
    if (!known.length) return [group("Requests", data.requests.map((one) => [0, one]), "")];
    const ahead = order.filter(([g]) => g > 0), behind = order.filter(([g]) => g < 0).reverse();
    const shown = (entries) => entries.filter((one) => largest.has(one));
    const kept = data.requests.length < data.total ? `the first ${commas(data.requests.length)} of ${commas(data.total)} kept requests` : `the ${commas(known.length)} requests that this report keeps`;
    return [make("p", "lead", `Among ${kept}, it is ahead on `, commas(ahead.length), " and behind on ", commas(behind.length), "; every query is shown once."),
      make("div", "swings", group("Largest wins", shown(ahead), "None."), group("Largest losses", shown(behind), "None."))];
  };

  const show = () => {
    const [a, b] = [Number(left.value), Number(right.value)];
    const tests = a === b ? null : pair(a, b);
    byId("verdict").replaceChildren(...verdict(a, b, tests));
    byId("tally").replaceChildren(tally(data.systems[a], data.systems[b], tests && tests[0]));
    byId("left-name").replaceChildren(named(data.systems[a]));
    byId("right-name").replaceChildren(named(data.systems[b]));
    byId("versus").tBodies[0].replaceChildren(...data.metrics.map((metric, at) => line(metric, at, a, b, tests && tests[at])));
    byId("swings").replaceChildren(...(a === b ? [] : swings(a, b)));
  };

  data.systems.forEach((system, at) => {
    left.append(new Option(system.name, at));
    right.append(new Option(system.name, at));
  });
  left.value = data.first[0];
  right.value = data.first[1];
  left.addEventListener("change", show);
  right.addEventListener("change", show);
  byId("swap").addEventListener("click", () => { [left.value, right.value] = [right.value, left.value]; show(); });
  byId("chooser").hidden = false;
  show();
};
if (byId("chooser")) comparer();
