//! The table of systems for a paper: LaTeX with the package `booktabs`, one row per system and a column per metric.

use super::characters::{self, Written};
use super::model::Report;
use super::{numbers, table, words};

/// A `table` environment with a caption that says how to read it. The best of a column is bold, ceilings apart; arrows mark
/// significant differences from the baseline. It needs `\usepackage{booktabs}`; texts are escaped.
pub fn latex(report: &Report) -> String {
    let table = table::table(report);
    let mut text = String::from("% needs \\usepackage{booktabs}\n\\begin{table}\n  \\centering\n");
    text.push_str(&format!("  \\caption{{{}}}\n", caption(report)));
    text.push_str(&format!("  \\begin{{tabular}}{{l{}}}\n", "r".repeat(table.metrics.len())));
    text.push_str("    \\toprule\n");
    let head: Vec<String> = table.metrics.iter().map(|column| escape(&column.name)).collect();
    text.push_str(&line("system", &head));
    text.push_str("    \\midrule\n");
    let mut apart = false;
    for row in &table.rows {
        if row.ceiling && !apart {
            apart = true;
            text.push_str("    \\midrule\n");
        }
        let cells = row.cells.iter().map(|cell| {
            let figure = cell.figure.text.replace('−', "$-$").replace(numbers::NONE, "--");
            let figure = if cell.best { format!("\\textbf{{{figure}}}") } else { figure };
            // Marks take no room, so that figures stay aligned.
            match cell.mark {
                "▲" => format!("{figure}\\rlap{{$^{{\\uparrow}}$}}"),
                "▼" => format!("{figure}\\rlap{{$^{{\\downarrow}}$}}"),
                _ => figure,
            }
        });
        text.push_str(&line(&escape(&row.name), &cells.collect::<Vec<_>>()));
    }
    text.push_str("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n");
    text
}

fn line(first: &str, cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!(" & {cell}")).collect();
    format!("    {first}{cells} \\\\\n")
}

fn caption(report: &Report) -> String {
    let mut text =
        format!("Means over {}.", numbers::counted(report.counts.evaluated, "test request"));
    let Some(base) = report.baseline.as_deref().filter(|_| !report.comparisons.is_empty()) else {
        return text;
    };
    text.push_str(&format!(
        " $\\uparrow$ and $\\downarrow$: significantly above and below {} at level {}, after {} over {} comparisons.",
        escape(base),
        numbers::short(1.0 - report.evaluation.confidence),
        escape(words::correction(report)),
        report.comparisons.len()
    ));
    text
}

/// Text that shows as itself; control characters become spaces.
fn escape(text: &str) -> String {
    characters::escape(text, |c| match c {
        '\\' => Written::As("\\textbackslash{}"),
        '~' => Written::As("\\textasciitilde{}"),
        '^' => Written::As("\\textasciicircum{}"),
        '<' => Written::As("\\textless{}"),
        '>' => Written::As("\\textgreater{}"),
        '|' => Written::As("\\textbar{}"),
        '"' => Written::As("\\textquotedbl{}"),
        '{' | '}' | '$' | '&' | '#' | '_' | '%' => Written::Behind,
        _ => Written::Plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_table_is_whole() {
        let text = latex(&sample::report());
        let rows: Vec<&str> = text.lines().filter(|line| line.ends_with("\\\\")).collect();
        assert_eq!(rows.len(), 8, "{text}");
        assert!(rows.iter().all(|row| row.matches(" & ").count() == 5), "{text}");
        assert!(
            rows[1].starts_with("    aligned & \\textbf{0.447}\\rlap{$^{\\uparrow}$} & "),
            "{text}"
        );
        assert!(text.contains("colbert \\textless{}v2\\textgreater{}"));
        assert!(text.contains("hit\\_rate@10"));
        assert_eq!(text.matches("\\midrule").count(), 2);
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(
            escape("50% of a_b {x} \\y ~ ^ $1 #2 & \n\"q\""),
            "50\\% of a\\_b \\{x\\} \\textbackslash{}y \\textasciitilde{} \\textasciicircum{} \\$1 \\#2 \\&  \\textquotedbl{}q\\textquotedbl{}"
        );
        assert!(latex(&Report::default()).contains("\\begin{tabular}{l}"));
    }
}
