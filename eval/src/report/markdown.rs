//! The report as Markdown, for pull requests, issues and model cards: the same content as the page, without
//! charts and with fewer requests.

use super::characters::{self, Written};
use super::model::{ExampleItem, Report, SliceReport};
use super::sentence::Sentence;
use super::{link, numbers, table, words};

/// Requests that are shown.
const REQUESTS: usize = 5;
/// Characters of texts from requests that are shown.
const CUT: usize = 120;

/// The report as Markdown text with a final line break. Texts of the report cannot form markup.
pub fn markdown(report: &Report) -> String {
    let summary = words::summary(report);
    let mut text = format!("# {}\n\n", escape(&report.name));
    if !report.description.is_empty() {
        text.push_str(&format!("{}\n\n", escape(&report.description)));
    }
    text.push_str(&format!("**{}**\n\n", sentence_text(&summary.headline)));
    for sentence in &summary.sentences {
        text.push_str(&format!("{}\n", sentence_text(sentence)));
    }
    text.push('\n');
    for warning in &report.warnings {
        text.push_str(&format!("> **Warning:** {}\n>\n", escape(warning)));
    }
    if !report.warnings.is_empty() {
        text.push('\n');
    }
    text.push_str("## Systems\n\n");
    let table = table::table(report);
    text.push_str(&systems(report, &table));
    text.push_str(&seeds(report));
    text.push_str(&costs(&table));
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
    text
}

fn identifiers(report: &Report) -> String {
    let mut text = String::new();
    if !report.identifiers.is_empty() {
        text.push_str("\n## Identifiers\n\n");
        text.push_str(
            "| identifier | level | codes used | entropy | evenness | Gini | shared prefixes |\n",
        );
        text.push_str("|---|---:|---:|---:|---:|---:|---:|\n");
        for identifier in &report.identifiers {
            for (index, level) in identifier.levels.iter().enumerate() {
                text.push_str(&format!(
                    "| {} | {} | {} of {} | {} bits | {} | {} | {} |\n",
                    escape(&identifier.name),
                    index + 1,
                    numbers::count(level.used),
                    numbers::count(level.codes),
                    numbers::short(level.entropy_bits),
                    numbers::percent(level.normalized_entropy),
                    numbers::short(level.gini),
                    level.collision_rate.map_or_else(|| numbers::NONE.to_owned(), numbers::percent),
                ));
            }
        }
        for identifier in &report.identifiers {
            text.push_str(&format!(
                "\n{}: {} items under {} different identifiers; {} of the items share theirs.\n",
                escape(&identifier.name),
                numbers::count(identifier.items),
                numbers::count(identifier.distinct),
                numbers::percent(identifier.collision_rate),
            ));
            for finding in &identifier.findings {
                text.push_str(&format!("- {}\n", escape(finding)));
            }
        }
    }
    text
}

/// The first cell of a system's row; its name leads to its run.
fn name(row: &table::Row) -> String {
    format!("{}{}", linked(&row.name, row.link.as_deref()), row.note())
}

/// A text that leads to a run, where there is one.
fn linked(text: &str, link: Option<&str>) -> String {
    match link {
        Some(link) => format!("[{}]({link})", escape(text)),
        None => escape(text),
    }
}

fn sentence_text(sentence: &Sentence) -> String {
    sentence.pieces.iter().map(|piece| linked(&piece.text, piece.run())).collect()
}

fn head(first: &[&str], columns: &[String]) -> String {
    let names = first.iter().map(|one| (*one).to_owned()).chain(columns.iter().cloned());
    let rules = "---|".repeat(first.len()) + &"---:|".repeat(columns.len());
    format!("| {} |\n|{rules}\n", names.collect::<Vec<_>>().join(" | "))
}

