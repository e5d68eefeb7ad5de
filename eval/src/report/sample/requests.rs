//! The sample's requests: three by hand, with hostile texts, and further ones that systems win and lose.

use std::collections::BTreeMap;

use super::SYSTEMS;
use crate::report::model::*;

/// Rank of the relevant item in each system's list, in the order of [`SYSTEMS`]; 9 is nowhere.
type Ranks = [usize; 7];

fn item(id: &str, title: &str, grade: Option<f64>, score: Option<f64>) -> ExampleItem {
    ExampleItem { item: id.to_owned(), title: title.to_owned(), grade, score, spans: Vec::new() }
}

pub(super) fn examples() -> Vec<ExampleReport> {
    let oak = || item("i1207", "Oak side table, oval, 45 cm", Some(4.0), None);
    let mut examples = vec![
        ExampleReport {
            request: "r20113".to_owned(),
            text: "small oak side table".to_owned(),
            history: vec!["Oak bed frame, 140 cm".to_owned(), "Reading lamp, brass".to_owned()],
            relevant: vec![oak()],
            chosen: "largest win of aligned over bm25".to_owned(),
            ..answered([9, 2, 1, 1, 0, 9, 0])
        },
        ExampleReport {
            request: "r20114".to_owned(),
            text: "<img src=x onerror=alert(1)> tabel".to_owned(),
            relevant: vec![oak()],
            relevant_total: 3,
            chosen: "largest loss of aligned against bm25".to_owned(),
            ..answered([9, 0, 3, 2, 9, 2, 0])
        },
        ExampleReport {
            request: "r20115".to_owned(),
            history: vec!["Reading lamp, brass".to_owned(), "שולחן עץ אלון 🪑".to_owned()],
            relevant: vec![item("i1207", "", Some(3.0), None)],
            chosen: "picked at random".to_owned(),
            ..answered([9, 9, 9, 9, 4, 9, 0])
        },
    ];
    let goods = ["brass lamp", "wool rug", "bookcase", "desk chair", "linen curtain", "mirror"];
    examples.extend((0..18_usize).map(|index| {
        let rank = |system: usize| (index * 5 + system * (index % 4 + 1)) % 7;
        let ranks: Ranks = std::array::from_fn(|system| if system == 6 { 0 } else { rank(system) });
        ExampleReport {
            request: format!("r{}", 20_116 + index),
            text: format!("{} {}", ["cheap", "round", "blue"][index % 3], goods[index % 6]),
            relevant: vec![oak()],
            chosen: "picked at random".to_owned(),
            ..answered(ranks)
        }
    }));
    examples
}

fn answered(ranks: Ranks) -> ExampleReport {
    let named = || SYSTEMS.iter().map(|system| system.0.to_owned()).zip(ranks);
    ExampleReport {
        relevant_total: 1,
        systems: named()
            .map(|(system, rank)| {
                let items = list(rank);
                // Two systems say why, one of them the first.
                let items = match system.as_str() {
                    "popularity" | "aligned" => items.into_iter().map(told).collect(),
                    _ => items,
                };
                ExampleSystem { system, items }
            })
            .collect(),
        values: named()
            .map(|(system, rank)| (system, if rank < 5 { 1.0 / (rank + 1) as f64 } else { 0.0 }))
            .collect::<BTreeMap<_, _>>(),
        ..ExampleReport::default()
    }
}

fn told(item: ExampleItem) -> ExampleItem {
    let spans = ["side table", "oval", "Pine shelf"].iter().filter_map(|text| {
        let start = item.title.find(text)? as u64;
        let worth = text.len() as f64 * 1.234;
        Some(SpanReport { start, end: start + text.len() as u64, worth })
    });
    ExampleItem { spans: spans.collect(), ..item }
}

fn list(hit: usize) -> Vec<ExampleItem> {
    (0..5)
        .map(|rank| {
            let score = Some(8.0 - rank as f64 * 1.37);
            if rank == hit {
                return item("i1207", "Oak side table, oval, 45 cm", Some(4.0), score);
            }
            let grade = match rank {
                4 => Some(1.0),
                3 => Some(0.0),
                _ => None,
            };
            let id = format!("i{}", 300 + rank * 17);
            item(&id, &format!("Pine shelf no. {rank}, white"), grade, score)
        })
        .collect()
}
