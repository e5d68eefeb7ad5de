//! Tests of whole recipes: faults as users see them, shipped recipes, generated documents, robustness.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::fault::Style;
use super::load::{LoadedRecipe, Origin, parse_styled};
use super::{Recipe, explain, json_schema, list, recipe_reference};
use crate::error::Error;

/// A recipe like the quickstart, apart from it: the quickstart may be tuned without touching tests.
const QUICKSTART: &str = include_str!("fixture.toml");

fn parse(text: &str, overrides: &[&str]) -> Result<LoadedRecipe, String> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    parse_styled(text, "recipe.toml", &overrides, Style::Plain)
}

fn quickstart(overrides: &[&str]) -> Result<LoadedRecipe, String> {
    parse(QUICKSTART, overrides)
}

/// Data paths that the shipped recipes leave to their users.
fn with_data(name: &str) -> Vec<String> {
    let set: &[&str] = match name {
        "quickstart" | "mmse-shop" | "hourglass" => &[],
        "home-depot-mmse" => &["corpus.path=/data", "vectors.minilm.path=/encoder"],
        "home-depot-smollm2" => &["corpus.path=/data", "model.smollm2.path=/model"],
        _ => &["corpus.path=/data"],
    };
    set.iter().map(|set| (*set).to_owned()).collect()
}

mod documents {
    //! Generated documents against the committed ones.
    use super::*;

    fn check(file: &str, generated: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file);
        if std::env::var_os("TRIEVAL_UPDATE_DOCS").is_some_and(|value| value == "1") {
            std::fs::write(&path, generated).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == generated,
            "docs/{file} is stale: run TRIEVAL_UPDATE_DOCS=1 cargo test -p trieval --lib recipe::tests::documents"
        );
    }

    #[test]
    fn the_recipe_reference_is_current() {
        check("recipes.md", &recipe_reference());
    }

    #[test]
    fn the_json_schema_is_current() {
        check("recipe.schema.json", &json_schema());
    }

    #[test]
    fn every_key_of_the_reference_is_documented() {
        for line in recipe_reference().lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let tag = cells.get(1).is_some_and(|key| ["`kind`", "`by`"].contains(key));
            assert!(tag || !cells[4].is_empty(), "no meaning: {line}");
        }
    }
}

mod faults {
    //! Faults as users see them.
    use super::*;

    fn shown(text: &str, overrides: &[&str]) -> String {
        parse(text, overrides).unwrap_err()
    }

    fn edited(from: &str, to: &str) -> String {
        assert!(QUICKSTART.contains(from), "{from} is not in the quickstart");
        QUICKSTART.replacen(from, to, 1)
    }

    #[test]
    fn unknown_key() {
        insta::assert_snapshot!(shown(&edited("hidden = 128", "hiden = 128"), &[]));
    }

    #[test]
    fn wrong_type() {
        insta::assert_snapshot!(shown(&edited("items = 2400", "items = \"2400\""), &[]));
    }

    #[test]
    fn several_faults_at_once() {
        let text = edited("codes = 64", "codes = 0")
            .replacen("baseline = \"bm25\"", "baseline = \"bm52\"\ndept = 10", 1)
            .replacen("days = 30", "days = 2.5\nsequences_file = \"x\"", 1)
            .replacen("kind = \"oracle\"", "kind = \"orakle\"", 1);
        insta::assert_snapshot!(shown(&text, &[]));
    }

    #[test]
    fn missing_keys() {
        insta::assert_snapshot!(shown(
            "name = \"x\"\n[corpus]\nitems = 5\n[[system]]\nkind = \"bm25\"\n",
            &[]
        ));
    }

    #[test]
    fn cycle_of_trainings() {
        let text = edited("model = \"decoder\"\nepochs", "init = \"aligned\"\nepochs");
        insta::assert_snapshot!(shown(&text, &[]));
    }

