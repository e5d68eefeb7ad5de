//! The report for a terminal: the table of systems in aligned plain text, for the end of a run.

use std::ops::Range;

use super::model::Report;
use super::table::{MARKS, table};
use super::words::{seeds_sentence, summary};

/// Most characters in a line of sentences.
const PROSE: usize = 80;

/// The outcome in one sentence, the table with significance marks, and what the marks mean. Ends with a line break.
pub fn text_table(report: &Report) -> String {
    text_table_within(report, usize::MAX)
}

/// As [`text_table`], in lines of at most so many characters where that is possible: a wider table is shown in blocks
/// of columns, each with the names of the systems.
pub fn text_table_within(report: &Report, columns: usize) -> String {
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
    let is_metric = |column: usize| column <= table.metrics.len();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        if column == 0 { cells } else { cells + 2 * usize::from(is_metric(column)) }
    };
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    // Sentences are wrapped where the width is not known, too: a pager breaks long lines within words.
    let prose = columns.min(PROSE);
    let mut text = wrapped(&one_line(&summary(report).headline.to_string()), prose);
    text.extend(seeds_sentence(report).map(|sentence| wrapped(&one_line(&sentence), prose)));
    for block in blocks(&widths, columns) {
        text.push('\n');
        for (index, line) in lines.iter().enumerate() {
            let mut row = format!("{:<1$}", line[0], widths[0]);
            for column in block.clone() {
                // Heads of metrics stand over the figures, not over their marks.
                let metric_head = index == 0 && is_metric(column);
                let cell = &line[column];
                let cell = if metric_head { format!("{cell}  ") } else { cell.clone() };
                let width = widths[column];
                row.push_str(&format!("  {cell:>width$}"));
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
    }
    if !report.comparisons.is_empty() {
        let meaning: Vec<String> =
            MARKS.iter().map(|(mark, words)| format!("{mark} {words}")).collect();
        let on_one_line = meaning.join("   ");
        let fits = on_one_line.chars().count() <= prose;
        text.push('\n');
        for line in if fits { vec![on_one_line] } else { meaning } {
            text.push_str(&wrapped(&line, prose));
        }
    }
    for warning in &report.warnings {
        text.push_str(&wrapped(&format!("warning: {}", one_line(warning)), prose));
    }
    text
}

/// Columns behind the first, in blocks that fit beside it into so many characters, each at least one.
fn blocks(widths: &[usize], columns: usize) -> Vec<Range<usize>> {
    let first = widths.first().copied().unwrap_or(0);
    let (mut blocks, mut begin, mut used) = (Vec::new(), 1, first);
    for (column, width) in widths.iter().enumerate().skip(1) {
        if used + 2 + width > columns && column > begin {
            blocks.push(begin..column);
            (begin, used) = (column, first);
        }
        used += 2 + width;
    }
    blocks.push(begin..widths.len());
    blocks
}

/// Text in lines of at most so many characters, broken between words; ends with a line break.
pub fn wrapped(text: &str, columns: usize) -> String {
    let (mut lines, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > columns {
            lines.push('\n');
            used = 0;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += length;
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
        let lines: Vec<&str> = text.lines().skip(2).take(8).collect();
        assert!(lines[0].starts_with("system"), "{text}");
        assert!(lines[1].starts_with("aligned"), "{text}");
        assert!(lines[7].starts_with("oracle (ceiling)"), "{text}");
        let dot = |line: &str| line.chars().position(|c| c == '.').unwrap();
        assert!(lines[1..].iter().all(|line| dot(line) == dot(lines[1])), "{text}");
        assert!(text.contains("bm25 (baseline)") && text.contains("○ no difference"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_has_blocks_of_columns() {
        let report = sample::report();
        let wide = text_table(&report);
        let words = |text: &str| {
            let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            words.sort();
            words.dedup();
            words
        };
        for columns in [48, 60, 80, 100] {
            let narrow = text_table_within(&report, columns);
            let longest = narrow.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= columns, "{longest} in {columns}:\n{narrow}");
            assert_eq!(words(&narrow), words(&wide));
        }
        assert_eq!(text_table_within(&report, 1_000), wide);
    }

    #[test]
    fn sentences_are_wrapped_at_words_where_no_width_is_known() {
        let mut report = sample::report();
        report.warnings.push("every word of this is long enough ".repeat(9).trim().to_owned());
        let text = text_table(&report);
        let is_prose = |line: &&str| !line.contains("  ");
        let longest = text.lines().filter(is_prose).map(|line| line.chars().count()).max();
        assert!(longest.is_some_and(|longest| (60..=PROSE).contains(&longest)), "{text}");
        assert!(text.lines().any(|line| line.starts_with("▲ ")), "{text}");
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
