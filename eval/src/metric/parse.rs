//! Text to metric: `name`, then options in brackets, then `@` and a cutoff. Every fault says what is legal and offers the
//! nearest name. The spellings of trec_eval (`ndcg_cut_10`, `P.5,10`, `iprec_at_recall_0.50`), ir_measures (`R@10`, `RR@10`)
//! and MTEB (`ndcg_at_10`) are understood.

use std::num::NonZeroU32;
use std::str::FromStr;

use super::definition::{Cutoff, Definition, names};
use super::expression::Metric;
use super::nearest::nearest;
use super::parameters::OptionKey;
use crate::error::{Error, Result};

/// What is wrong with a text.
type Faulty<T> = std::result::Result<T, String>;

/// trec_eval's measures with a cutoff in their name, and ours.
const CUT_NAMES: &[(&str, &str)] = &[
    ("ndcg_cut", "ndcg"),
    ("map_cut", "ap"),
    ("p", "precision"),
    ("recall", "recall"),
    ("success", "success"),
    ("iprec_at_recall", "iprec"),
];

/// Parses metrics; each text may hold several, separated by commas outside brackets. Refuses an empty list and the same metric
/// twice.
pub fn parse_metrics<S: AsRef<str>>(texts: &[S]) -> Result<Vec<Metric>> {
    let mut metrics: Vec<Metric> = Vec::with_capacity(texts.len());
    for name in texts.iter().flat_map(|text| repeated(text.as_ref())) {
        let metric: Metric = name.parse()?;
        if metrics.contains(&metric) {
            return Err(Error::Metric {
                text: name,
                what: format!("{metric} is asked for twice; remove one"),
            });
        }
        metrics.push(metric);
    }
    if metrics.is_empty() {
        return Err(Error::Metric {
            text: String::new(),
            what: "no metric is asked for; name one, such as `recall@10`".to_owned(),
        });
    }
    Ok(metrics)
}

/// Pieces of a text; a bare number takes the name of the cutoff before it, as in trec_eval's `P.5,10`.
fn repeated(text: &str) -> Vec<String> {
    let mut head: Option<String> = None;
    let whole = |piece: &str| {
        if is_number(piece)
            && let Some(head) = &head
        {
            return format!("{head}@{piece}");
        }
        let lower = piece.to_ascii_lowercase();
        let cut =
            lower.rsplit_once('@').map(|(name, cutoff)| (name.trim().to_owned(), cutoff.trim()));
        let cut = cut.or_else(|| at_cut(&lower).map(|(name, cutoff)| (name.to_owned(), cutoff)));
        head = cut.filter(|(_, cutoff)| is_number(cutoff)).map(|(name, _)| name);
        piece.to_owned()
    };
    split(text).map(whole).collect()
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Pieces between commas that stand outside brackets.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    let outside = move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth <= 0
    };
    text.split(outside).map(str::trim).filter(|piece| !piece.is_empty())
}

impl FromStr for Metric {
    type Err = Error;

    /// `name`, `name@k`, `name(key=value,…)` or `name(key=value,…)@k`; spaces are allowed between the parts, letters may be of
    /// either case.
    fn from_str(text: &str) -> Result<Self> {
        parse(&text.trim().to_ascii_lowercase())
            .map_err(|what| Error::Metric { text: text.trim().to_owned(), what })
    }
}

fn parse(lower: &str) -> Faulty<Metric> {
    if let Some((name, cutoff)) = at_cut(lower) {
        return parse(&format!("{name}@{cutoff}"));
    }
    let (head, cutoff) = match lower.rsplit_once('@') {
        Some((head, cutoff)) => (head.trim(), Some(cutoff.trim())),
        None => (lower, None),
    };
    let (name, options) = match head.split_once('(') {
        Some((name, rest)) => {
            let inside = rest
                .strip_suffix(')')
                .ok_or("the options are not closed by `)` before the `@`".to_owned())?;
            (name.trim(), Some(inside))
        }
        None => (head, None),
    };
    let definition = definition(name, cutoff)?;
    let mut metric = Metric::plain(definition);
    match (&mut metric.parameters.labelled, options) {
        (Some(labelled), options) => {
            let cut =
                options.unwrap_or_default().split(',').filter(|option| !option.trim().is_empty());
            let cut: Vec<(&str, &str)> = cut
                .map(|option| option.split_once('=').unwrap_or((option, "")))
                .map(|(key, value)| (key.trim(), value.trim()))
                .collect();
            *labelled = labelled.with_options(&cut)?;
        }
        (None, Some(options)) => set_options(&mut metric, definition, name, options)?,
        (None, None) => {}
    }
    set_cutoff(&mut metric, definition, name, cutoff)?;
    Ok(metric)
}