    #[test]
    fn system_of_a_model_that_nobody_trains() {
        let text = edited("train = \"aligned\"", "train = \"decoder\"");
        insta::assert_snapshot!(shown(&text, &[]));
    }

    #[test]
    fn split_without_test() {
        let text = include_str!("../../recipes/home-depot.toml");
        let start = text.find("[corpus.split]").unwrap();
        let end = text.find("# A rating").unwrap();
        let text = format!(
            "{}[corpus.split]\nby = \"query-hash\"\nvalidation = 0.1\ntest = 0\n\n{}",
            &text[..start],
            &text[end..]
        );
        insta::assert_snapshot!(shown(&text, &["corpus.path=/data"]));
        insta::assert_snapshot!("no_training_days", shown(QUICKSTART, &["corpus.test_days=29"]));
    }

    #[test]
    fn keys_that_the_loss_does_not_read() {
        let keys = "kind = \"preference\"\nloss = \"s-dpo\"\nlabel_smoothing = 0.1\ngamma = 0.5";
        insta::assert_snapshot!(shown(&edited("kind = \"preference\"", keys), &[]));
    }

    #[test]
    fn unused_component() {
        let text = edited("[[train]]", "[vectors.spare]\nkind = \"two-tower\"\n\n[[train]]");
        insta::assert_snapshot!(shown(&text, &[]));
    }

    #[test]
    fn bad_overrides() {
        insta::assert_snapshot!(shown(
            QUICKSTART,
            &[
                "train.alined.epochs=1",
                "seed",
                "model.decoder.layers=many",
                "model.decoder.layer=2",
                "seed.x=1",
                "corpus.days=0",
            ]
        ));
    }

    #[test]
    fn data_path_is_left_to_the_user() {
        insta::assert_snapshot!(shown(include_str!("../../recipes/home-depot.toml"), &[]));
    }

    #[test]
    fn references_to_a_hub_are_refused_with_their_places() {
        let files = "\n[vectors.file]\nkind = \"file\"\npath = \"hf:datasets/a/b@v1\"\n\
             [vectors.state]\nkind = \"decoder\"\npath = \"hf://models/a/b@v1/c\"\n\
             [vectors.bert]\nkind = \"encoder\"\npath = \"hf:a/b\"\n\
             [vectors.levels]\nkind = \"mmse\"\n\
             text = { kind = \"pretrained\", path = \"hf:a/b\" }\n\
             [model.taken]\nkind = \"pretrained\"\nidentifier = \"sid\"\n\
             path = \"hf:a/b\"\nadapter = \"hf:a/c\"\n\
             [[system]]\nname = \"theirs\"\nkind = \"run\"\npath = \"hf:a/runs\"\n";
        let shown = shown(&format!("{QUICKSTART}{files}"), &[]);
        for key in [
            "vectors.file.path",
            "vectors.state.path",
            "vectors.bert.path",
            "vectors.levels.text.path",
            "model.taken.path",
            "model.taken.adapter",
            "system.theirs.path",
        ] {
            assert!(shown.contains(&format!("`{key}` refers to a hub")), "{key}: {shown}");
        }
        assert!(shown.contains("download datasets/a/b and give the folder"), "{shown}");
        let scientific = include_str!("../../recipes/scientific.toml");
        insta::assert_snapshot!(parse(scientific, &["corpus.path=hf:datasets/a/b"]).unwrap_err());
        let home = include_str!("../../recipes/home-depot.toml");
        let shown = parse(home, &["corpus.path=hf:datasets/a/b"]).unwrap_err();
        assert!(shown.contains("`corpus.path` refers to a hub"), "{shown}");
    }

    #[test]
    fn syntax() {
        insta::assert_snapshot!(shown(
            "name = \"x\nseed = = 3\n[corpus\n[report]\n[report]\n",
            &[]
        ));
    }

    #[test]
    fn starts_of_trainings() {
        let text = edited("init = \"supervised\"", "model = \"decoder\"").replacen(
            "model = \"decoder\"\nepochs",
            "epochs",
            1,
        );
        insta::assert_snapshot!(shown(&text, &[]));
    }

