//! The report for a terminal: the table of systems in aligned plain text, for the end of a run.

use super::characters;
use super::model::Report;
use super::table::{MARKS, Row, table};
use super::words::{seeds_sentence, summary};

/// Characters of a line.
const WIDTH: usize = 80;
/// Characters of a name in front of its figures; of longer ones the middle is left out.
const NAME: usize = 32;
/// Spaces before a column.
const GAP: usize = 2;

/// The outcome in a sentence, the table with significance marks, and what the marks mean. No line is wider than a terminal:
/// columns that do not fit beside each other follow below. Ends with a line break.
pub fn text_table(report: &Report) -> String {
    let table = table(report);
    let mut names = vec!["system".to_owned()];
    names.extend(table.rows.iter().map(name));
    let mut columns: Vec<Vec<String>> = Vec::new();
    for (at, metric) in table.metrics.iter().enumerate() {
        // Heads of metrics stand over the figures, not over their marks.
        let mut column = vec![format!("{}  ", one_line(&metric.name))];
        column.extend(table.rows.iter().map(|row| {
            let cell = &row.cells[at];
            let mark = if cell.mark.is_empty() { " " } else { cell.mark };
            format!("{} {mark}", cell.figure.text)
        }));
        columns.push(column);
    }
    for (at, cost) in table.costs.iter().enumerate().filter(|(_, cost)| cost.short) {
        let mut column = vec![cost.name.clone()];
        column.extend(table.rows.iter().map(|row| row.costs[at].text.clone()));
        columns.push(column);
    }
    let mut text = wrapped(&one_line(&summary(report).headline.to_string()));
    text.extend(seeds_sentence(report).map(|sentence| wrapped(&sentence)));
    text.push('\n');
    text.push_str(&blocks(&names, &columns).join("\n"));
    if !report.comparisons.is_empty() {
        text.push('\n');
        for (mark, meaning) in MARKS {
            text.push_str(&format!("{mark} {meaning}\n"));
        }
    }
    for warning in &report.warnings {
        text.push_str(&wrapped(&format!("warning: {}", one_line(warning))));
    }
    text
}

/// A system's name with its note, at most [`NAME`] characters wide.
fn name(row: &Row) -> String {
    let note = row.note();
    format!("{}{note}", characters::shortened(&one_line(&row.name), NAME - note.chars().count()))
}

/// Rows of as many columns as fit beside the names, then of the next ones.
fn blocks(names: &[String], columns: &[Vec<String>]) -> Vec<String> {
    let widest =
        |cells: &[String]| cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    let of_names = widest(names);
    let mut blocks = Vec::new();
    let mut rest = columns;
    loop {
        let mut width = of_names;
        let fits = rest.iter().take_while(|column| {
            width += GAP + widest(column);
            width <= WIDTH
        });
        // One column that is too wide alone stands alone.
        let (shown, later) = rest.split_at(fits.count().max(1).min(rest.len()));
        let mut block = String::new();
        for (at, name) in names.iter().enumerate() {
            let mut line = format!("{name:<of_names$}");
            for column in shown {
                let width = GAP + widest(column);
                line.push_str(&format!("{:>width$}", column[at]));
            }
            block.push_str(line.trim_end());
            block.push('\n');
        }
        blocks.push(block);
        rest = later;
        if rest.is_empty() {
            return blocks;
        }
    }
}

/// The text in lines that are not wider than a terminal, where its words are not; the ends of lines included.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            lines.push('\n');
            width = 0;
        } else if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += length;
    }
    lines.push('\n');
    lines
}

/// Text without line breaks and control characters, which would break the alignment or steer the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn columns_are_aligned() {
        let text = text_table(&sample::report());
        let lines: Vec<&str> =
            text.lines().skip_while(|line| !line.starts_with("system")).take(8).collect();
        assert!(lines[0].starts_with("system"), "{text}");
        assert!(lines[1].starts_with("aligned"), "{text}");
        assert!(lines[7].starts_with("oracle (ceiling)"), "{text}");
        let dot = |line: &str| line.chars().position(|c| c == '.').unwrap();
        assert!(lines[1..].iter().all(|line| dot(line) == dot(lines[1])), "{text}");
        assert!(text.contains("bm25 (baseline)") && text.contains("○ no difference"), "{text}");
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let mut report = sample::report();
        report.systems[1].name =
            "a-very-long-name-of-a-system-with-all-its-settings-at-30".to_owned();
        report.systems[2].name =
            "a-very-long-name-of-a-system-with-all-its-settings-at-31".to_owned();
        let text = text_table(&report);
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(WIDTH), "{longest:?}\n{text}");
        for part in ["-at-30", "-at-31", "memory", "p99", "ndcg@10"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        for report in [sample::huge(), Report::default()] {
            let text = text_table(&report);
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut report = sample::report();
        report.systems[0].name = "a\u{1b}[31m\nb".to_owned();
        assert!(!text_table(&report).contains('\u{1b}'));
    }

    #[test]
    fn an_empty_report_is_shown() {
        assert!(text_table(&Report::default()).contains("No system was evaluated."));
    }
}
