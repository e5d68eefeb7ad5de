//! The report for a terminal: the table of systems in aligned plain text, for the end of a run.

use super::model::Report;
use super::table::{MARKS, table};
use super::words::summary;

/// The outcome in one sentence, the table with significance marks, and what the marks mean. Ends with a line break.
pub fn text_table(report: &Report) -> String {
    let table = table(report);
    let mut lines: Vec<Vec<String>> = Vec::with_capacity(table.rows.len() + 1);
    let mut head = vec!["system".to_owned()];
    head.extend(
        table
            .metrics
            .iter()
            .chain(&table.costs)
            .filter(|one| one.short)
            .map(|one| one.name.clone()),
    );
    lines.push(head);
    for row in &table.rows {
        let mut line = vec![format!("{}{}", one_line(&row.name), row.note())];
        line.extend(row.cells.iter().map(|cell| {
            let mark = if cell.mark.is_empty() { " " } else { cell.mark };
            format!("{} {mark}", cell.figure.text)
        }));
        let costs = row.costs.iter().zip(&table.costs).filter(|(_, column)| column.short);
        line.extend(costs.map(|(figure, _)| figure.text.clone()));
        lines.push(line);
    }
    let n_columns = lines[0].len();
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    let mut text = format!("{}\n\n", one_line(&summary(report).headline.to_string()));
    for (index, line) in lines.iter().enumerate() {
        let mut row = format!("{:<1$}", line[0], widths[0]);
        for (column, cell) in line.iter().enumerate().skip(1) {
            // Heads of metrics stand over the figures, not over their marks.
            let metric_head = index == 0 && column <= table.metrics.len();
            let cell = if metric_head { format!("{cell}  ") } else { cell.clone() };
            let width = widths[column] + 2 * usize::from(column <= table.metrics.len());
            row.push_str(&format!("  {cell:>width$}"));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    if !report.comparisons.is_empty() {
        let meaning: Vec<String> =
            MARKS.iter().map(|(mark, words)| format!("{mark} {words}")).collect();
        text.push_str(&format!("\n{}\n", meaning.join("   ")));
    }
    for warning in &report.warnings {
        text.push_str(&format!("warning: {}\n", one_line(warning)));
    }
    text
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
        let lines: Vec<&str> = text.lines().skip(2).take(8).collect();
        assert!(lines[0].starts_with("system"), "{text}");
        assert!(lines[1].starts_with("aligned"), "{text}");
        assert!(lines[7].starts_with("oracle (ceiling)"), "{text}");
        let dot = |line: &str| line.chars().position(|c| c == '.').unwrap();
        assert!(lines[1..].iter().all(|line| dot(line) == dot(lines[1])), "{text}");
        assert!(text.contains("bm25 (baseline)") && text.contains("○ no difference"), "{text}");
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