    #[test]
    fn impossible_values() {
        let overrides = [
            "model.decoder.heads=3",
            "model.decoder.kv_heads=2",
            "train.supervised.objective.pseudo_words=[5,2]",
            "train.aligned.objective.pairs.shown_negatives=0",
            "train.aligned.objective.pairs.beam_negatives=0",
            "train.supervised.optimizer.betas=[0.9,1.5]",
            "evaluation.depth=20",
            "evaluation.metrics=[\"recall@10\",\"recall@50\",\"ndgc@10\"]",
            "system.two-tower.vectors=txt",
            "system.bm25.name=popularity",
        ];
        insta::assert_snapshot!(shown(QUICKSTART, &overrides));
    }

    #[test]
    fn impossible_courses_of_training() {
        let overrides = [
            "train.supervised.validation.every_steps=10",
            "train.supervised.validation.every_epochs=0.5",
            "train.supervised.validation.metric=recal@10",
            "train.aligned.validation.metric=recall@50",
            "train.aligned.validation.patience=0",
            "train.supervised.optimizer={ warmup = 0.1, warmup_steps = 10 }",
            "train.supervised.dropout=0.1",
            "train.aligned.optimizer={ schedule = \"constant\", final_share = 0.1 }",
            "train.aligned.dropout=0.1",
            "train.aligned.memory_limit=0",
            "train.aligned.precision=bf16",
            "train.supervised.lora={ targets = [\"q_proj\", \"q_proj\"] }",
            "train.aligned.lora={ targets = [], dropout = 0.1 }",
        ];
        insta::assert_snapshot!(shown(QUICKSTART, &overrides));
        let loaded = quickstart(&["train.aligned.validation.keep=last"]).unwrap();
        insta::assert_snapshot!("alignment_by_cross_entropy", loaded.warnings.unwrap());
    }

    #[test]
    fn corpora_that_lack_something() {
        let scientific = include_str!("../../recipes/scientific.toml");
        let text = scientific.replacen("items_file = \"Scientific.item.json\"\n", "", 1);
        insta::assert_snapshot!("no_item_text", shown(&text, &["corpus.path=/data"]));
        let home = include_str!("../../recipes/home-depot.toml");
        let start = home.find("[corpus.clicks]").unwrap();
        let end = home.find("[vectors.text]").unwrap();
        let text = format!("{}{}", &home[..start], &home[end..]);
        insta::assert_snapshot!("no_clicks", shown(&text, &["corpus.path=/data"]));
    }

    #[test]
    fn impossible_sequence_models() {
        let model = "\n[[system]]\nname = \"next\"\nkind = \"sasrec\"\n";
        let text = format!("{QUICKSTART}{model}");
        insta::assert_snapshot!(shown(
            &text,
            &[
                "system.next.validation.beam=20",
                "system.next.loss={ kind = \"full-softmax\", negatives = 9 }",
            ]
        ));
        insta::assert_snapshot!(shown(
            &text,
            &[
                "system.next.heads=5",
                "system.next.optimizer.betas=[0.9, 1.0]",
                "system.next.optimizer.schedule=constant",
                "system.next.optimizer.final_share=0.1",
                "system.next.validation.metric=auc",
            ]
        ));
    }

    #[test]
    fn impossible_indexes() {
        let system = "\n[[system]]\nname = \"near\"\nkind = \"two-tower\"\nvectors = \"text\"\n";
        let text = format!("{QUICKSTART}{system}");
        insta::assert_snapshot!(shown(
            &text,
            &[
                "system.near.index={ kind = \"ivf\" }",
                "system.bm25.index={ kind = \"hnsw\" }",
                "system.two-tower.index={ kind = \"hnsw\", connectivity = 1, expansion_search = 0 }",
            ]
        ));
        insta::assert_snapshot!(shown(
            &text,
            &["system.near.index={ kind = \"hnsw\", connectivity = 32, expansion_add = 31 }"]
        ));
    }