/// `ndcg_cut_10`, `ndcg_cut.10` or `ndcg_at_10` as its two halves.
fn at_cut(text: &str) -> Option<(&str, &str)> {
    let trec_eval = CUT_NAMES.iter().find_map(|&(theirs, ours)| {
        let cutoff = text.strip_prefix(theirs)?.strip_prefix(['_', '.'])?;
        is_number(cutoff).then_some((ours, cutoff))
    });
    trec_eval.or_else(|| {
        let (name, cutoff) = text.rsplit_once("_at_")?;
        (is_number(cutoff) && names().any(|one| one.0 == name)).then_some((name, cutoff))
    })
}

fn definition(name: &str, cutoff: Option<&str>) -> Faulty<&'static Definition> {
    if let Some((_, found)) = names().find(|one| one.0 == name) {
        return Ok(found);
    }
    if is_number(name) {
        return Err(format!(
            "a cutoff stands behind a name: write `ndcg@{name}`, or `ndcg@5,{name}` for two"
        ));
    }
    let all: Vec<&str> = names().map(|one| one.0).collect();
    // `recall10` and `hit_rate_10` miss only the `@`.
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &name[stem.len()..];
    let stem = stem.trim_end_matches(['_', '-', '.']);
    if !digits.is_empty() && cutoff.is_none() && all.contains(&stem) {
        return Err(format!("did you mean `{stem}@{digits}`?"));
    }
    let spelled = name.replace(['-', ' '], "_");
    let suffix = cutoff.or(Some(digits).filter(|digits| !digits.is_empty()));
    let suffix = suffix.map_or_else(String::new, |cutoff| format!("@{cutoff}"));
    let word = if digits.is_empty() { spelled.as_str() } else { stem };
    let near: Vec<String> =
        nearest(word, &all).into_iter().map(|near| format!("`{near}{suffix}`")).collect();
    if near.is_empty() {
        let all: Vec<String> =
            super::DEFINITIONS.iter().map(|one| format!("`{}`", one.name)).collect();
        return Err(format!(
            "the metrics are {}; most take a cutoff such as `@10`",
            all.join(", ")
        ));
    }
    Err(format!("did you mean {}?", near.join(" or ")))
}

fn set_options(
    metric: &mut Metric,
    definition: &Definition,
    name: &str,
    options: &str,
) -> Faulty<()> {
    if definition.options.is_empty() {
        let cutoff = if definition.cutoff == Cutoff::Never { "" } else { "@10" };
        return Err(format!("{name} has no options; write `{name}{cutoff}`"));
    }
    let legal = || {
        let legal: Vec<&str> = definition.options.iter().map(|option| option.legal()).collect();
        format!("{name} takes {}", legal.join(", and "))
    };
    let mut given: Vec<OptionKey> = Vec::new();
    for option in options.split(',') {
        let Some((key, value)) = option.split_once('=') else {
            return Err(format!("`{}` is no `key=value`; {}", option.trim(), legal()));
        };
        let (key, value) = (key.trim(), value.trim());
        let Some(&known) = definition.options.iter().find(|option| option.name() == key) else {
            let keys: Vec<&str> = definition.options.iter().map(|option| option.name()).collect();
            let near = nearest(key, &keys).first().map_or_else(String::new, |near| {
                if key.len() > 1 { format!("did you mean `{near}`? ") } else { String::new() }
            });
            return Err(format!("{near}{name} has no option `{key}`; {}", legal()));
        };
        if given.contains(&known) {
            return Err(format!("`{key}` is given twice; keep one"));
        }
        given.push(known);
        known
            .set(&mut metric.parameters, value)
            .ok_or_else(|| format!("`{key}` must be {}, not `{value}`", known.legal()))?;
    }
    Ok(())
}

