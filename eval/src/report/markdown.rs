//! The report as Markdown, for pull requests, issues and model cards: the same content as the page, without
//! charts and with fewer requests.

use std::collections::BTreeSet;
use std::ops::Range;

use super::characters::{self, Written};
use super::html::{found as found_in, marks, question};
use super::model::{ExampleItem, Report, SliceReport, SpansReport, SystemReport, TrainingReport};
use super::sentence::{Piece, Sentence};
use super::{link, logged, numbers, table, words};

/// Pairs that are shown of an alignment.
const FEW_PAIRS: usize = 5;

/// Requests that are shown.
const REQUESTS: usize = 5;
/// Characters of a line of a table, so that it can be read in a terminal too.
const WIDTH: usize = 80;
/// Characters of a system's name in a table.
const NAME: usize = 24;
/// Characters of texts from requests that are shown.
const CUT: usize = 120;

/// The report as Markdown text with a final line break. Texts of the report cannot form markup.
pub fn markdown(report: &Report) -> String {
    let summary = words::summary(report);
    let mut text = format!("# {}\n\n", escape(&report.name));
    if !report.description.is_empty() {
        text.push_str(&format!("{}\n\n", escape(&report.description)));
    }
    text.push_str(&format!("**{}**\n\n", sentence_text(report, &summary.headline)));
    for sentence in &summary.sentences {
        text.push_str(&format!("{}\n", sentence_text(report, sentence)));
    }
    text.push('\n');
    for warning in &report.warnings {
        text.push_str(&format!("> **Warning:** {}\n>\n", escape(warning)));
    }
    if !report.warnings.is_empty() {
        text.push('\n');
    }
    text.push_str("## Systems\n");
    let table = table::table(report);
    text.push_str(&systems(report, &table));
    text.push_str(&seeds(report));
    text.push_str(&costs(report, &table));
    text.push_str(&slices(report));
    text.push_str(&pairs(report));
    text.push_str(&requests(report));
    text.push_str(&training(report));
    text.push_str(&identifiers(report));
    text.push_str(&trust(report));
    text.push_str("\n## How it was measured\n\n");
    for (name, value) in table::facts(report).iter().chain(&table::machine(report)) {
        text.push_str(&format!("- {}: {}\n", escape(name), escape(value)));
    }
    let values_note = Some(&report.values_note).filter(|note| !note.is_empty());
    for note in report.notes.iter().chain(values_note) {
        text.push_str(&format!("- {}\n", escape(note)));
    }
    for (name, checksum, size) in table::fingerprints(report) {
        let (name, checksum) = (escape(&name), escape(&checksum));
        text.push_str(&format!("- fingerprint of {name}: {checksum} ({size})\n"));
    }
    if !report.recipe.is_empty() {
        text.push_str(&format!(
            "\n<details><summary>Resolved recipe</summary>\n\n{}\n</details>\n",
            fenced(&report.recipe)
        ));
    }
    text.push_str(&addresses(report));
    text
}

fn identifiers(report: &Report) -> String {
    let mut text = String::new();
    if !report.identifiers.is_empty() {
        text.push_str("\n## Identifiers\n");
        let head = [
            "identifier",
            "level",
            "codes used",
            "bits",
            "evenness",
            "Gini",
            "of targets",
            "shared prefixes",
        ];
        let mut rows = Vec::new();
        for identifier in &report.identifiers {
            for (index, level) in identifier.levels.iter().enumerate() {
                rows.push(vec![
                    named(&identifier.name),
                    (index + 1).to_string(),
                    format!("{} of {}", numbers::count(level.used), numbers::count(level.codes)),
                    numbers::short(level.entropy_bits),
                    numbers::percent(level.normalized_entropy),
                    numbers::short(level.gini),
                    level.targets.map_or_else(
                        || numbers::NONE.to_owned(),
                        |one| numbers::percent(one.normalized_entropy),
                    ),
                    level.collision_rate.map_or_else(|| numbers::NONE.to_owned(), numbers::percent),
                ]);
            }
        }
        if !rows.is_empty() {
            text.push_str(&tables(2, &head.map(str::to_owned), &rows));
        }
        for identifier in &report.identifiers {
            let name = escape(&identifier.name);
            if let Some((distinct, rate)) = identifier.distinct.zip(identifier.collision_rate) {
                text.push_str(&format!(
                    "\n{name}: {} items{} under {} different identifiers; {} of the items find theirs taken.\n",
                    numbers::count(identifier.items),
                    identifier.fitted.map_or_else(String::new, |n| {
                        format!(", on {} of which codes were fitted,", numbers::count(n))
                    }),
                    numbers::count(distinct),
                    numbers::percent(rate),
                ));
            }
            for one in &identifier.spans {
                text.push_str(&format!(
                    "\n{name}, said by {}: {}.\n",
                    escape(&one.model),
                    spans(one)
                ));
            }
            if let Some(one) = &identifier.ceiling {
                text.push_str(&format!("{one}.\n"));
            }
            for finding in &identifier.findings {
                text.push_str(&format!("- {}\n", escape(finding)));
            }
        }
    }
    text
}