    #[test]
    fn mmse_that_cannot_learn_what_it_is_asked_to() {
        let text = include_str!("../../recipes/mmse-ablations.toml");
        let overrides = [
            "corpus.path=/data",
            "vectors.retrieval-only.retrieval=0",
            "vectors.no-unclicked.order_as_click=true",
            "vectors.two-channels.levels={ by = \"grades\", ordered = 2.0, clicked = 2.5 }",
            "vectors.listwise.levels={ by = \"impressions\" }",
            "vectors.lambda.text={ kind = \"transformer\", dim = 10, heads = 4 }",
        ];
        insta::assert_snapshot!(shown(text, &overrides));
    }

    #[test]
    fn a_narrow_beam_is_a_remark() {
        let loaded = quickstart(&["system.aligned.decode.beam=20"]).unwrap();
        insta::assert_snapshot!(loaded.warnings.unwrap());
    }

    #[test]
    fn a_cascade_of_few_candidates_is_a_remark() {
        let cascade = "\n[[system]]\nname = \"two\"\nkind = \"cascade\"\nretrieve = \"bm25\"\nrank = \"two-tower\"\n";
        let text = format!("{QUICKSTART}{cascade}");
        let few = parse(&text, &["system.two.candidates=9"]).unwrap();
        insta::assert_snapshot!(few.warnings.unwrap());
    }

    #[test]
    fn places_are_line_and_column() {
        let shown = shown(&edited("seed = 17", "  sed = 17"), &[]);
        assert!(shown.contains("recipe.toml:5:3"), "{shown}");
        assert!(shown.ends_with("1 fault in recipe.toml; nothing was started"), "{shown}");
    }

    #[test]
    fn the_same_fault_in_crlf_text() {
        let text = edited("seed = 17", "sed = 17").replace('\n', "\r\n");
        assert!(shown(&text, &[]).contains("recipe.toml:5:1"));
        assert!(parse(&QUICKSTART.replace('\n', "\r\n"), &[]).is_ok());
    }

    #[test]
    fn a_line_without_end_is_not_printed() {
        let text = format!("name = \"x\"\ndescription = \"{}\"\nsed = 1\n", "a".repeat(1_000_000));
        let shown = shown(&text, &[]);
        assert!(
            shown.len() < 4_000 && shown.contains("unknown key `sed` [recipe.toml:3]"),
            "{shown}"
        );
    }

    #[test]
    fn bottomless_nesting_is_refused() {
        for text in [
            format!("seed = {}", "[".repeat(100_000)),
            format!("seed = {}", "{a=".repeat(100_000)),
            format!("{}a = 1", "a.".repeat(100_000)),
            format!("[{}a]\nb = 1", "a.".repeat(100_000)),
        ] {
            assert!(parse(&text, &[]).is_err());
            assert!(quickstart(&[&text]).is_err());
        }
    }

    #[test]
    fn grades_that_nothing_reaches() {
        let shown = shown(QUICKSTART, &["evaluation.relevant_grade=4"]);
        assert!(shown.contains("no item can reach a grade of 4"), "{shown}");
    }

    #[test]
    fn an_empty_file_names_what_it_needs() {
        let shown = shown("", &[]);
        assert!(shown.contains("missing key `name`") && shown.contains("missing key `corpus`"));
    }
}

mod overrides {
    //! Overrides that work.
    use super::*;

