//! What of requests changes the figures of lists, in words. Knows no metric's value.

use crate::error::{Error, Result};
use crate::metric::Metric;
use crate::qrels::Qrels;
use crate::run::Run;
use crate::scores::Options;
use crate::settings::Missing;

/// Ids that a sentence shows.
const SHOWN: usize = 3;

/// Sentences with counts and examples: of judged requests that a run does not answer, answered ones that nobody judged, and
/// those to which nothing is relevant. None where only labelled predictions are measured.
///
/// # Errors
/// [`Error::Run`] for a run that answers no judged request: a figure of 0 would say that its lists are bad.
pub fn request_remarks(
    runs: &[Run],
    qrels: &Qrels,
    metrics: &[Metric],
    options: &Options<'_>,
) -> Result<Vec<String>> {
    if !metrics.iter().any(|metric| metric.labelled().is_none()) {
        return Ok(Vec::new());
    }
    let grade = options.relevant_grade;
    let ids = || (0..qrels.len()).map(|number| qrels.at(number));
    let (relevant, without): (Vec<_>, Vec<_>) =
        ids().partition(|judged| judged.entries().iter().any(|entry| entry.1 >= grade));
    let mut remarks: Vec<String> = Vec::new();
    if !without.is_empty() {
        remarks.push(format!(
            "{} of {} judged requests have no item of grade {grade} or above and are left out{}",
            without.len(),
            qrels.len(),
            such_as(&without.iter().map(crate::qrels::Judgments::request).collect::<Vec<_>>())
        ));
    }
    let how = match options.missing {
        Missing::Skip => "are left out for all runs",
        Missing::Zero | Missing::Error => "count 0",
    };
    for run in runs {
        let strangers: Vec<&str> = run
            .rankings()
            .map(|list| list.request())
            .filter(|request| qrels.get(request).is_none())
            .collect();
        if strangers.len() == run.len() {
            return Err(refuse(run, qrels));
        }
        let silent: Vec<&str> = relevant
            .iter()
            .map(crate::qrels::Judgments::request)
            .filter(|request| run.get(request).is_none_or(|list| list.is_empty()))
            .collect();
        let mut add = |ids: &[&str], of: usize, what: String| {
            if !ids.is_empty() {
                let (name, n, shown) = (run.name(), ids.len(), such_as(ids));
                let remark = format!("run {name}: {n} of {of} {what}{shown}");
                if !remarks.contains(&remark) {
                    remarks.push(remark);
                }
            }
        };
        add(&silent, relevant.len(), format!("judged requests are not answered and {how}"));
        let what = "answered requests are not judged and are left out".to_owned();
        add(&strangers, run.len(), what);
    }
    Ok(remarks)
}

fn refuse(run: &Run, qrels: &Qrels) -> Error {
    let first =
        |ids: &mut dyn Iterator<Item = String>| ids.take(SHOWN).collect::<Vec<_>>().join(", ");
    let own = first(&mut run.rankings().map(|list| list.request().to_owned()));
    let judged = first(&mut (0..qrels.len()).map(|number| qrels.at(number).request().to_owned()));
    let holds =
        if own.is_empty() { "it holds no list".to_owned() } else { format!("it holds {own}") };
    Error::Run {
        run: run.name().to_owned(),
        what: format!(
            "it answers none of the {} judged requests: {holds}; the judgments hold {judged}; give a run and judgments of the same requests",
            qrels.len()
        ),
    }
}

fn such_as(ids: &[&str]) -> String {
    let which = if ids.len() > SHOWN { "such as " } else { "" };
    format!(": {which}{}", ids[..ids.len().min(SHOWN)].join(", "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::metric::parse_metrics;

    fn remarks(answered: &[&str]) -> Result<Vec<String>> {
        let mut qrels = Qrels::builder();
        for (request, grade) in [("q1", 1.0), ("q2", 1.0), ("q3", 0.5), ("q4", 1.0)] {
            qrels.push(request, "a", grade).unwrap();
        }
        let mut run = Run::builder("s");
        answered.iter().for_each(|request| run.push(request, "a", 1.0).unwrap());
        let options = Options { relevant_grade: 1.0, ..Options::default() };
        let metrics = parse_metrics(&["mrr"]).unwrap();
        request_remarks(&[run.finish().unwrap()], &qrels.finish().unwrap(), &metrics, &options)
    }

    #[test]
    fn what_changes_figures_is_told_with_examples() {
        assert_eq!(
            remarks(&["q1", "x1", "x2", "x3", "x4"]).unwrap(),
            [
                "1 of 4 judged requests have no item of grade 1 or above and are left out: q3",
                "run s: 2 of 3 judged requests are not answered and count 0: q2, q4",
                "run s: 4 of 5 answered requests are not judged and are left out: such as x1, x2, x3",
            ]
        );
        assert_eq!(remarks(&["q1", "q2", "q4"]).unwrap().len(), 1);
    }

    #[test]
    fn a_run_of_other_requests_is_refused_with_both_kinds_of_ids() {
        let message = remarks(&["x1"]).unwrap_err().to_string();
        assert!(
            message.starts_with("run s: it answers none of the 4 judged requests: it holds x1; the judgments hold q1, q2, q3"),
            "{message}"
        );
        assert!(remarks(&[]).unwrap_err().to_string().contains("it holds no list"));
    }
}