/// What there is of spans in the tokens of a model, in a sentence.
fn spans(one: &SpansReport) -> String {
    let per_token = one.bytes_per_token().map(|n| format!(", {} per token", numbers::short(n)));
    format!(
        "spans of at most {} tokens over {} texts of {} items ({} items have no token), {} tokens in all; index of {}{}; \
         what is said: {}",
        numbers::count(one.longest),
        numbers::count(one.texts),
        numbers::count(one.items),
        numbers::count(one.silent),
        numbers::count(one.tokens),
        numbers::bytes(one.index_bytes),
        per_token.unwrap_or_default(),
        escape(&one.views_in_words()),
    )
}

/// The first cell of a system's row; where `led`, its name leads to its run.
fn name(report: &Report, row: &table::Row, led: bool) -> String {
    let text = named(&row.name);
    let text = if led { linked(report, &text, &row.name) } else { text };
    format!("{text}{}", row.note())
}

/// A name as it stands in a table.
fn named(name: &str) -> String {
    escape(&characters::shortened(name, NAME))
}

/// A text that leads to the run of a system, where it has one: by its number, as addresses are long.
fn linked(report: &Report, text: &str, system: &str) -> String {
    let place = report.systems.iter().position(|one| one.name == system);
    match place.filter(|_| link::run_of(report, system).is_some()) {
        Some(place) => format!("[{text}][{}]", place + 1),
        None => text.to_owned(),
    }
}

/// The addresses that links name by number.
fn addresses(report: &Report) -> String {
    let address = |(place, system)| Some(format!("[{}]: {}\n", place + 1, link::run(system)?));
    let all: String = report.systems.iter().enumerate().filter_map(address).collect();
    if all.is_empty() { all } else { format!("\n{all}") }
}

fn sentence_text(report: &Report, sentence: &Sentence) -> String {
    let text = |piece: &Piece| {
        let system = piece.run().and_then(|run| {
            report.systems.iter().find(|one| link::run(one).as_deref() == Some(run))
        });
        let text = escape(&piece.text);
        match system {
            Some(system) => linked(report, &text, &system.name),
            None => text,
        }
    };
    sentence.pieces.iter().map(text).collect()
}

/// Tables of these rows, none wider than [`WIDTH`] where its cells allow that: each has the first `n_heads` columns, which
/// name the row, and as many of the others as fit.
fn tables(n_heads: usize, head: &[String], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..head.len())
        .map(|at| {
            let cells = std::iter::once(&head[at]).chain(rows.iter().map(|row| &row[at]));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(4)
        })
        .collect();
    // A bar and two spaces for each cell, and a bar at the end.
    let wide = |columns: &[usize]| 1 + columns.iter().map(|&at| widths[at] + 3).sum::<usize>();
    let heads: Vec<usize> = (0..n_heads).collect();
    let mut parts: Vec<Vec<usize>> = vec![heads.clone()];
    for at in n_heads..head.len() {
        let part = parts.len() - 1;
        parts[part].push(at);
        if wide(&parts[part]) > WIDTH && parts[part].len() > n_heads + 1 {
            parts[part].pop();
            parts.push([heads.clone(), vec![at]].concat());
        }
    }
    let mut text = String::new();
    for part in parts {
        let line = |cells: &[String]| {
            let cell = |&at: &usize| match at < n_heads {
                true => format!(" {:<1$} |", cells[at], widths[at]),
                false => format!(" {:>1$} |", cells[at], widths[at]),
            };
            format!("|{}\n", part.iter().map(cell).collect::<String>())
        };
        let rule = |&at: &usize| match at < n_heads {
            true => format!(" {} |", "-".repeat(widths[at])),
            false => format!(" {}: |", "-".repeat(widths[at] - 1)),
        };
        text.push('\n');
        text.push_str(&line(head));
        text.push_str(&format!("|{}\n", part.iter().map(rule).collect::<String>()));
        rows.iter().for_each(|row| text.push_str(&line(row)));
    }
    text
}

