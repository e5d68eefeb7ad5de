//! What a corpus's own log says of the answers, as texts, shared by the page and the Markdown form.

use serde::Serialize;

use super::model::{LoggedSystem, PolicyReport, Report, TrueFigure};
use super::table::Figure;
use super::{link, numbers};

/// Effective rows from which an estimate is shown; one from fewer only misleads.
const LEAST_ROWS: f64 = 30.0;

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct Logged {
    /// What is counted, and what it means.
    pub(super) lead: String,
    /// What the estimates are; empty where there are none.
    pub(super) policies: String,
    /// Names of the cells.
    pub(super) heads: Vec<String>,
    /// In the order of the recipe.
    pub(super) rows: Vec<Row>,
}

/// One system.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) system: String,
    /// Address of its run.
    pub(super) link: Option<String>,
    pub(super) cells: Vec<Cell>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) figure: Figure,
    /// `low to high`; empty where it has none.
    pub(super) interval: String,
}

/// A column.
enum Column {
    Never,
    Unshown,
    Policy(&'static str),
    EffectiveRows,
    MeanWeight,
    /// What the truth says, and how that compares with the baseline.
    True(Truth),
    Gain(Truth),
}

/// A figure of the truth.
#[derive(Clone, Copy)]
enum Truth {
    Order,
    Clicks,
}

impl Truth {
    fn of(self, system: &LoggedSystem) -> Option<TrueFigure> {
        match self {
            Self::Order => system.true_order,
            Self::Clicks => system.true_clicks,
        }
    }
}

/// The section; none where the log recorded no pages.
pub(super) fn logged(report: &Report) -> Option<Logged> {
    let log = report.log.as_ref()?;
    let mut columns = vec![Column::Never];
    let mut lead = format!(
        "How many of the first {} answers no page of the log showed to anybody",
        numbers::count(u64::from(log.cutoff))
    );
    if log.requests > 0 {
        columns.push(Column::Unshown);
        lead += &format!(
            ", and how many nobody with the same query was shown (of {} requests, whose query the log knows)",
            numbers::count(log.requests)
        );
    }
    lead += ". What nobody was shown, nobody could choose: where judgments come from the log, such answers count as not relevant, though nobody knows.";
    let mut policies = String::new();
    if let Some(chosen) = log.chosen_share {
        let is_any = log.systems.iter().flat_map(|one| &one.policies).any(speaks);
        if is_any {
            columns.extend(["snips", "ips"].map(Column::Policy));
        }
        columns.extend([Column::EffectiveRows, Column::MeanWeight]);
        policies = format!(
            "Off-policy: which share of the items in the first {} places would be chosen if the system’s lists were shown, estimated from the {} items that were shown there with a known propensity ({} intervals over requests). The log itself has {}. Estimates from fewer than {} effective rows {}. Where the mean weight is far below 1, the log lacks what the system shows.",
            numbers::count(u64::from(log.cutoff)),
            numbers::count(log.rows),
            numbers::percent(report.evaluation.confidence),
            numbers::value(chosen.value),
            LEAST_ROWS,
            match is_any {
                true => "are left out",
                false => "would be left out, and no system has as many",
            },
        );
    }
    let knows = |truth: Truth| log.systems.iter().any(|one| truth.of(one).is_some());
    if knows(Truth::Order) {
        columns.extend([Column::True(Truth::Order), Column::Gain(Truth::Order)]);
        lead += " The truth of a simulated shop says how often two items shown for a request stand in the order of their true utility in the list (0.5 is chance).";
    }
    if knows(Truth::Clicks) {
        columns.extend([Column::True(Truth::Clicks), Column::Gain(Truth::Clicks)]);
        lead += " True clicks are those that the user of a request is expected to make by the laws of the shop, if these answers were the page.";
    }
    let row = |one: &LoggedSystem| Row {
        system: one.system.clone(),
        link: link::run_of(report, &one.system),
        cells: columns.iter().map(|column| column.cell(one)).collect(),
    };
    Some(Logged {
        lead,
        policies,
        heads: columns.iter().map(|column| column.head().to_owned()).collect(),
        rows: log.systems.iter().map(row).collect(),
    })
}

/// Whether an estimate rests on enough rows to be shown.
fn speaks(policy: &PolicyReport) -> bool {
    policy.effective_rows >= LEAST_ROWS
}

impl Column {
    fn head(&self) -> &'static str {
        match self {
            Self::Never => "shown to nobody",
            Self::Unshown => "to nobody with this query",
            Self::Policy(estimator) => estimator,
            Self::EffectiveRows => "effective rows",
            Self::MeanWeight => "mean weight",
            Self::True(Truth::Order) => "order of true utility",
            Self::True(Truth::Clicks) => "true clicks",
            Self::Gain(_) => "over the baseline",
        }
    }

