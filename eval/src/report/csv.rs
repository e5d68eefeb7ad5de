//! The table of systems as CSV (RFC 4180), for spreadsheets and notebooks: figures at full precision, one row per system.

use super::model::Report;
use super::{table, words};

/// One row per system, best first. Per metric four columns: the mean under the metric's name, then `low`, `high` and `against
/// baseline`, which is `above`, `below`, `not shown` or empty; then median, 95th and 99th percentile of latency in
/// milliseconds, memory and size in bytes, and the operational figures. Unknown figures are empty; lines end in CR LF.
pub fn csv(report: &Report) -> String {
    let systems = words::ordered(report);
    let operational: std::collections::BTreeSet<&String> =
        systems.iter().flat_map(|system| system.operational.keys()).collect();
    let mut head: Vec<String> = ["system", "kind", "role"].map(str::to_owned).to_vec();
    for metric in &report.evaluation.metrics {
        head.push(metric.clone());
        head.extend(["low", "high", "against baseline"].map(|part| format!("{metric} {part}")));
    }
    head.extend(COSTS.map(str::to_owned));
    head.extend(operational.iter().map(|name| (*name).clone()));
    head.push("run".to_owned());
    let mut text = line(&head);
    for system in systems {
        let role = match (report.baseline.as_deref() == Some(&system.name), system.is_ceiling()) {
            (true, _) => "baseline",
            (_, true) => "ceiling",
            _ => "",
        };
        let mut row = vec![system.name.clone(), system.kind.clone(), role.to_owned()];
        for metric in &report.evaluation.metrics {
            let one = system.metrics.get(metric);
            let parts = [one.map(|one| one.value), one.map(|one| one.low), one.map(|one| one.high)];
            row.extend(parts.map(number));
            let comparison = report.comparison(&system.name, metric);
            let mark = comparison.map_or("", |one| match table::mark(one).0 {
                "▲" => "above",
                "▼" => "below",
                _ => "not shown",
            });
            row.push(mark.to_owned());
        }
        let latency = system.latency_ms;
        let costs = [
            latency.map(|one| one.p50),
            latency.and_then(|one| one.p95),
            latency.map(|one| one.p99),
            system.peak_bytes.map(|bytes| bytes as f64),
            system.bytes.map(|bytes| bytes as f64),
        ];
        row.extend(costs.map(number));
        row.extend(operational.iter().map(|&name| number(system.operational.get(name).copied())));
        row.push(system.run.clone().unwrap_or_default());
        text.push_str(&line(&row));
    }
    text
}

const COSTS: [&str; 5] = ["p50 ms", "p95 ms", "p99 ms", "memory bytes", "size bytes"];

fn number(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(String::new, |value| value.to_string())
}

fn line(cells: &[String]) -> String {
    let quoted = |cell: &String| {
        if cell.contains(['"', ',', '\n', '\r']) || cell.trim() != cell {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.clone()
        }
    };
    let cells: Vec<String> = cells.iter().map(quoted).collect();
    format!("{}\r\n", cells.join(","))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// A reader of RFC 4180, to check what was written.
    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell, mut quoted) =
            (Vec::new(), Vec::new(), String::new(), false);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut cell)),
                '\r' if !quoted => {}
                '\n' if !quoted => {
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                c => cell.push(c),
            }
        }
        assert!(!quoted && cell.is_empty());
        rows
    }

    #[test]
    fn rows_read_back_at_full_precision() {
        let mut report = sample::report();
        report.systems[4].name = "a \"quoted\", name\nin two lines".to_owned();
        let rows = read(&csv(&report));
        assert_eq!(rows.len(), 8);
        assert!(rows.iter().all(|row| row.len() == rows[0].len()));
        let column = |name: &str| rows[0].iter().position(|one| one == name).unwrap();
        assert_eq!(rows[1][0], report.systems[4].name);
        let value: f64 = rows[1][column("recall@10")].parse().unwrap();
        assert_eq!(value, report.systems[4].metrics["recall@10"].value);
        let bm25 = rows.iter().find(|row| row[0] == "bm25").unwrap();
        assert_eq!(
            (bm25[2].as_str(), bm25[column("recall@10 against baseline")].as_str()),
            ("baseline", "")
        );
        let tower = rows.iter().find(|row| row[0] == "two-tower").unwrap();
        assert_eq!(tower[column("recall@10 against baseline")], "below");
        assert_eq!(tower[column("p95 ms")].parse::<f64>().unwrap(), 1.9 * 1.8);
        let colbert = rows.iter().find(|row| row[0].starts_with("colbert")).unwrap();
        assert_eq!(colbert[column("p50 ms")], "");
    }
}