/// Names of columns as the head of a table, those that name the row first.
fn head(first: &[&str], columns: impl IntoIterator<Item = String>) -> Vec<String> {
    first.iter().map(|one| (*one).to_owned()).chain(columns).collect()
}

fn systems(report: &Report, table: &table::Table) -> String {
    let names = || head(&["system"], table.metrics.iter().map(|one| escape(&one.name)));
    let cell = |cell: &table::Cell| {
        let best = if cell.best { "**" } else { "" };
        format!("{best}{}{best} {}", cell.figure.text, cell.mark).trim_end().to_owned()
    };
    let row = |row: &table::Row| -> Vec<String> {
        std::iter::once(name(report, row, true)).chain(row.cells.iter().map(cell)).collect()
    };
    let rows: Vec<Vec<String>> = table.rows.iter().map(row).collect();
    let mut text = tables(1, &names(), &rows);
    if !report.comparisons.is_empty() {
        let marks: Vec<String> =
            table::MARKS.iter().map(|(mark, meaning)| format!("{mark} {meaning}")).collect();
        text.push_str(&format!(
            "\n{}. Marks are after {} over {} comparisons.\n",
            marks.join(", "),
            escape(words::correction(report)),
            report.comparisons.len()
        ));
    }
    let intervals = |row: &table::Row| -> Vec<String> {
        let cells = row.cells.iter().map(|cell| match cell.interval.is_empty() {
            true => numbers::NONE.to_owned(),
            false => cell.interval.clone(),
        });
        std::iter::once(name(report, row, false)).chain(cells).collect()
    };
    if table.rows.iter().flat_map(|row| &row.cells).any(|cell| !cell.interval.is_empty()) {
        let rows: Vec<Vec<String>> = table.rows.iter().map(intervals).collect();
        text.push_str(&format!(
            "\nIntervals hold {} of bootstrap means over the same requests:\n{}",
            numbers::percent(report.evaluation.confidence),
            tables(1, &names(), &rows)
        ));
    }
    text
}

fn costs(report: &Report, table: &table::Table) -> String {
    if table.costs.is_empty() {
        return String::new();
    }
    let figure = |one: &table::Figure| {
        if one.fault { format!("**{}** (must be 0)", one.text) } else { one.text.clone() }
    };
    let row = |row: &table::Row| -> Vec<String> {
        std::iter::once(name(report, row, false)).chain(row.costs.iter().map(figure)).collect()
    };
    let rows: Vec<Vec<String>> = table.rows.iter().map(row).collect();
    let names = head(&["system"], table.costs.iter().map(|one| escape(&one.name)));
    format!("\n## Cost\n{}", tables(1, &names, &rows))
}

/// The first metric by slice, one table per division.
fn slices(report: &Report) -> String {
    let Some(metric) = report.evaluation.metrics.first().filter(|_| !report.slices.is_empty())
    else {
        return String::new();
    };
    let mut text = format!("\n## {} by slice\n", escape(metric));
    for (by, slices) in table::divisions(report) {
        let column = |slice: &&SliceReport| {
            format!("{} ({})", escape(&slice.value), numbers::count(slice.requests))
        };
        let names = head(&[&format!("by {}", escape(by))], slices.iter().map(column));
        let row = |system: &SystemReport| -> Vec<String> {
            let figure = |slice: &&SliceReport| {
                let own = slice.systems.iter().find(|one| one.name == system.name);
                let own = own.and_then(|one| one.metrics.get(metric));
                own.map_or_else(|| numbers::NONE.to_owned(), |one| numbers::value(one.value))
            };
            std::iter::once(named(&system.name)).chain(slices.iter().map(figure)).collect()
        };
        let rows: Vec<Vec<String>> = words::ordered(report).into_iter().map(row).collect();
        text.push_str(&tables(1, &names, &rows));
        for slice in slices.iter().filter(|slice| !slice.meaning.is_empty()) {
            text.push_str(&format!("\n- {}: {}", escape(&slice.value), escape(&slice.meaning)));
        }
        text.push('\n');
    }
    text
}

