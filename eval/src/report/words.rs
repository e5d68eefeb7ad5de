//! What came out, in sentences: who won, by how much, how sure, at what cost. Plain text; the caller escapes.

use std::collections::BTreeSet;

use super::model::{Comparison, Report, SystemReport, Verdict};
use super::numbers;
use super::sentence::Sentence;
use crate::metric::{Better, better_of};

/// Whether less of the metric is better: as the table of metrics says, or the report for values from outside.
pub(super) fn lower_is_better(report: &Report, metric: &str) -> bool {
    better_of(metric) == Some(Better::Lower)
        || report.evaluation.lower_is_better.iter().any(|one| one == metric)
}

/// The correction of p values, in words.
pub(super) fn correction(report: &Report) -> &str {
    report.evaluation.correction.as_deref().unwrap_or("Holm’s correction")
}

/// The outcome in words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Summary {
    /// One sentence.
    pub(super) headline: Sentence,
    /// What a reader asks next, one sentence each.
    pub(super) sentences: Vec<Sentence>,
}

/// The outcome on the first metric, with the other metrics, the cost and the ceiling beside it.
pub(super) fn summary(report: &Report) -> Summary {
    let Some((metric, leader)) = leader(report) else {
        return Summary { headline: say("No system was evaluated."), sentences: Vec::new() };
    };
    let baseline = report.baseline.as_deref().and_then(|name| report.system(name));
    let comparison = report.comparison(&leader.name, metric);
    let mut sentences = vec![level_sentence(report, metric, leader)];
    sentences.extend(seeds_sentence(report).map(say));
    if let Some(one) = comparison {
        sentences.push(certainty_sentence(report, leader, one));
        sentences.extend(requests_sentence(leader, one));
    }
    sentences.extend(others_sentence(report, metric, leader));
    sentences.extend(metrics_sentence(report, metric, leader));
    sentences.extend(cost_sentence(leader, baseline));
    sentences.extend(ceiling_sentence(report, metric, leader));
    let mut headline = headline(report, metric, leader, baseline, comparison);
    // Each run is led to once: a reader who wants it finds it, and one who reads is not held up.
    let mut led = BTreeSet::new();
    for sentence in std::iter::once(&mut headline).chain(&mut sentences) {
        sentence.lead_once(&mut led);
    }
    Summary { headline, sentences }
}

/// A sentence that begins with these words.
fn say(text: impl Into<String>) -> Sentence {
    Sentence::default().say(text)
}

/// Systems from best to worst on the first metric, ceilings last; ties keep the order of the recipe.
pub(super) fn ordered(report: &Report) -> Vec<&SystemReport> {
    let metric = report.evaluation.metrics.first();
    let lower = metric.is_some_and(|metric| lower_is_better(report, metric));
    let sign = if lower { -1.0 } else { 1.0 };
    let value = |system: &SystemReport| metric.and_then(|metric| mean(system, metric));
    let mut systems: Vec<&SystemReport> = report.systems.iter().collect();
    systems.sort_by(|left, right| {
        let value = |system| value(system).map_or(f64::MIN, |value| sign * value);
        let (left_value, right_value) = (value(left), value(right));
        left.is_ceiling().cmp(&right.is_ceiling()).then(right_value.total_cmp(&left_value))
    });
    systems
}

/// The color and shape of a system in every chart: its place in the recipe among those that are no ceiling.
pub(super) fn look(report: &Report, system: &str) -> usize {
    let rivals = report.systems.iter().filter(|one| !one.is_ceiling());
    rivals.take_while(|one| one.name != system).count()
}

/// A system's finite mean on a metric.
pub(super) fn mean(system: &SystemReport, metric: &str) -> Option<f64> {
    system.metrics.get(metric).map(|one| one.value).filter(|value| value.is_finite())
}