    #[test]
    fn values_are_toml_or_bare_text() {
        let loaded = quickstart(&[
            "train.aligned.optimizer.learning_rate=2e-4",
            "system.bm25.k1 = 1.5",
            "system.1.b=0.5",
            "description=two words",
            "corpus.world.shown=7",
            "system.aligned.decode={ beam = 64 }",
            "evaluation.metrics=[\"mrr@10\"]",
            "seed=1",
            "seed=2",
        ])
        .unwrap();
        assert_eq!(loaded.recipe.train[1].decoder().unwrap().course.optimizer.learning_rate, 2e-4);
        assert_eq!(loaded.recipe.description, "two words");
        assert_eq!(loaded.recipe.seed, 2);
        assert_eq!(loaded.recipe.evaluation.metrics, ["mrr@10"]);
        let toml = loaded.resolved_toml().unwrap();
        for line in ["k1 = 1.5", "b = 0.5", "shown = 7", "beam = 64"] {
            assert!(toml.contains(line), "{line} is not in\n{toml}");
        }
        assert_eq!(loaded.overrides().count(), 9);
    }

    #[test]
    fn quoted_keys_and_tables_as_values() {
        let loaded = quickstart(&["\"corpus\".'days' = 40", "report = {examples = 3}"]).unwrap();
        assert!(loaded.resolved_toml().unwrap().contains("days = 40"));
        assert_eq!(loaded.recipe.report.examples, 3);
    }

    #[test]
    fn metrics_of_two_classes_need_both() {
        let sequences = "name = \"x\"\n[corpus]\nkind = \"sequences\"\npath = \"d\"\nsequences_file = \"s\"\nitems_file = \"i\"\n[[system]]\nname = \"a\"\nkind = \"popularity\"\n[evaluation]\nmetrics = [\"ndcg@10\"]\n";
        assert!(parse(sequences, &[]).is_ok(), "{:?}", parse(sequences, &[]).err());
        let shown = parse(sequences, &["evaluation.metrics = [\"ndcg@10\", \"auc\"]"]);
        let shown = shown.unwrap_err();
        assert!(shown.contains("auc cannot be measured on this corpus"), "{shown}");
        assert!(shown.contains("every judged item of this corpus is relevant"), "{shown}");
        let shown =
            quickstart(&["evaluation.metrics = [\"auc\"]", "evaluation.relevant_grade = 1"]);
        let shown = shown.unwrap_err();
        assert!(shown.contains("auc cannot be measured on this corpus"), "{shown}");
        assert!(
            quickstart(&["evaluation.metrics = [\"auc\"]", "evaluation.relevant_grade = 3"])
                .is_ok()
        );
    }

    #[test]
    fn changing_a_kind_shows_what_no_longer_fits() {
        let shown = quickstart(&["corpus.kind=sequences"]).unwrap_err();
        assert!(shown.contains("key `requests` is not used by kind = \"sequences\""), "{shown}");
    }
}

mod toml_forms {
    //! One recipe in the forms that TOML allows.
    use super::*;

    #[test]
    fn dotted_inline_and_quoted_forms_are_equal() {
        let headers = "name = \"x\"\n[corpus]\nkind = \"simulator\"\ndays = 9\n[corpus.world]\nshown = 5\n[[system]]\nname = \"a\"\nkind = \"bm25\"\n";
        let expected = parse(headers, &[]).unwrap().recipe;
        for text in [
            "name = \"x\"\ncorpus.kind = \"simulator\"\ncorpus.days = 9\ncorpus.world.shown = 5\nsystem = [{ name = \"a\", kind = \"bm25\" }]\n",
            "\"name\" = 'x'\ncorpus = { kind = \"simulator\", days = 0x9, world = { \"shown\" = 5 } }\nsystem = [\n  { name = \"\"\"a\"\"\", \"kind\" = 'bm25' }, # comment\n]\n",
        ] {
            assert_eq!(parse(text, &[]).unwrap().recipe, expected, "{text}");
        }
    }
}

mod files {
    //! Files that are no recipes.
    use super::*;

    fn load(bytes: &[u8]) -> Error {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipe.toml");
        std::fs::write(&path, bytes).unwrap();
        Recipe::load(&path, &[]).unwrap_err()
    }