fn set_cutoff(
    metric: &mut Metric,
    definition: &Definition,
    name: &str,
    cutoff: Option<&str>,
) -> Faulty<()> {
    match (definition.cutoff, cutoff) {
        (Cutoff::Optional | Cutoff::Never, None) => Ok(()),
        (Cutoff::Required, None) => Err(format!("{name} needs a cutoff, such as `{name}@10`")),
        (Cutoff::Recall, None) => {
            Err(format!("{name} needs a share of the relevant items, such as `{name}@0.5`"))
        }
        (Cutoff::Never, Some(_)) => Err(format!("{name} takes no cutoff; write `{metric}`")),
        (Cutoff::Optional | Cutoff::Required, Some(digits)) => {
            let cutoff = digits.parse::<NonZeroU32>().map_err(|_| {
                format!(
                    "after `@` a whole number from 1 is expected, such as `{name}@10`, not `{digits}`"
                )
            })?;
            metric.cutoff = Some(cutoff);
            Ok(())
        }
        (Cutoff::Recall, Some(share)) => {
            let number = share.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
            let number = number.ok_or_else(|| {
                format!(
                    "after `@` a share from 0 to 1 is expected, such as `{name}@0.5`, not `{share}`"
                )
            })?;
            metric.parameters.recall = number + 0.0;
            Ok(())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::DEFINITIONS;

    #[test]
    fn names_print_as_they_are_read() {
        for (text, printed) in [
            ("recall@10", "recall@10"),
            (" NDCG@5 ", "ndcg@5"),
            ("ndcg", "ndcg"),
            ("recall", "recall"),
            ("ndcg(gain=exp)@10", "ndcg(gain=exp)@10"),
            ("ndcg( rel = 2 , gain = exp ) @ 10", "ndcg(gain=exp,rel=2)@10"),
            ("ndcg( gain = linear )@10", "ndcg@10"),
            ("p@3", "precision@3"),
            ("p(rel=2)@5", "precision(rel=2)@5"),
            ("p", "precision"),
            ("P_10", "precision@10"),
            ("P", "precision"),
            ("mrr", "mrr"),
            ("recip_rank", "mrr"),
            ("map", "ap"),
            ("map_cut_100", "ap@100"),
            ("ndcg_cut_10", "ndcg@10"),
            ("ndcg_cut.10", "ndcg@10"),
            ("recall_5", "recall@5"),
            ("success_1", "success@1"),
            ("Rprec", "rprec"),
            ("set_F", "f1"),
            ("set_P", "precision"),
            ("set_recall", "recall"),
            ("iprec_at_recall_0.50", "iprec@0.5"),
            ("iprec_at_recall.1.00", "iprec@1"),
            ("iprec(rel=0.5)@.1", "iprec(rel=0.5)@0.1"),
            ("hit_rate@1", "hit_rate@1"),
            ("rbp", "rbp(p=0.8)"),
            ("rbp(p=0.95)@20", "rbp(p=0.95)@20"),
            ("err@20", "err@20"),
            ("err(max=4)@20", "err(max=4)@20"),
            ("tail_share(head=0.8)@10", "tail_share@10"),
            ("tail_share(head=0.5)@10", "tail_share(head=0.5)@10"),
            ("bpref(rel=-0)", "bpref(rel=0)"),
            ("AUC", "auc"),
            ("ece(bins=10, mass=equal)", "ece(bins=10,mass=equal)"),
            ("ece(mass=width,bins=15)", "ece"),
            ("ece(mass=equal)", "ece(mass=equal)"),
            ("user_auc(weight=impressions)", "user_auc"),
            ("pairwise(pair=0.5:-1)", "pairwise(pair=0.5:-1)"),
            ("pairwise(levels=1:2.5)", "pairwise(levels=1:2.5)"),
            ("user_auc( weight = users )", "user_auc(weight=users)"),
            ("pairwise", "pairwise"),
            ("pairwise(pair=2:1)", "pairwise(pair=2:1)"),
            ("pairwise(levels=2.33:2.67)", "pairwise(levels=2.33:2.67)"),
        ] {
            let metric: Metric = text.parse().unwrap();
            assert_eq!(metric.to_string(), printed);
            assert_eq!(printed.parse::<Metric>().unwrap(), metric);
        }
    }

    #[test]
    fn misspelt_names_are_answered_with_the_nearest() {
        for (text, expected) in [
            ("recal@10", "did you mean `recall@10`?"),
            ("ndgc@5", "did you mean `ndcg@5`?"),
            ("hit-rate@5", "did you mean `hit_rate@5`?"),
            ("recall10", "did you mean `recall@10`?"),
            ("hit_rate_10", "did you mean `hit_rate@10`?"),
            ("hit_rate", "hit_rate needs a cutoff, such as `hit_rate@10`"),
            ("rprec@5", "rprec takes no cutoff; write `rprec`"),
            ("iprec", "iprec needs a share of the relevant items, such as `iprec@0.5`"),
            ("iprec@5", "after `@` a share from 0 to 1 is expected, such as `iprec@0.5`, not `5`"),
            (
                "recall@0",
                "after `@` a whole number from 1 is expected, such as `recall@10`, not `0`",
            ),
            ("p(rel=2@5", "the options are not closed by `)` before the `@`"),
            ("ndcg(gain=log)@10", "`gain` must be `gain=linear` or `gain=exp`, not `log`"),
            (
                "ndcg(gian=exp)@10",
                "did you mean `gain`? ndcg has no option `gian`; ndcg takes `gain=linear` or `gain=exp`, and a number, such as `rel=2`",
            ),
            ("p(2)@10", "`2` is no `key=value`; p takes a number, such as `rel=2`"),
            ("p(rel=1,rel=2)@10", "`rel` is given twice; keep one"),
            ("rbp(p=1)", "`p` must be a number between 0 and 1, such as `p=0.8`, not `1`"),
            ("auc@10", "auc takes no cutoff; write `auc`"),
            ("auc(rel)", "`auc` takes no option, but got `rel`"),
            ("log_los", "did you mean `log_loss`?"),
            ("coverage(rel=2)@10", "coverage has no options; write `coverage@10`"),
        ] {
            let message = text.parse::<Metric>().unwrap_err().to_string();
            assert_eq!(message, format!("unknown metric `{text}`: {expected}"));
        }
        let message = "latency".parse::<Metric>().unwrap_err().to_string();
        assert!(message.contains("`recall`, `precision`"), "{message}");
    }

    #[test]
    fn spellings_of_other_tools_are_understood() {
        for (text, expected) in [
            ("ndcg_cut.5,10", "ndcg@5 ndcg@10"),
            ("P.5,10", "precision@5 precision@10"),
            ("map_cut_10,100,P_1", "ap@10 ap@100 precision@1"),
            ("nDCG@5,10", "ndcg@5 ndcg@10"),
            ("ndcg(gain=exp)@5,10", "ndcg(gain=exp)@5 ndcg(gain=exp)@10"),
            ("iprec_at_recall.0.1,0.2", "iprec@0.1 iprec@0.2"),
            ("R@10", "recall@10"),
            ("R(rel=2)@10", "recall(rel=2)@10"),
            ("RR@10,AP@100", "mrr@10 ap@100"),
            ("RR", "mrr"),
            ("HR@10", "hit_rate@10"),
            ("Hits@3", "hit_rate@3"),
            ("Success@5", "success@5"),
            ("SetP,SetR,SetF", "precision recall f1"),
            ("ndcg_at_10", "ndcg@10"),
            ("map_at_100,mrr_at_10", "ap@100 mrr@10"),
            ("precision_at_1,hit_rate_at_5", "precision@1 hit_rate@5"),
            ("r-precision", "rprec"),
            ("R_Precision", "rprec"),
        ] {
            let parsed: Vec<String> =
                parse_metrics(&[text]).unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(parsed.join(" "), expected, "{text}");
        }
        for text in ["10", "mrr,10", "x@10", "at_10", "q"] {
            let message = parse_metrics(&[text]).unwrap_err().to_string();
            assert!(!message.contains("did you mean"), "{message}");
        }
    }

    #[test]
    fn lists_refuse_repetition_and_emptiness() {
        assert_eq!(parse_metrics(&["mrr", "p@1"]).unwrap().len(), 2);
        assert!(parse_metrics(&["p@1", "P_1"]).unwrap_err().to_string().contains("twice"));
        assert!(parse_metrics::<&str>(&[]).is_err());
    }

    #[test]
    fn the_table_has_each_name_once() {
        let mut seen: Vec<&str> = names().map(|one| one.0).collect();
        let n_names = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), n_names);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,20}") {
            let _ = text.parse::<Metric>();
        }

        #[test]
        fn what_is_printed_reads_back(
            row in 0..DEFINITIONS.len(),
            options in prop::collection::vec(("rel|gain|p|max|head|rle", "-?[0-9]{1,3}(\\.[0-9]{1,3})?|exp|linear"), 0..3),
            cutoff in prop::option::of("[0-9]{1,3}|0?\\.[0-9]{1,2}"),
        ) {
            let options: Vec<String> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let options = if options.is_empty() { String::new() } else { format!("({})", options.join(",")) };
            let cutoff = cutoff.map_or_else(String::new, |cutoff| format!("@{cutoff}"));
            let text = format!("{}{options}{cutoff}", DEFINITIONS[row].name);
            if let Ok(metric) = text.parse::<Metric>() {
                prop_assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
            }
        }
    }
}