fn leader(report: &Report) -> Option<(&str, &SystemReport)> {
    let metric = report.evaluation.metrics.first()?;
    let leader = ordered(report).into_iter().find(|one| mean(one, metric).is_some())?;
    Some((metric, leader))
}

fn headline(
    report: &Report,
    metric: &str,
    leader: &SystemReport,
    baseline: Option<&SystemReport>,
    comparison: Option<&Comparison>,
) -> Sentence {
    let name = &leader.name;
    let n_rivals = report.systems.iter().filter(|one| !one.is_ceiling()).count();
    let Some(baseline) = baseline.filter(|_| n_rivals > 1) else {
        let value = numbers::value(mean(leader, metric).unwrap_or(f64::NAN));
        return say(format!("{name} reaches ")).figure(value, leader).say(format!(" on {metric}."));
    };
    if baseline.name == *name {
        return say(format!("No system beats the baseline {name} on {metric}."));
    }
    let Some(one) = comparison else {
        return say(format!("{name} is highest on {metric}."));
    };
    let base = &baseline.name;
    let (best, beyond, behind) = if lower_is_better(report, metric) {
        ("lowest", "below it", "above")
    } else {
        ("highest", "above it", "below")
    };
    match one.verdict {
        Verdict::Better => {
            let relative = mean(baseline, metric).filter(|&value| value > 0.0);
            let beats = say(format!("{name} beats {base} on {metric}"));
            let Some(value) = relative else { return beats.say(".") };
            let share = numbers::percent((one.difference / value).abs());
            beats.say(", ").figure(share, leader).say(format!(" {beyond}."))
        }
        Verdict::Inconclusive => {
            say(format!("{name} is {best} on {metric}, but no difference from {base} is shown."))
        }
        Verdict::Worse => {
            say(format!("{name} is {best} on {metric}, {behind} the baseline {base}."))
        }
    }
}

fn level_sentence(report: &Report, metric: &str, leader: &SystemReport) -> Sentence {
    let one = leader.metrics.get(metric).copied().unwrap_or_default();
    let requests = numbers::counted(report.counts.evaluated, "test request");
    let [value, low, high] = [one.value, one.low, one.high].map(numbers::value);
    let confidence = numbers::percent(report.evaluation.confidence);
    let figure = format!("{value} ({confidence} interval {low} to {high})");
    say("Over ")
        .setting(requests)
        .say(format!(" {} has a mean {metric} of ", leader.name))
        .figure(figure, leader)
        .say(".")
}

fn certainty_sentence(report: &Report, leader: &SystemReport, one: &Comparison) -> Sentence {
    let n_comparisons = report.comparisons.len();
    let [difference, low, high] = [one.difference, one.low, one.high].map(numbers::signed);
    let confidence = numbers::percent(report.evaluation.confidence);
    let base = report.baseline.as_deref().unwrap_or("the baseline");
    let sure =
        format!("{confidence} interval {low} to {high}; {}", numbers::p_value(one.p_adjusted));
    let known = say("That is ")
        .figure(difference, leader)
        .say(format!(" against {base} ("))
        .figure(sure, leader);
    if n_comparisons < 2 {
        return known.say(").");
    }
    let corrected = format!(" after {} over ", correction(report));
    known.say(corrected).setting(format!("{n_comparisons} comparisons")).say(").")
}

/// Whose figures are means over several trainings, and over how many; none where every system has one run.
pub(super) fn seeds_sentence(report: &Report) -> Option<String> {
    let mut by_number: Vec<(usize, Vec<&str>)> = Vec::new();
    let mut rest = false;
    for system in ordered(report) {
        let n_seeds = system.seed_values.values().map(Vec::len).max().unwrap_or(0);
        if n_seeds < 2 {
            rest = true;
            continue;
        }
        match by_number.iter_mut().find(|(n, _)| *n == n_seeds) {
            Some((_, names)) => names.push(&system.name),
            None => by_number.push((n_seeds, vec![&system.name])),
        }
    }
    let part = |(n, names): &(usize, Vec<&str>)| match rest || by_number.len() > 1 {
        true => format!("those of {} over {n} seeds", list(names)),
        false => format!("over {n} seeds"),
    };
    let parts: Vec<String> = by_number.iter().map(part).collect();
    let one = if rest { "; the other systems have one run" } else { "" };
    let every = format!("Figures are means {}{one}.", parts.join(", "));
    let some = format!("Figures are means: {}{one}.", parts.join(", "));
    let is_split = rest || by_number.len() > 1;
    (!by_number.is_empty()).then_some(if is_split { some } else { every })
}

