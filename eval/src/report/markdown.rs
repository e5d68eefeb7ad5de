//! The report as Markdown, for pull requests, issues and model cards: outcome, table, warnings and facts, without charts.

use super::model::Report;
use super::{numbers, table, words};

/// The report as Markdown text with a final line break. Texts of the report cannot form markup.
pub fn markdown(report: &Report) -> String {
    let summary = words::summary(report);
    let mut text = format!("# {}\n\n", escape(&report.name));
    if !report.description.is_empty() {
        text.push_str(&format!("{}\n\n", escape(&report.description)));
    }
    text.push_str(&format!("**{}**\n\n", escape(&summary.headline)));
    for sentence in &summary.sentences {
        text.push_str(&format!("{}\n", escape(sentence)));
    }
    text.push('\n');
    for warning in &report.warnings {
        text.push_str(&format!("> **Warning:** {}\n>\n", escape(warning)));
    }
    if !report.warnings.is_empty() {
        text.push('\n');
    }
    text.push_str("## Systems\n\n");
    text.push_str(&systems(report));
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
    text.push_str("\n## How it was measured\n\n");
    for (name, value) in table::facts(report).iter().chain(&table::machine(report)) {
        text.push_str(&format!("- {}: {}\n", escape(name), escape(value)));
    }
    for note in &report.notes {
        text.push_str(&format!("- {}\n", escape(note)));
    }
    if !report.recipe.is_empty() {
        text.push_str(&format!(
            "\n<details><summary>Resolved recipe</summary>\n\n{}\n</details>\n",
            fenced(&report.recipe)
        ));
    }
    text
}

fn systems(report: &Report) -> String {
    let table = table::table(report);
    let mut head = vec!["system".to_owned()];
    head.extend(table.metrics.iter().map(|metric| escape(metric)));
    if table.has_latency {
        head.extend(["p50".to_owned(), "p99".to_owned()]);
    }
    if table.has_memory {
        head.push("memory".to_owned());
    }
    let mut text = format!("| {} |\n|---{}|\n", head.join(" | "), "|---:".repeat(head.len() - 1));
    for row in &table.rows {
        let note = match (row.baseline, row.ceiling) {
            (true, _) => " (baseline)",
            (_, true) => " (ceiling)",
            _ => "",
        };
        let mut cells = vec![format!("{}{note}", escape(&row.name))];
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
        if table.has_latency {
            cells.extend([row.p50.text.clone(), row.p99.text.clone()]);
        }
        if table.has_memory {
            cells.push(row.memory.text.clone());
        }
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    if !report.comparisons.is_empty() {
        let marks: Vec<String> =
            table::MARKS.iter().map(|(mark, meaning)| format!("{mark} {meaning}")).collect();
        text.push_str(&format!(
            "\n{}. Intervals hold {} of bootstrap means over the same requests; marks are after Holm’s correction over {} comparisons.\n",
            marks.join(", "),
            numbers::percent(report.evaluation.confidence),
            report.comparisons.len()
        ));
    }
    text
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
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_table_has_one_row_per_system_and_even_columns() {
        let text = markdown(&sample::report());
        let rows: Vec<&str> = text.lines().filter(|line| line.contains("<sub>")).collect();
        assert_eq!(rows.len(), 7);
        assert!(rows[0].starts_with("| aligned | **0.447** ▲<br>"), "{}", rows[0]);
        assert!(rows.iter().all(|row| row.matches('|').count() == 10));
        assert!(text.contains("colbert &lt;v2&gt;") && !text.contains("NaN"));
    }

    #[test]
    fn texts_cannot_form_markup() {
        assert_eq!(escape("a|b\n# c_d <i>"), "a\\|b \\# c\\_d &lt;i&gt;");
        assert!(fenced("x = '````'").starts_with("`````toml\n"));
    }
}