fn seeds(report: &Report) -> String {
    let rows = table::seeds(report);
    if rows.is_empty() {
        return String::new();
    }
    let names = head(&["system", "seed"], report.evaluation.metrics.iter().map(|one| escape(one)));
    let row = |row: &table::SeedRow| -> Vec<String> {
        let figures = row.figures.iter().map(|figure| figure.text.clone());
        [named(&row.system), escape(&row.seed)].into_iter().chain(figures).collect()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    format!("\n### By seed\n{}", tables(2, &names, &rows))
}

fn pairs(report: &Report) -> String {
    let pairs = table::pairs(report);
    let Some(metric) = report.evaluation.metrics.first().filter(|_| !pairs.is_empty()) else {
        return String::new();
    };
    let columns = ["difference", "interval", "p, corrected", "won / tied / lost"];
    let rows: Vec<Vec<String>> = pairs
        .iter()
        .map(|one| {
            vec![
                named(&one.system),
                named(&one.baseline),
                format!("{} {}", one.difference.text, one.mark).trim_end().to_owned(),
                one.interval.clone(),
                one.p_value.text.clone(),
                if one.requests.is_empty() {
                    numbers::NONE.to_owned()
                } else {
                    one.requests.clone()
                },
            ]
        })
        .collect();
    format!(
        "\n## Pairs of systems on {}\n{}",
        escape(metric),
        tables(2, &head(&["system", "against"], columns.map(str::to_owned)), &rows)
    )
}

/// The first requests, with the rank at which each system found something relevant.
fn requests(report: &Report) -> String {
    if report.examples.is_empty() {
        return String::new();
    }
    let mut text = "\n## Requests\n".to_owned();
    let mut asked = BTreeSet::new();
    let fresh = report.examples.iter().filter(|one| asked.insert(question(one)));
    for example in fresh.take(REQUESTS) {
        let title = if example.text.is_empty() { &example.request } else { &example.text };
        text.push_str(&format!("\n- **{}**", escape(&cut(title))));
        if !example.chosen.is_empty() {
            text.push_str(&format!(" ({})", escape(&example.chosen)));
        }
        for item in example.relevant.iter().take(1) {
            let title = if item.title.is_empty() { &item.item } else { &item.title };
            text.push_str(&format!(", relevant: {}", escape(&cut(title))));
        }
        text.push('\n');
        for system in &example.systems {
            let relevant = |item: &ExampleItem| {
                item.grade.is_some_and(|grade| grade >= report.evaluation.relevant_grade)
                    || example.relevant.iter().any(|one| one.item == item.item)
            };
            let found = system.items.iter().position(relevant);
            let found = found_in(found, system.items.len());
            let value = example.values.get(&system.system);
            let value = value.map_or_else(String::new, |&v| format!(" ({})", numbers::value(v)));
            let name = escape(&system.system);
            text.push_str(&format!("  - {name}: {found}{value}{}\n", first_told(&system.items)));
        }
    }
    if report.examples.len() > REQUESTS {
        text.push_str(&format!(
            "\nThe JSON form has all {} requests.\n",
            numbers::count(report.examples.len() as u64)
        ));
    }
    text
}

/// The title of the first item, the words in bold that earned it its place; nothing where the system does not say.
fn first_told(items: &[ExampleItem]) -> String {
    let Some(first) = items.first() else { return String::new() };
    let shown = cut(&first.title);
    let marks = marks(first, &shown);
    if marks.is_empty() {
        return String::new();
    }
    // Spans that touch are one: bold that begins where bold ends is no markup.
    let mut places: Vec<Range<usize>> = Vec::new();
    for (place, _) in marks {
        match places.last_mut() {
            Some(last) if last.end == place.start => last.end = place.end,
            _ => places.push(place),
        }
    }
    let (mut text, mut from) = (String::new(), 0);
    for place in places {
        let (before, inside) = (escape(&shown[from..place.start]), escape(&shown[place.clone()]));
        text.push_str(&format!("{before}**{inside}**"));
        from = place.end;
    }
    format!("; first: {text}{}", escape(&shown[from..]))
}

fn training(report: &Report) -> String {
    if report.training.is_empty() {
        return String::new();
    }
    let columns = ["steps", "first loss", "last loss", "time"].map(str::to_owned);
    let row = |one: &TrainingReport| {
        let mut losses = one.points.iter().filter_map(|point| point.loss);
        let first = losses.next();
        let last = losses.next_back().or(first);
        let short = |value: Option<f64>| value.map_or(numbers::NONE.to_owned(), numbers::short);
        vec![
            format!("{}{}", named(&one.name), if one.diverged { " (diverged)" } else { "" }),
            escape(&one.objective),
            numbers::count(one.steps),
            short(first),
            short(last),
            one.seconds.map_or(numbers::NONE.to_owned(), numbers::seconds),
        ]
    };
    let rows: Vec<Vec<String>> = report.training.iter().map(row).collect();
    let names = head(&["training", "objective"], columns);
    let mut text = format!("\n## Training\n{}", tables(2, &names, &rows));
    text.push('\n');
    for one in &report.training {
        let Some(health) = &one.health else { continue };
        let (name, course) = (escape(&one.name), health.course.name());
        text.push_str(&format!("- {name} is {course}: {}\n", escape(&health.sentences.join(" "))));
    }
    for one in &report.training {
        let Some(pairs) = &one.pairs else { continue };
        text.push_str(&format!("\nPairs of {}:\n\n", escape(&one.name)));
        for sentence in &pairs.sentences {
            text.push_str(&format!("- {}\n", escape(sentence)));
        }
        for pair in pairs.sample.iter().take(FEW_PAIRS) {
            let query =
                pair.query.as_deref().map_or_else(String::new, |query| format!("“{query}”: "));
            let pair =
                format!("{query}“{}” over “{}”: {}", pair.chosen, pair.rejected, pair.reason);
            text.push_str(&format!("- {}\n", escape(&pair)));
        }
    }
    text
}

/// Leaks and calibration.
fn trust(report: &Report) -> String {
    let mut text = String::new();
    if !report.leaks.is_empty() {
        text.push_str("\n## Leak check\n\n");
        for leak in &report.leaks {
            let (count, share) = (numbers::count(leak.count), numbers::percent(leak.share));
            text.push_str(&format!("- {}: {count} ({share})", escape(&leak.what)));
            let examples: Vec<String> =
                leak.examples.iter().take(5).map(|one| escape(&cut(one))).collect();
            if !examples.is_empty() {
                text.push_str(&format!(", such as {}", examples.join("; ")));
            }
            text.push('\n');
        }
    }
    if let Some(log) = logged::logged(report) {
        let row = |row: &logged::Row| {
            let cells = row.cells.iter().map(|cell| cell.figure.text.clone());
            std::iter::once(named(&row.system)).chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = log.rows.iter().map(row).collect();
        let names = head(&["system"], log.heads);
        text.push_str(&format!("\n## What the log says\n\n{}\n", log.lead));
        if !log.policies.is_empty() {
            text.push_str(&format!("\n{}\n", log.policies));
        }
        text.push_str(&tables(1, &names, &rows));
    }
    if !report.reliability.is_empty() {
        let columns = ["predicted", "came true", "count"].map(str::to_owned);
        let rows: Vec<Vec<String>> = report
            .reliability
            .iter()
            .flat_map(|one| one.bins.iter().map(move |bin| (one, bin)))
            .map(|(one, bin)| {
                vec![
                    named(&one.system),
                    format!("{} to {}", numbers::short(bin.low), numbers::short(bin.high)),
                    numbers::value(bin.mean_prediction),
                    numbers::value(bin.share_positive),
                    numbers::count(bin.count),
                ]
            })
            .collect();
        let names = head(&["system", "bin"], columns);
        text.push_str(&format!("\n## Calibration\n{}", tables(2, &names, &rows)));
    }
    text
}

/// The text, or its beginning with an ellipsis where it is longer.
fn cut(text: &str) -> String {
    match text.char_indices().nth(CUT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A code block that no line of the text can close.
fn fenced(text: &str) -> String {
    let mut longest = 0;
    let mut current = 0;
    for c in text.chars() {
        current = if c == '`' { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}toml\n{}\n{fence}\n", text.trim_end())
}

/// Text that shows as itself, on one line.
fn escape(text: &str) -> String {
    characters::escape(text, |c| match c {
        '&' => Written::As("&amp;"),
        '<' => Written::As("&lt;"),
        '>' => Written::As("&gt;"),
        '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => Written::Behind,
        _ => Written::Plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::SpanReport;
    use crate::report::sample;

    /// The text with runs of spaces as one.
    fn plain(report: &Report) -> String {
        let line = |line: &str| {
            line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        };
        markdown(report).lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn words_that_earned_a_place_are_bold_and_those_that_touch_are_one() {
        let item = |spans: &[(u64, u64)]| ExampleItem {
            title: "Oak side_table, oval".to_owned(),
            spans: spans
                .iter()
                .map(|&(start, end)| SpanReport { start, end, worth: 1.0 })
                .collect(),
            ..ExampleItem::default()
        };
        let told = |spans: &[(u64, u64)]| first_told(&[item(spans)]);
        assert_eq!(told(&[]), "");
        assert_eq!(told(&[(4, 14)]), "; first: Oak **side\\_table**, oval");
        let weak = SpanReport { start: 0, end: 3, worth: 0.009 };
        let mut strong = item(&[(4, 8)]);
        strong.spans.insert(0, weak);
        assert_eq!(first_told(&[strong]), "; first: Oak **side**\\_table, oval");
        assert_eq!(told(&[(0, 2), (2, 3), (16, 20)]), "; first: **Oak** side\\_table, **oval**");
    }

    #[test]
    fn seeds_have_a_table_where_there_are_any() {
        let mut report = sample::report();
        assert!(!markdown(&report).contains("By seed"));
        sample::train_twice(&mut report);
        let text = plain(&report);
        assert!(text.contains("\n### By seed\n\n| system | seed | recall@10 |"), "{text}");
        assert!(text.contains("\n| aligned | 18 | 0.457 | – |"), "{text}");
    }

    #[test]
    fn the_table_has_one_row_per_system_and_even_columns() {
        let text = markdown(&sample::report());
        let rows: Vec<&str> =
            text.lines().skip_while(|line| *line != "## Systems").skip(4).take(7).collect();
        assert!(rows[0].starts_with("| [aligned][5] "), "{}", rows[0]);
        assert!(rows[0].contains("| **0.447** ▲ |"), "{}", rows[0]);
        assert!(text.contains("\n[5]: ./steps/system.aligned/run.tsv\n"), "{text}");
        assert!(text.contains("colbert &lt;v2&gt;") && !text.contains("NaN"));
    }

    #[test]
    fn tables_fit_a_terminal() {
        let mut report = sample::report();
        // What must be escaped is wider than it shows.
        report.systems[2].name =
            "a-very-long-name-of-a-system-with-all-its-settings-at-30".to_owned();
        for one in report.comparisons.iter_mut().filter(|one| one.system.contains('<')) {
            one.system = "colbert".to_owned();
        }
        let text = markdown(&report);
        let rows = text.lines().filter(|line| line.starts_with('|') && !line.contains("&lt;"));
        let widest = rows.max_by_key(|line| line.chars().count()).unwrap_or_default();
        assert!(widest.chars().count() <= WIDTH, "{widest}");
        assert!(widest.chars().count() > WIDTH / 2 && text.contains("-at-30"), "{widest}");
    }

    #[test]
    fn it_holds_what_the_page_holds() {
        let text = plain(&sample::report());
        for piece in [
            "## Cost",
            "**0.2%** (must be 0)",
            "## recall@10 by slice",
            "| by item exposure | head (903) |",
            "- never seen: relevant item never shown in training",
            "| aligned | two-tower | +0.059 ▲ |",
            "of 0.447 (95% interval 0.436 to 0.459).",
            "- **small oak side table** (largest win of aligned over bm25)",
            "- bm25: found at 3 (0.333)",
            "The JSON form has all 21 requests.",
            "| supervised | supervised | 900 |",
            "## Leak check",
            "such as small oak side table; brass lamp; &lt;svg onload=alert(1)&gt;",
            "| two-tower | 0 to 0.1 |",
            "- fingerprint of items.csv: blake3:5d1f8c0a77b2e946 (412 kB)",
            "- commit: 4626671c0ffee",
            "values.parquet",
        ] {
            assert!(text.contains(piece), "{piece} is missing in\n{text}");
        }
        // Every row of a table is as wide as its head.
        let mut width = 0;
        for line in text.lines() {
            let bars = line.matches('|').count();
            width = if line.starts_with('|') && width == 0 { bars } else { width };
            if !line.starts_with('|') {
                width = 0;
                continue;
            }
            assert_eq!(bars, width, "{line}");
        }
        assert!(!markdown(&Report::default()).contains("NaN"));
    }

    #[test]
    fn texts_cannot_form_markup() {
        assert_eq!(escape("a|b\n# c_d <i>"), "a\\|b \\# c\\_d &lt;i&gt;");
        assert!(fenced("x = '````'").starts_with("`````toml\n"));
    }
}