/// On how many requests it is ahead, which a mean does not tell.
fn requests_sentence(leader: &SystemReport, one: &Comparison) -> Option<Sentence> {
    let wins = numbers::counted(one.wins, "request");
    let [ties, losses] = [one.ties, one.losses].map(numbers::count);
    let counts = format!("ahead on {wins}, equal on {ties} and behind on {losses}");
    (one.wins + one.ties + one.losses > 0).then(|| say("It is ").figure(counts, leader).say("."))
}

fn others_sentence(report: &Report, metric: &str, leader: &SystemReport) -> Option<Sentence> {
    let named = |verdict: Verdict| -> Vec<&str> {
        ordered(report)
            .into_iter()
            .filter(|one| one.name != leader.name && !one.is_ceiling())
            .filter(|one| {
                report.comparison(&one.name, metric).is_some_and(|c| c.verdict == verdict)
            })
            .map(|one| one.name.as_str())
            .collect()
    };
    let base = report.baseline.as_deref()?;
    let base = if base == leader.name { "it" } else { base };
    let be = |names: &[&str]| if names.len() == 1 { "is" } else { "are" };
    let mut parts = Vec::new();
    let above = named(Verdict::Better);
    if !above.is_empty() {
        parts.push(format!("{} {} significantly better than {base}", list(&above), be(&above)));
    }
    let below = named(Verdict::Worse);
    if !below.is_empty() {
        parts.push(format!("{} {} significantly worse than {base}", list(&below), be(&below)));
    }
    let open = named(Verdict::Inconclusive);
    if !open.is_empty() {
        parts.push(format!("for {} no difference from {base} is shown", list(&open)));
    }
    (!parts.is_empty()).then(|| say(format!("Of the other systems, {}.", parts.join("; "))))
}

fn metrics_sentence(report: &Report, metric: &str, leader: &SystemReport) -> Option<Sentence> {
    let rest = report.evaluation.metrics.iter().filter(|one| *one != metric);
    let mut parts = Vec::new();
    for (verdict, words) in [
        (Verdict::Better, "better on"),
        (Verdict::Inconclusive, "not shown to differ on"),
        (Verdict::Worse, "worse on"),
    ] {
        let names: Vec<&str> = rest
            .clone()
            .filter(|one| {
                report.comparison(&leader.name, one).is_some_and(|c| c.verdict == verdict)
            })
            .map(String::as_str)
            .collect();
        if !names.is_empty() {
            parts.push(format!("{words} {}", list(&names)));
        }
    }
    (!parts.is_empty())
        .then(|| say(format!("By the other metrics {} is {}.", leader.name, parts.join("; "))))
}

fn cost_sentence(leader: &SystemReport, baseline: Option<&SystemReport>) -> Option<Sentence> {
    let own = numbers::milliseconds(leader.latency_ms?.p50);
    let other = baseline.filter(|one| one.name != leader.name);
    let other = other.and_then(|one| one.latency_ms.map(|latency| (one, latency.p50)));
    let takes = say("A request takes it ").figure(own, leader).say(" at the median");
    Some(match other {
        Some((one, p50)) => takes
            .say(format!(", where {} takes ", one.name))
            .figure(numbers::milliseconds(p50), one)
            .say("."),
        None => takes.say("."),
    })
}

