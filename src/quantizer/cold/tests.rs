//! Items that codes are not fitted on: they change nothing for the others, and get what they would get later.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::identifier::settings::{Collisions, NamingSettings};
use crate::progress::Context;
use crate::quantizer::assign;
use crate::quantizer::levels::random;
use crate::quantizer::settings::ResidualKMeansSettings;
use crate::seed::Seed;

fn is_warm(item: usize) -> bool {
    item % 5 != 2
}

fn settings(collisions: Collisions, codes: u32) -> ResidualKMeansSettings {
    let text = format!("vectors = \"v\"\nlevels = 2\ncodes = {codes}\niterations = 10");
    let naming = NamingSettings { collisions: Some(collisions), ..NamingSettings::default() };
    ResidualKMeansSettings { naming, ..toml::from_str(&text).unwrap() }
}

fn fitted(settings: &ResidualKMeansSettings, vectors: &Vectors) -> Result<Identifiers> {
    let fit = |seen: &Items<'_>| {
        super::super::fit(settings, &seen.vectors, "c", Seed::new(1), &Context::silent())
    };
    fit_warm(&Items::of(vectors), is_warm, (Path::new("vectors"), "identifier.sid"), fit)
}

#[test]
fn what_is_not_fitted_on_changes_nothing_for_the_others() {
    let vectors = random(300, 6);
    let mut other = vectors.clone();
    for (item, row) in
        other.data.to_mut().chunks_exact_mut(6).enumerate().filter(|(item, _)| !is_warm(*item))
    {
        row.iter_mut().for_each(|x| *x = -3.0 * *x + item as f32 / 300.0);
    }
    for collisions in
        [Collisions::Dedup, Collisions::Nearest, Collisions::Matching, Collisions::Shared]
    {
        let settings = settings(collisions, 24);
        let [one, two] = [&vectors, &other].map(|vectors| fitted(&settings, vectors).unwrap());
        assert_eq!(one.centroids, two.centroids);
        assert_eq!(
            (one.n_items(), one.diagnostics.items, one.diagnostics.fitted),
            (300, 300, Some(240))
        );
        for item in (0..300).filter(|&item| is_warm(item)) {
            assert_eq!(one.codes_of(item), two.codes_of(item), "{collisions:?} {item}");
        }
        assert_ne!(one.codes, two.codes);
        // Where nothing moves items, each has the codes nearest to its vector.
        if let Some(made) = one.made() {
            assert_eq!(made, assign(&one, &vectors).unwrap());
        }
        one.index().unwrap();
    }
}

#[test]
fn other_items_get_what_they_would_get_later() {
    let vectors = random(300, 6);
    let settings = settings(Collisions::Dedup, 8);
    let all = fitted(&settings, &vectors).unwrap();
    let (warm, cold): (Vec<usize>, Vec<usize>) = (0..300).partition(|&item| is_warm(item));
    let [seen, unseen] =
        [&warm, &cold].map(|items| Items::of(&vectors).some(items).unwrap().vectors.into_owned());
    let roomy = NamingSettings { spare: Some(60), ..settings.naming.clone() };
    let before = ResidualKMeansSettings { naming: roomy, ..settings };
    let before = super::super::fit(&before, &seen, "c", Seed::new(1), &Context::silent()).unwrap();
    let made = assign(&before, &unseen).unwrap();
    let centroids = &before.centroids.levels;
    let space = Space { dim: 6, vectors: &unseen.data, centroids };
    let extension = before.extension(Later { made: &made, space });
    for (place, &item) in warm.iter().enumerate() {
        assert_eq!(all.codes_of(item), before.codes_of(place));
    }
    for (codes, &item) in extension.codes.chunks_exact(3).zip(&cold) {
        assert_eq!(all.codes_of(item), Some(codes));
    }
    // The level that tells them apart is as large as they need, and no larger.
    let most = all.codes.chunks_exact(3).map(|path| path[2]).max().unwrap();
    assert_eq!(all.levels[2], most + 1);
    let told = all.diagnostics.to_string();
    assert!(told.contains("fitted on 240 items; 60 others got the codes nearest"), "{told}");
}

#[test]
fn too_few_codes_and_nothing_to_fit_on_are_told() {
    let vectors = random(300, 6);
    let mut crowded = vectors.clone();
    let one = vectors.row(0).to_vec();
    for (_, row) in
        crowded.data.to_mut().chunks_exact_mut(6).enumerate().filter(|(item, _)| !is_warm(*item))
    {
        row.copy_from_slice(&one);
    }
    let told = fitted(&settings(Collisions::Nearest, 24), &crowded).unwrap_err().to_string();
    assert!(
        told.contains("items that training does not know find no code of the last level free"),
        "{told}"
    );
    let settings = settings(Collisions::Dedup, 4);
    let fit = |seen: &Items<'_>| {
        super::super::fit(&settings, &seen.vectors, "c", Seed::new(1), &Context::silent())
    };
    let place = (Path::new("vectors"), "identifier.sid");
    let none = fit_warm(&Items::of(&vectors), |_| false, place, fit).unwrap_err().to_string();
    assert!(
        none.contains("none of the items was chosen") && none.contains("identifier.sid.fit"),
        "{none}"
    );
    let equal = Vectors { dim: 1, data: vec![1.0, 1.0, 5.0].into() };
    let told = fit_warm(&Items::of(&equal), |item| item < 2, place, fit).unwrap_err().to_string();
    assert!(
        told.contains("all 2 vectors are equal") && told.contains("were chosen in training"),
        "{told}"
    );
    let all = fit_warm(&Items::of(&vectors), |_| true, place, fit).unwrap();
    assert_eq!(all.diagnostics.fitted, Some(300));
}

#[test]
fn items_of_a_known_value_keep_it_as_their_first_code() {
    let vectors = random(300, 6);
    let text = "vectors = \"v\"\nlevels = 2\ncodes = 32\niterations = 10\nfirst = { category = 0 }";
    // One value is that of cold items alone.
    let value = |item: usize| match item % 10 {
        2 if item % 100 == 2 => "unheard",
        1..=3 => "rugs",
        _ => "lamps",
    };
    let values = (0..300).map(|item| Some(value(item).to_owned())).collect();
    for collisions in ["dedup", "nearest"] {
        let text = format!("{text}\ncollisions = \"{collisions}\"");
        let settings: ResidualKMeansSettings = toml::from_str(&text).unwrap();
        let items = Items { values: Some(Clone::clone(&values)), ..Items::of(&vectors) };
        let fit = |seen: &Items<'_>| {
            crate::quantizer::residual::fit_items(
                &settings,
                seen,
                "c",
                Seed::new(1),
                &Context::silent(),
            )
        };
        let place = (Path::new("vectors"), "identifier.sid");
        let all = fit_warm(&items, is_warm, place, fit);
        let Ok(all) = all else { panic!("{}", all.unwrap_err()) };
        let first = all.centroids.first.clone().unwrap();
        assert_eq!(first.values, ["lamps", "rugs"].map(|value| Some(value.to_owned())));
        for item in (0..300).filter(|&item| value(item) != "unheard") {
            let code = all.codes_of(item).unwrap()[0] as usize;
            assert_eq!(first.values[code].as_deref(), Some(value(item)), "{item}");
        }
    }
}