fn systems(report: &Report, table: &table::Table) -> String {
    let columns: Vec<String> = table.metrics.iter().map(|one| escape(&one.name)).collect();
    let mut text = head(&["system"], &columns);
    for row in &table.rows {
        let mut cells = vec![name(row)];
        for cell in &row.cells {
            let figure = if cell.best {
                format!("**{}**", cell.figure.text)
            } else {
                cell.figure.text.clone()
            };
            let mark = if cell.mark.is_empty() { String::new() } else { format!(" {}", cell.mark) };
            let interval = if cell.interval.is_empty() {
                String::new()
            } else {
                format!("<br><sub>{}</sub>", cell.interval)
            };
            cells.push(format!("{figure}{mark}{interval}"));
        }
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    if !report.comparisons.is_empty() {
        let marks: Vec<String> =
            table::MARKS.iter().map(|(mark, meaning)| format!("{mark} {meaning}")).collect();
        text.push_str(&format!(
            "\n{}. Intervals hold {} of bootstrap means over the same requests; marks are after {} over {} comparisons.\n",
            marks.join(", "),
            numbers::percent(report.evaluation.confidence),
            escape(words::correction(report)),
            report.comparisons.len()
        ));
    }
    text
}

fn costs(table: &table::Table) -> String {
    if table.costs.is_empty() {
        return String::new();
    }
    let columns: Vec<String> = table.costs.iter().map(|one| escape(&one.name)).collect();
    let mut text = format!("\n## Cost\n\n{}", head(&["system"], &columns));
    for row in &table.rows {
        let figure = |one: &table::Figure| {
            if one.fault { format!("**{}** (must be 0)", one.text) } else { one.text.clone() }
        };
        let cells: Vec<String> = row.costs.iter().map(figure).collect();
        text.push_str(&format!("| {} | {} |\n", name(row), cells.join(" | ")));
    }
    text
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
        let columns: Vec<String> = slices.iter().map(column).collect();
        text.push_str(&format!("\n{}", head(&[&format!("by {}", escape(by))], &columns)));
        for system in words::ordered(report) {
            let figure = |slice: &&SliceReport| {
                let own = slice.systems.iter().find(|one| one.name == system.name);
                let Some(one) = own.and_then(|one| one.metrics.get(metric)) else {
                    return numbers::NONE.to_owned();
                };
                let [value, low, high] = [one.value, one.low, one.high].map(numbers::value);
                format!("{value}<br><sub>{low} to {high}</sub>")
            };
            let cells: Vec<String> = slices.iter().map(figure).collect();
            let name = linked(&system.name, link::run(system).as_deref());
            text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
        }
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
    let columns: Vec<String> = report.evaluation.metrics.iter().map(|one| escape(one)).collect();
    let mut text = format!("\n### By seed\n\n{}", head(&["system", "seed"], &columns));
    for row in rows {
        let figures: Vec<&str> = row.figures.iter().map(|figure| figure.text.as_str()).collect();
        let (system, seed) = (escape(&row.system), escape(&row.seed));
        text.push_str(&format!("| {system} | {seed} | {} |\n", figures.join(" | ")));
    }
    text
}

fn pairs(report: &Report) -> String {
    let pairs = table::pairs(report);
    let Some(metric) = report.evaluation.metrics.first().filter(|_| !pairs.is_empty()) else {
        return String::new();
    };
    let columns = ["difference", "interval", "p, corrected", "won / tied / lost"];
    let mut text = format!(
        "\n## Pairs of systems on {}\n\n{}",
        escape(metric),
        head(&["system", "against"], &columns.map(str::to_owned))
    );
    for one in pairs {
        text.push_str(&format!(
            "| {} | {} | {} {} | {} | {} | {} |\n",
            linked(&one.system, one.link.as_deref()),
            linked(&one.baseline, one.baseline_link.as_deref()),
            one.difference.text,
            one.mark,
            one.interval,
            one.p_value.text,
            if one.requests.is_empty() { numbers::NONE } else { &one.requests },
        ));
    }
    text
}

/// The first requests, with the rank at which each system found something relevant.
fn requests(report: &Report) -> String {
    if report.examples.is_empty() {
        return String::new();
    }
    let mut text = "\n## Requests\n".to_owned();
    for example in report.examples.iter().take(REQUESTS) {
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
            let found = found.map_or_else(
                || "none relevant in what is kept".to_owned(),
                |rank| format!("found at {}", rank + 1),
            );
            let value = example.values.get(&system.system);
            let value = value.map_or_else(String::new, |&v| format!(" ({})", numbers::value(v)));
            let name = linked(&system.system, link::run_of(report, &system.system).as_deref());
            text.push_str(&format!("  - {name}: {found}{value}\n"));
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

fn training(report: &Report) -> String {
    if report.training.is_empty() {
        return String::new();
    }
    let columns = ["steps", "first loss", "last loss", "time"].map(str::to_owned);
    let mut text = format!("\n## Training\n\n{}", head(&["training", "objective"], &columns));
    for one in &report.training {
        let mut losses = one.points.iter().filter_map(|point| point.loss);
        let first = losses.next();
        let last = losses.next_back().or(first);
        let short = |value: Option<f64>| value.map_or(numbers::NONE.to_owned(), numbers::short);
        text.push_str(&format!(
            "| {}{} | {} | {} | {} | {} | {} |\n",
            escape(&one.name),
            if one.diverged { " (diverged)" } else { "" },
            escape(&one.objective),
            numbers::count(one.steps),
            short(first),
            short(last),
            one.seconds.map_or(numbers::NONE.to_owned(), numbers::seconds),
        ));
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
    if !report.reliability.is_empty() {
        let columns = ["predicted", "came true", "count"].map(str::to_owned);
        text.push_str(&format!("\n## Calibration\n\n{}", head(&["system", "bin"], &columns)));
        for one in &report.reliability {
            for bin in &one.bins {
                text.push_str(&format!(
                    "| {} | {} to {} | {} | {} | {} |\n",
                    linked(&one.system, link::run_of(report, &one.system).as_deref()),
                    numbers::short(bin.low),
                    numbers::short(bin.high),
                    numbers::value(bin.mean_prediction),
                    numbers::value(bin.share_positive),
                    numbers::count(bin.count),
                ));
            }
        }
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
    use crate::report::sample;

    #[test]
    fn seeds_have_a_table_where_there_are_any() {
        let mut report = sample::report();
        assert!(!markdown(&report).contains("By seed"));
        sample::train_twice(&mut report);
        let text = markdown(&report);
        assert!(text.contains("\n### By seed\n\n| system | seed | recall@10 |"), "{text}");
        assert!(text.contains("\n| aligned | 18 | 0.457 | – |"), "{text}");
    }

    #[test]
    fn the_table_has_one_row_per_system_and_even_columns() {
        let text = markdown(&sample::report());
        let rows: Vec<&str> =
            text.lines().skip_while(|line| *line != "## Systems").skip(4).take(7).collect();
        assert!(
            rows[0].starts_with("| [aligned](./steps/system.aligned/run.tsv) | **0.447** ▲<br>"),
            "{}",
            rows[0]
        );
        assert!(rows.iter().all(|row| row.matches('|').count() == 7));
        assert!(text.contains("colbert &lt;v2&gt;") && !text.contains("NaN"));
    }

    #[test]
    fn it_holds_what_the_page_holds() {
        let text = markdown(&sample::report());
        for piece in [
            "## Cost",
            "**0.2%** (must be 0)",
            "## recall@10 by slice",
            "| by item exposure | head (903) |",
            "- never seen: relevant item never shown in training",
            "| [aligned](./steps/system.aligned/run.tsv) | [two-tower](./steps/system.two-tower/run.tsv) | +0.059 ▲ |",
            "of [0.447 (95% interval 0.436 to 0.459)](./steps/system.aligned/run.tsv).",
            "- **small oak side table** (largest win of aligned over bm25)",
            "  - [bm25](./steps/system.bm25/run.tsv): found at 3 (0.333)",
            "The JSON form has all 21 requests.",
            "| supervised | supervised | 900 |",
            "## Leak check",
            "such as small oak side table; brass lamp; &lt;svg onload=alert(1)&gt;",
            "| [two-tower](./steps/system.two-tower/run.tsv) | 0 to 0.1 |",
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
