//! Items with labels, and what was known when each was shown: judged pairs, or impressions and what
//! came of them.

use std::collections::HashMap;

use trieval_eval::Qrels;
use trieval_eval::settings::LabelSource;

use crate::corpus::{
    Catalogue, ColumnName, Corpus, Entity, LabelRule, Labelled, Request, RequestIdx, Split,
};
use crate::error::{Error, Result};
use crate::ranker::slate::{Column, Slate};

/// Fixed columns that say how an item was shown: its place on the page, from 1, and the logging
/// policy's probability of that.
const SHOWN: [&str; 2] = ["position", "propensity"];

/// Labelled items of the requests of a split.
pub struct LabelledItems {
    pages: HashMap<RequestIdx, Page>,
    /// Labels that are not known: impressions whose signal was not recorded.
    pub unknown: u64,
}

/// Labelled items of one request.
#[derive(Default)]
struct Page {
    items: Vec<u32>,
    grades: Vec<f64>,
    columns: Vec<(String, Column)>,
}

impl LabelledItems {
    /// Reads them.
    ///
    /// # Errors
    /// [`Error::Data`] when the corpus cannot be read or does not record the signal.
    pub fn read(corpus: &Corpus, split: Split, source: &LabelSource) -> Result<Self> {
        match source {
            LabelSource::Judgments => {
                let mut pages: HashMap<RequestIdx, Page> = HashMap::new();
                for (request, item, grade) in corpus.judgements(split)? {
                    let page = pages.entry(request).or_default();
                    page.items.push(item);
                    page.grades.push(f64::from(grade));
                }
                Ok(Self { pages, unknown: 0 })
            }
            LabelSource::Impressions { signal, from } => {
                let rule = LabelRule { signal: signal.clone(), from: *from };
                let columns = shown_columns(corpus);
                let names: Vec<&str> = columns.iter().map(|one| one.name.as_str()).collect();
                let labels = corpus.labels(split, &rule, &names)?;
                let page = |(request, page)| (request, Page::shown(page, &columns));
                let pages = labels.pages.into_iter().map(page).collect();
                Ok(Self { pages, unknown: labels.unknown })
            }
        }
    }

    /// The labelled items of requests as slates, each with its request, in their order; requests
    /// without labels are left out.
    pub fn slates<'a>(&self, requests: &'a [Request]) -> (Vec<&'a Request>, Vec<Slate<'a>>) {
        let slate = |request: &'a Request| {
            let page = self.pages.get(&request.idx)?;
            let mut slate = Slate::new(&request.ask, page.items.clone());
            for (name, column) in &page.columns {
                slate.put(name.clone(), column.clone());
            }
            Some((request, slate))
        };
        requests.iter().filter_map(slate).unzip()
    }

    /// The labels of some requests as judgments.
    ///
    /// # Errors
    /// [`Error::Failed`] where ids cannot be those of judgments.
    pub fn qrels(&self, requests: &[Request], catalogue: &Catalogue) -> Result<Qrels> {
        let failed = |e: trieval_eval::Error| Error::Failed(format!("labels: {e}"));
        let mut qrels = Qrels::builder();
        for request in requests {
            let Some(page) = self.pages.get(&request.idx) else { continue };
            for (&item, &grade) in page.items.iter().zip(&page.grades) {
                qrels.push(&request.id, &catalogue.ids[item as usize], grade).map_err(failed)?;
            }
        }
        qrels.finish().map_err(failed)
    }
}

/// The user of every request that has one, by id.
pub fn users(requests: &[Request]) -> HashMap<String, String> {
    let named = requests.iter().filter_map(|one| Some((one.id.clone(), one.ask.user.clone()?)));
    named.collect()
}

impl Page {
    fn shown(page: Vec<Labelled>, columns: &[ColumnName]) -> Self {
        let mut cells = vec![Vec::with_capacity(page.len()); columns.len()];
        let (mut items, mut grades) = (Vec::new(), Vec::new());
        for one in page {
            items.push(one.item);
            grades.push(f64::from(u8::from(one.is_positive)));
            cells.iter_mut().zip(one.cells).for_each(|(column, cell)| column.push(cell));
        }
        let columns =
            columns.iter().map(ToString::to_string).zip(cells.into_iter().map(Column::Cells));
        Self { items, grades, columns: columns.collect() }
    }
}

/// Columns of impressions that were known when a page was shown.
fn shown_columns(corpus: &Corpus) -> Vec<ColumnName> {
    let open = corpus.summary().columns.iter();
    let open = open.filter(|one| one.column.of == Entity::Impression && !one.is_signal);
    let fixed = SHOWN.map(|name| ColumnName::new(Entity::Impression, name));
    fixed.into_iter().chain(open.map(|one| one.column.clone())).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::Cell;
    use crate::corpus::testing::{Shop, text};

    #[test]
    fn impressions_are_slates_with_what_was_known_and_labels_apart() {
        let shop = Shop::written();
        let source = LabelSource::Impressions { signal: "click".into(), from: 1.0 };
        let labelled = LabelledItems::read(&shop.corpus, Split::Train, &source).unwrap();
        let requests = shop.corpus.requests(Split::Train).unwrap();
        let (_, slates) = labelled.slates(&requests);
        assert_eq!(slates[0].items(), [1, 0]);
        let places = Column::Cells(vec![Cell::Number(1.0), Cell::Number(2.0)]);
        assert_eq!(slates[0].column("impression.position"), Some(&places));
        let badges = Column::Cells(vec![text("new"); 2]);
        assert_eq!(slates[0].column("impression.badge"), Some(&badges));
        // No signal is among the columns.
        assert_eq!(slates[0].column("impression.saves"), None);
        assert_eq!(slates[0].column("impression.click"), None);
        let qrels = labelled.qrels(&requests, &shop.corpus.catalogue().unwrap()).unwrap();
        assert_eq!(qrels.grade("r0", "i1"), Some(1.0));
        assert_eq!(qrels.grade("r0", "i0"), Some(0.0));
        let none = LabelledItems::read(&shop.corpus, Split::Test, &LabelSource::Judgments).unwrap();
        let tests = shop.corpus.requests(Split::Test).unwrap();
        assert!(none.slates(&tests).1.is_empty());
    }
}