    #[test]
    fn unusable_files_are_named_and_exit_with_2() {
        let folder = tempfile::tempdir().unwrap();
        let is_folder = Recipe::load(folder.path(), &[]).unwrap_err();
        assert!(is_folder.to_string().contains("is a folder"), "{is_folder}");
        let absent = Recipe::load(&folder.path().join("no.toml"), &[]).unwrap_err();
        assert!(absent.to_string().contains("cannot be read"), "{absent}");
        let broken = load(b"name = \"x\"\ndescription = \"\xff\"\n");
        assert!(broken.to_string().contains(":2: not UTF-8 text, at byte 26"), "{broken}");
        let empty = load(b"");
        assert!(empty.to_string().contains("2 faults in"), "{empty}");
        let binary = load(&[0; 64]);
        for error in [is_folder, absent, broken, empty, binary] {
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn shipped_names_open_and_misspelt_ones_get_the_nearest() {
        assert_eq!(Recipe::open("quickstart", &[]).unwrap().recipe.name, "quickstart");
        let error = Recipe::open("quikstart", &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean `quickstart`?"), "{error}");
    }

    #[test]
    fn copies_are_equal_and_never_overwrite() {
        let folder = tempfile::tempdir().unwrap();
        let path = super::super::copy("quickstart", folder.path()).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            super::super::find("quickstart").unwrap().text
        );
        let again = super::super::copy("quickstart", folder.path()).unwrap_err();
        assert_eq!(again.exit_code(), 2);
    }
}

mod shipped {
    //! The shipped recipes.
    use super::*;

    #[test]
    fn all_are_checked_named_as_their_files_and_resolve_to_themselves() {
        for shipped in list() {
            let overrides = with_data(shipped.name);
            let loaded =
                parse_styled(shipped.text, shipped.name, &overrides, Style::Plain).unwrap();
            assert_eq!(loaded.recipe.name, shipped.name);
            assert_eq!(loaded.warnings, None, "{}", shipped.name);
            assert!(!shipped.description().is_empty());
            let toml = loaded.resolved_toml().unwrap();
            let again = parse(&toml, &[]).unwrap();
            assert_eq!(again.recipe, loaded.recipe, "{}", shipped.name);
            assert_eq!(again.resolved_toml().unwrap(), toml);
        }
    }

    #[test]
    fn walk_and_serde_agree_on_every_shipped_recipe() {
        for shipped in list() {
            let loaded =
                parse_styled(shipped.text, shipped.name, &with_data(shipped.name), Style::Plain)
                    .unwrap();
            let direct: Recipe = toml::from_str(&loaded.resolved_toml().unwrap()).unwrap();
            assert_eq!(direct, loaded.recipe);
            if shipped.name == "quickstart" {
                let validation = "[train.validation]\nmetric = \"recall@10\"\nevery_epochs = 0.25\n\
                                  requests = 1000\nif_possible = true\n\n";
                let text = shipped.text.replace("[[train]]", "[[train]]\nkind = \"decoder\"");
                let text = text.replace(
                    "[[system]]\nname = \"popularity\"",
                    &format!("{validation}[[system]]\nname = \"popularity\""),
                );
                assert_eq!(toml::from_str::<Recipe>(&text).unwrap(), loaded.recipe);
            }
        }
    }
}

mod explained {
    //! `recipes explain`.
    use super::*;

    #[test]
    fn value_origin_and_meaning() {
        let loaded = quickstart(&["system.bm25.k1=1.2"]).unwrap();
        let keys = [
            "train.aligned.optimizer.learning_rate",
            "train.epochs",
            "system.bm25.k1",
            "corpus.kind",
            "evaluation",
            "model.decoder.kv_heads",
            "system.decode.normalizer",
        ];
        let text: Vec<String> =
            keys.iter().map(|key| explain(key, Some(&loaded)).unwrap()).collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn keys_without_a_recipe() {
        let keys = ["corpus.path", "vectors.NAME.dim", "train.optimizer", "system.kind"];
        let text: Vec<String> = keys.iter().map(|key| explain(key, None).unwrap()).collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn a_misspelt_key_gets_the_nearest() {
        let error = explain("train.optimizer.lerning_rate", None).unwrap_err().to_string();
        assert!(error.contains("did you mean `train.optimizer.learning_rate`?"), "{error}");
        let loaded = quickstart(&[]).unwrap();
        let error = explain("train.alined.epochs", Some(&loaded)).unwrap_err().to_string();
        assert!(error.contains("did you mean `train.aligned.epochs`?"), "{error}");
        let all = explain("train.NAME.epochs", Some(&loaded)).unwrap();
        assert!(all.contains("train.supervised.epochs = 5.0"), "{all}");
        for odd in ["", ".", "a..b", "train.aligned.epochs.x", "corpus.", "🦀"] {
            assert!(explain(odd, Some(&loaded)).is_err(), "{odd}");
        }
    }

    #[test]
    fn origins_are_file_override_or_default() {
        let loaded = quickstart(&["seed=3"]).unwrap();
        let key = |words: &[&str]| {
            let steps: Vec<super::super::document::Step> = words
                .iter()
                .map(|word| super::super::document::Step::Key((*word).to_owned()))
                .collect();
            loaded.origin(&steps)
        };
        assert_eq!(key(&["name"]), Origin::File { name: "recipe.toml".into(), line: 3 });
        assert_eq!(key(&["seed"]), Origin::Override("seed=3".into()));
        assert_eq!(key(&["evaluation", "depth"]), Origin::Default);
    }
}

mod robust {
    //! No text, however broken, makes the checker panic.
    use proptest::prelude::*;

    use super::*;

    fn pieces() -> Vec<&'static str> {
        vec![
            "[[train]]\n",
            "[train]\n",
            "[corpus]\n",
            "= ",
            "\"",
            "'''",
            "[",
            "]",
            "{",
            "}",
            ".",
            "\n",
            "\r\n",
            "-1",
            "1e999",
            "nan",
            "99999999999999999999",
            "true",
            "1979-05-27",
            "name = \"é\"\n",
            "init = \"aligned\"\n",
            "kind = 3\n",
            "\u{0}",
            "\u{feff}",
            "#",
            "[a.b.c]\n",
            "\t",
            "0x",
            ",",
            "kind",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn mutated_recipes_never_panic(
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, prop::sample::select(pieces())), 1..6),
        ) {
            let mut text = QUICKSTART.to_owned();
            for (at, cut, piece) in edits {
                let at = at.index(text.len());
                let end = (at + cut).min(text.len());
                if text.is_char_boundary(at) && text.is_char_boundary(end) {
                    text.replace_range(at..end, piece);
                }
            }
            match parse(&text, &[]) {
                Ok(loaded) => {
                    let toml = loaded.resolved_toml().unwrap();
                    prop_assert_eq!(parse(&toml, &[]).unwrap().recipe, loaded.recipe);
                }
                Err(shown) => prop_assert!(shown.ends_with("nothing was started"), "{}", shown),
            }
        }

        #[test]
        fn lines_dropped_doubled_or_swapped_never_panic(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..3), 1..5),
        ) {
            let mut lines: Vec<&str> = QUICKSTART.lines().collect();
            for (a, b, what) in edits {
                let (a, b) = (a.index(lines.len()), b.index(lines.len()));
                match what {
                    0 => { lines.remove(a); }
                    1 => lines.insert(b, lines[a]),
                    _ => lines.swap(a, b),
                }
            }
            let _ = parse(&lines.join("\n"), &[]);
        }

        #[test]
        fn random_overrides_never_panic(text in "[a-z0-9.=\"'\\[\\]{} \\n-]{0,40}", key in 0usize..4) {
            let prefix = ["", "train.aligned.", "corpus=", "system.0.k1="][key];
            let _ = quickstart(&[&format!("{prefix}{text}")]);
        }
    }
}
