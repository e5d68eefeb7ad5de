//! Checks of item vectors: keys that a file's type does not read, and what can be joined.

use super::{Checker, Part, Parts};
use crate::vectors::settings::{JoinedSettings, MmseSettings, VectorFileSettings, VectorsSettings};

use super::super::document::{Step, quoted};
use super::references::{known, resolves};

/// Endings of files that can be read; the last one brings ids and has columns.
const FILE_TYPES: [&str; 3] = ["npy", "safetensors", "parquet"];

pub(super) fn check(parts: &Parts, checker: &mut Checker<'_>) {
    for part in &parts.vectors {
        match &part.value {
            Some(VectorsSettings::File(settings)) => file(part, settings, checker),
            Some(VectorsSettings::Joined(settings)) => joined(part, settings, parts, checker),
            Some(VectorsSettings::Mmse(settings)) => base(part, settings, parts, checker),
            _ => {}
        }
    }
}

fn file(part: &Part<VectorsSettings>, settings: &VectorFileSettings, checker: &mut Checker<'_>) {
    let ending = settings.path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !FILE_TYPES.contains(&ending) {
        let message = format!(
            "vectors cannot be read from a file called {}",
            quoted(&settings.path.display().to_string())
        );
        let label = "expected a .npy, .safetensors or .parquet file";
        checker.fault(&part.at(&["path"]), message, label, "convert the file, or correct its name");
        return;
    }
    let keys = [("id_column", &settings.id_column), ("vector_column", &settings.vector_column)];
    for (key, given) in keys {
        let path = part.at(&[key]);
        match given.as_deref() {
            Some(_) if ending != "parquet" => {
                let message = format!("a .{ending} file does not read `{key}`");
                let help = format!("remove `{key}`: row i of such a file belongs to item i");
                checker.key_fault(&path, message, "only .parquet files have columns", &help);
            }
            Some("") => {
                let help = format!("name a column, or leave `{key}` out");
                checker.fault(&path, format!("`{key}` is empty"), "no name", &help);
            }
            _ => {}
        }
    }
}

fn joined(
    part: &Part<VectorsSettings>,
    settings: &JoinedSettings,
    parts: &Parts,
    checker: &mut Checker<'_>,
) {
    let names = &settings.parts;
    if names.len() < 2 {
        let message = "joined vectors need two parts at least";
        let help = "for instance parts = [\"text\", \"feedback\"]";
        checker.fault(&part.at(&["parts"]), message, "nothing to join", help);
    }
    for (index, name) in names.iter().enumerate() {
        let path = [part.at(&["parts"]), vec![Step::Index(index)]].concat();
        if names[..index].contains(name) {
            let help = "name each once; `weights` says how much it counts";
            checker.fault(&path, format!("`{name}` is joined twice"), "second time", help);
            continue;
        }
        let target = parts.vectors.iter().find(|one| one.name.as_deref() == Some(name.as_str()));
        if let Some(Some(VectorsSettings::Joined(_))) = target.map(|target| &target.value) {
            let message = format!("[vectors.{name}] cannot be part of joined vectors");
            let help = "name the vectors that it is joined from";
            checker.fault(&path, message, "joined itself", help);
        }
    }
    weights(part, settings, checker);
}

/// The encoder that MMSE takes from other vectors is a text encoder.
fn base(
    part: &Part<VectorsSettings>,
    settings: &MmseSettings,
    parts: &Parts,
    checker: &mut Checker<'_>,
) {
    let Some(base) = settings.base() else { return };
    let target = parts.vectors.iter().find(|one| one.name.as_ref() == Some(base));
    if let Some(Some(other)) = target.map(|target| &target.value)
        && !matches!(other, VectorsSettings::Encoder(_))
    {
        let message = format!("mmse cannot take the encoder of [vectors.{base}]");
        let label = format!("these vectors are of kind = \"{}\"", other.kind());
        let help = "name vectors of kind = \"encoder\"";
        checker.fault(&part.at(&["text", "vectors"]), message, &label, help);
    }
}