    fn cell(&self, system: &LoggedSystem) -> Cell {
        // Of rows and weights both estimates say the same.
        let first = system.policies.first();
        let of =
            |name: &str| system.policies.iter().find(|one| one.estimator == name && speaks(one));
        let mut interval = String::new();
        let figure = match self {
            Self::Never => Figure::new(system.never_shown_share, numbers::percent),
            Self::Unshown => Figure::new(system.unshown_share, numbers::percent),
            Self::Policy(name) => {
                let value = of(name).map(|one| one.value);
                if let Some(value) = value.filter(|one| one.low.is_finite() && one.high.is_finite())
                {
                    interval =
                        format!("{} to {}", numbers::value(value.low), numbers::value(value.high));
                }
                Figure::new(value.map(|one| one.value), numbers::value)
            }
            Self::EffectiveRows => {
                Figure::new(first.map(|one| one.effective_rows), |rows| numbers::count(rows as u64))
            }
            Self::MeanWeight => Figure::new(first.map(|one| one.mean_weight), numbers::short),
            Self::True(truth) => {
                let value = truth.of(system).map(|figure| figure.value);
                if let Some(value) = value {
                    let (low, high) = (numbers::value(value.low), numbers::value(value.high));
                    interval = format!("{low} to {high}");
                }
                Figure::new(value.map(|value| value.value), numbers::value)
            }
            Self::Gain(truth) => {
                let figure = truth.of(system);
                if let Some(p) = figure.and_then(|figure| figure.p_value) {
                    interval = if p < 0.001 { "p < 0.001".into() } else { format!("p = {p:.3}") };
                }
                Figure::new(figure.and_then(|figure| figure.gain), |gain| format!("{gain:+.3}"))
            }
        };
        Cell { figure, interval }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::model::Estimate;
    use crate::report::sample;

    fn texts(logged: &Logged, row: usize) -> Vec<&str> {
        logged.rows[row].cells.iter().map(|cell| cell.figure.text.as_str()).collect()
    }

    #[test]
    fn only_what_the_log_knows_has_a_column() {
        let mut report = sample::report();
        let whole = logged(&report).unwrap();
        assert_eq!(whole.heads.len(), 6);
        assert_eq!(texts(&whole, 0), ["0%", "12%", "0.041", "0.043", "812", "1.04"]);
        assert_eq!(whole.rows[0].cells[2].interval, "0.038 to 0.044");
        // No answer stands where the log showed it.
        assert_eq!(texts(&whole, 2)[2..], [numbers::NONE; 4]);
        // Too few rows: how few is shown, what they say is not.
        report.log.as_mut().unwrap().systems[0]
            .policies
            .iter_mut()
            .for_each(|one| one.effective_rows = 29.4);
        assert_eq!(
            texts(&logged(&report).unwrap(), 0)[2..],
            [numbers::NONE, numbers::NONE, "29", "1.04"]
        );
        let all = report.log.as_mut().unwrap().systems.iter_mut().flat_map(|one| &mut one.policies);
        all.for_each(|one| one.effective_rows = 3.0);
        let silent = logged(&report).unwrap();
        assert_eq!(silent.heads[2..], ["effective rows", "mean weight"]);
        assert!(silent.policies.contains("no system has as many"));
        let order = TrueFigure {
            value: Estimate { value: 0.61, low: 0.6, high: 0.62 },
            requests: 80,
            gain: Some(0.0123),
            p_value: Some(0.0321),
        };
        report.log.as_mut().unwrap().systems[1].true_order = Some(order);
        let told = logged(&report).unwrap();
        assert_eq!(told.heads[4..], ["order of true utility", "over the baseline"]);
        assert_eq!(texts(&told, 1)[4..], ["0.610", "+0.012"]);
        assert_eq!(told.rows[1].cells[5].interval, "p = 0.032");
        assert_eq!(texts(&told, 0)[4..], [numbers::NONE; 2]);
        assert!(told.lead.contains("0.5 is chance"));
        report.log.as_mut().unwrap().systems[1].true_order = None;
        report.log.as_mut().unwrap().systems[1].true_clicks = Some(order);
        let told = logged(&report).unwrap();
        assert_eq!(told.heads[4..], ["true clicks", "over the baseline"]);
        assert_eq!(texts(&told, 1)[4..], ["0.610", "+0.012"]);
        report.log.as_mut().unwrap().systems[1].true_clicks = None;
        report.log.as_mut().unwrap().chosen_share = None;
        report.log.as_mut().unwrap().requests = 0;
        let bare = logged(&report).unwrap();
        assert_eq!((bare.heads.len(), bare.policies.as_str()), (1, ""));
        assert!(!bare.lead.contains("same query"));
        report.log = None;
        assert!(logged(&report).is_none());
    }
}
