//! Whether a metric's name is one that evaluation knows, and how deep it looks.
//!
//! Knows spelling only; the values are `trieval-eval`'s business.

use super::super::fault::{listed, nearest};

const NAMES: [&str; 9] =
    ["recall", "hit_rate", "mrr", "ndcg", "precision", "p", "success", "ap", "map"];

/// Checks `name`, `name@k` or `name(options)@k`; the fault says what to do.
pub(super) fn check_metric(text: &str) -> Result<(), String> {
    let (head, cut_off) = split(text);
    if let Some(cut_off) = cut_off {
        match cut_off.parse::<u32>() {
            Ok(1..) if !cut_off.starts_with('+') => {}
            _ => return Err(format!("behind @ stands a positive integer, not `{cut_off}`")),
        }
    }
    let name = match head.split_once('(') {
        Some((name, options)) if options.ends_with(')') && options.len() > 1 => name,
        Some(_) => return Err("options need a closing parenthesis".into()),
        None => head,
    };
    if NAMES.contains(&name) {
        let needs_cut_off = !matches!(name, "mrr" | "ap" | "map" | "ndcg");
        if needs_cut_off && cut_off.is_none() {
            return Err(format!("`{name}` needs a cut-off, for instance `{name}@10`"));
        }
        return Ok(());
    }
    Err(match nearest(name, NAMES) {
        Some(known) => {
            let cut_off = cut_off.map(|k| format!("@{k}")).unwrap_or_default();
            format!("did you mean `{known}{cut_off}`?")
        }
        None => format!("metrics: {}", listed(NAMES, "`")),
    })
}

/// The cut-off of a metric, if it states one.
pub(super) fn cut_off(text: &str) -> Option<u32> {
    split(text).1?.parse().ok()
}

fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('@') {
        Some((head, cut_off)) => (head, Some(cut_off)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::{check_metric, cut_off};

    #[test]
    fn known_metrics_pass_and_others_get_advice() {
        for good in ["recall@10", "mrr", "mrr@5", "ndcg(gain=exp)@20", "p@1", "hit_rate@10", "ap"] {
            assert_eq!(check_metric(good), Ok(()), "{good}");
        }
        for (bad, advice) in [
            ("recal@10", "did you mean `recall@10`?"),
            ("recall", "`recall` needs a cut-off, for instance `recall@10`"),
            ("recall@0", "behind @ stands a positive integer, not `0`"),
            ("recall@ten", "behind @ stands a positive integer, not `ten`"),
            ("ndcg(gain=exp@10", "options need a closing parenthesis"),
        ] {
            assert_eq!(check_metric(bad), Err(advice.to_owned()), "{bad}");
        }
        assert_eq!(cut_off("ndcg@50"), Some(50));
        assert_eq!(cut_off("mrr"), None);
    }
}