fn weights(part: &Part<VectorsSettings>, settings: &JoinedSettings, checker: &mut Checker<'_>) {
    let (weights, n_parts) = (&settings.weights, settings.parts.len());
    if weights.is_empty() {
        return;
    }
    let path = part.at(&["weights"]);
    if weights.len() != n_parts {
        let message = format!("{} weights for {n_parts} joined parts", weights.len());
        let help = "give one weight for each part, in the same order, or leave `weights` out";
        checker.fault(&path, message, "not one for each", help);
    }
    for (index, weight) in weights.iter().enumerate() {
        if !weight.is_finite() || *weight <= 0.0 {
            let path = [path.clone(), vec![Step::Index(index)]].concat();
            let message = format!("weight {weight} of a joined part is not above 0");
            let help = "leave a part out that is not to count";
            checker.fault(&path, message, "expected a number above 0", help);
        }
    }
}

/// Whether the names of all vectors that others are made from resolve; a fault for each that does not.
pub(super) fn parts_resolve(parts: &Parts, checker: &mut Checker<'_>) -> bool {
    let mut all = true;
    for part in &parts.vectors {
        let Some(value) = &part.value else { continue };
        for (index, name) in value.parts().iter().enumerate() {
            let path = match value {
                VectorsSettings::Mmse(_) => part.at(&["text", "vectors"]),
                _ => [part.at(&["parts"]), vec![Step::Index(index)]].concat(),
            };
            let header = format!("[vectors.{name}]");
            all &= resolves(&path, name, &known(&parts.vectors), &header, checker);
        }
    }
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::recipe::fault::Style;
    use crate::recipe::load::parse_styled;

    const QUICKSTART: &str = include_str!("../fixture.toml");

    fn told(text: &str, overrides: &[&str]) -> Option<String> {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        parse_styled(text, "recipe.toml", &overrides, Style::Plain).err()
    }

    #[test]
    fn vectors_that_cannot_be_had() {
        let vectors = r#"
[vectors.columns]
kind = "file"
path = "v.npy"
id_column = "sku"
[vectors.table]
kind = "file"
path = "v.csv"
[vectors.empty]
kind = "file"
path = "v.parquet"
vector_column = ""
[vectors.feedback]
kind = "collaborative"
[vectors.both]
kind = "joined"
parts = ["text", "text", "inner", "feedbak"]
weights = [1, 0, -2]
[vectors.inner]
kind = "joined"
parts = ["columns"]
[[system]]
name = "a"
kind = "two-tower"
vectors = "both"
[[system]]
name = "b"
kind = "two-tower"
vectors = "feedback"
"#;
        insta::assert_snapshot!(told(&format!("{QUICKSTART}{vectors}"), &[]).unwrap());
    }

    #[test]
    fn vectors_that_only_joined_ones_name_are_used() {
        let vectors = r#"
[vectors.feedback]
kind = "collaborative"
[vectors.table]
kind = "file"
path = "v.parquet"
id_column = "sku"
[vectors.both]
kind = "joined"
parts = ["text", "feedback", "table"]
weights = [1, 0.5, 2]
"#;
        let text = format!("{QUICKSTART}{vectors}");
        assert_eq!(told(&text, &["identifier.sid.vectors=both"]), None);
        let unused = told(&text, &[]).unwrap();
        assert!(unused.contains("vectors `both` is never used"), "{unused}");
    }

    #[test]
    fn kinds_that_read_text_or_feedback_need_it() {
        let decoder = "vectors.text={ kind = \"decoder\", path = \"m\", pooling = \"last\" }";
        assert_eq!(told(QUICKSTART, &[decoder]), None);
        let pooling = "vectors.text={ kind = \"decoder\", path = \"m\", pooling = \"first\" }";
        assert!(told(QUICKSTART, &[pooling]).unwrap().contains("\"last\""));

        let scientific = include_str!("../../../recipes/scientific.toml");
        let text = scientific.replacen("items_file = \"Scientific.item.json\"\n", "", 1);
        let told_of = |text: &str, set: &str| told(text, &["corpus.path=/data", set]).unwrap();
        let message = told_of(&text, decoder);
        assert!(
            message.contains("decoder `text` reads text, but the items have none"),
            "{message}"
        );

        let home = include_str!("../../../recipes/home-depot.toml");
        let start = home.find("[corpus.clicks]").unwrap();
        let end = home.find("[vectors.text]").unwrap();
        let text = format!("{}{}", &home[..start], &home[end..]);
        let message = told_of(&text, "vectors.text={ kind = \"collaborative\" }");
        let expected =
            "[vectors.text] of kind collaborative learns from clicks, but the corpus has none";
        assert!(message.contains(expected), "{message}");
    }
}