fn ceiling_sentence(report: &Report, metric: &str, leader: &SystemReport) -> Option<Sentence> {
    let ceiling = report.systems.iter().find(|one| one.is_ceiling() && one.name != leader.name)?;
    let (top, own) = (mean(ceiling, metric)?, mean(leader, metric)?);
    let reaches = say(format!("{}, which knows the truth, reaches ", ceiling.name))
        .figure(numbers::value(top), ceiling)
        .say(": the ceiling");
    let Some(share) = (top > 0.0).then(|| numbers::percent(own / top)) else {
        return Some(reaches.say("."));
    };
    let at = reaches.say(format!("; {} is at ", leader.name)).figure(share, leader);
    Some(at.say(" of it."))
}

/// Names joined for a sentence.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn plain(summary: &Summary) -> String {
        summary.sentences.iter().map(Sentence::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_winner_is_named_with_its_margin() {
        let summary = summary(&sample::report());
        assert_eq!(summary.headline.to_string(), "aligned beats bm25 on recall@10, 8.5% above it.");
        let text = plain(&summary);
        for piece in [
            "Over 1,784 test requests aligned has a mean recall@10 of 0.447",
            "+0.035 against bm25",
            "after Holm’s correction over 30 comparisons",
            "It is ahead on 452 requests, equal on 944 and behind on 388.",
            "Of the other systems, colbert <v2> is significantly better than bm25; two-tower and popularity are significantly worse than bm25; for supervised no difference from bm25 is shown.",
            "12.6 ms at the median, where bm25 takes 310 µs",
            "oracle, which knows the truth, reaches 0.702: the ceiling; aligned is at 64% of it",
        ] {
            assert!(text.contains(piece), "`{piece}` is not in\n{text}");
        }
    }

    #[test]
    fn means_over_seeds_are_said_to_be_such() {
        let mut report = sample::report();
        assert_eq!(seeds_sentence(&report), None);
        sample::train_twice(&mut report);
        let sentence = "Figures are means: those of aligned and supervised over 2 seeds; the other systems have one run.";
        assert_eq!(seeds_sentence(&report).as_deref(), Some(sentence));
        assert!(plain(&summary(&report)).contains(sentence));
        assert!(crate::report::text_table(&report).replace('\n', " ").contains(sentence));
        report.systems.retain(|one| !one.seed_values.is_empty());
        assert_eq!(seeds_sentence(&report).as_deref(), Some("Figures are means over 2 seeds."));
    }

    #[test]
    fn less_can_be_better() {
        let mut report = sample::report();
        sample::turn(&mut report);
        let summary = summary(&report);
        assert_eq!(
            summary.headline.to_string(),
            "popularity beats bm25 on recall@10, 83% below it."
        );
        assert!(
            plain(&summary).contains("colbert <v2> and aligned are significantly worse"),
            "{summary:?}"
        );
        assert!(lower_is_better(&report, "log_loss") && lower_is_better(&report, "gini@10"));
        assert!(!lower_is_better(&report, "ndcg@10") && !lower_is_better(&report, "auc"));
    }

    #[test]
    fn no_winner_is_claimed_without_one() {
        let mut report = sample::report();
        for one in &mut report.comparisons {
            (one.significant, one.verdict) = (false, Verdict::Inconclusive);
        }
        assert!(summary(&report).headline.to_string().contains("no difference from bm25 is shown"));
        report.systems.retain(|one| matches!(one.name.as_str(), "bm25" | "popularity"));
        assert_eq!(
            summary(&report).headline.to_string(),
            "No system beats the baseline bm25 on recall@10."
        );
        report.systems.retain(|one| one.name == "bm25");
        assert_eq!(summary(&report).headline.to_string(), "bm25 reaches 0.412 on recall@10.");
        report.systems.clear();
        assert_eq!(summary(&report).headline.to_string(), "No system was evaluated.");
    }
}
