//! Item vectors of every kind that is not trained: from Parquet files, from a decoder, from feedback, and joined.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{ArrayRef, ListArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use trieval::model::config::Family;
use trieval::vectors::{Provenance, Vectors};

use crate::data::{ITEMS, PAIRS, write_npy, write_pairs};
use crate::pretrained::model_folder;
use crate::support::{Answer, TINY, run, step_folder, step_folders, trieval};

/// A table of the first `n` items of `rows` with a column `sku` of ids, the last item first.
fn write_table(path: &Path, rows: &Vectors, n: usize, more: Option<&str>) {
    let items = (0..n).rev();
    let ids = items.clone().map(|item| format!("p{item}")).chain(more.map(str::to_owned));
    let ids: ArrayRef = Arc::new(StringArray::from(ids.collect::<Vec<_>>()));
    let row = |item: usize| {
        let row = &rows.data[item * rows.dim..][..rows.dim];
        Some(row.iter().map(|x| Some(*x)).collect::<Vec<_>>())
    };
    let all = items.map(row).chain(more.map(|_| row(0)));
    let vectors: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(all.collect::<Vec<_>>()));
    let batch = RecordBatch::try_from_iter([("sku", ids), ("vector", vectors)]).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_parquet_file_is_joined_by_id() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    std::fs::create_dir(&data).unwrap();
    write_pairs(&data);
    let npy = root.path().join("v.npy");
    write_npy(&npy, ITEMS, false);
    let rows = Vectors::read(&npy, Some(ITEMS)).unwrap();
    let out = root.path().join("run");
    let corpus = format!("corpus.path={}", data.display());
    let with = |path: &Path, more: &str| -> Answer {
        let path = path.display();
        let vectors = format!("vectors.text={{kind=\"file\",path=\"{path}\"{more}}}");
        run(PAIRS, &out, &["--set", &corpus, "--set", &vectors])
    };
    let sku = ",id_column=\"sku\"";
    let refused = with(&npy, sku).expect(2);
    refused.says(&["a .npy file does not read `id_column`", "nothing was started"]);
    let other = with(&root.path().join("v.csv"), "").expect(2);
    other.says(&["vectors cannot be read from a file called", "nothing was started"]);
    assert!(!out.exists());

    let table = root.path().join("v.parquet");
    with(&table, sku).expect(2).says(&["v.parquet: cannot be read"]);
    std::fs::write(&table, "no table").unwrap();
    with(&table, sku).expect(2).says(&["v.parquet: the Parquet file cannot be read"]);
    write_table(&table, &rows, ITEMS, None);
    let absent = with(&table, "").expect(2);
    absent.says(&["no column is called `item`; the columns are sku, vector", "`id_column`"]);
    write_table(&table, &rows, ITEMS - 3, None);
    with(&table, sku).expect(2).says(&["3 of 40 items have no vector; the first is `p37`"]);
    write_table(&table, &rows, ITEMS, Some("x"));
    let unknown = with(&table, sku).expect(2);
    unknown.says(&["1 of 41 rows are of items that the corpus does not have", "row 40", "`x`"]);
    let finished = || {
        let mut folders = step_folders(&out, "vectors.text").into_iter();
        folders.find(|folder| folder.join("step.json").exists())
    };
    assert_eq!(finished(), None);

    write_table(&table, &rows, ITEMS, None);
    with(&table, sku).expect(0);
    let stored = finished().unwrap().join("vectors.safetensors");
    let read = Vectors::read(&stored, Some(ITEMS)).unwrap();
    assert_eq!(read, in_order_of(&out, &rows));
    assert_eq!(Provenance::read(&stored).unwrap().unwrap().encoder, None);

    // What one run made, another takes as a file, but for these very items alone.
    let copy = root.path().join("copy.safetensors");
    read.write_made_from(&copy, &Provenance::of_catalogue("another")).unwrap();
    with(&copy, "")
        .expect(2)
        .says(&["copy.safetensors: the vectors were built for another catalogue"]);
}

/// Rows of `p0, p1, …` in the order of a run's catalogue.
fn in_order_of(out: &Path, rows: &Vectors) -> Vectors {
    let corpus = trieval::corpus::Corpus::open(&step_folder(out, "corpus").unwrap()).unwrap();
    let ids = corpus.catalogue().unwrap().ids;
    let row = |id: &String| {
        let item: usize = id[1..].parse().unwrap();
        rows.data[item * rows.dim..][..rows.dim].to_vec()
    };
    Vectors::new(rows.dim, ids.iter().flat_map(row).collect::<Vec<f32>>(), "rows").unwrap()
}

#[test]
fn text_and_feedback_are_joined_and_a_decoder_searches() {
    let root = tempfile::tempdir().unwrap();
    let model = model_folder(root.path(), Family::Qwen3, "qwen", true);
    let recipe = root.path().join("kinds.toml");
    let tiny = std::fs::read_to_string(TINY).unwrap();
    let text = format!(
        "{}\n[vectors.feedback]\nkind = \"collaborative\"\ndim = 8\n\n[vectors.both]\nkind = \"joined\"\n\
         parts = [\"text\", \"feedback\"]\nweights = [1.0, 0.25]\n\n[vectors.hidden]\nkind = \"decoder\"\n\
         path = \"{}\"\npooling = \"last\"\n",
        tiny.replacen(
            "kind = \"two-tower\"\nvectors = \"text\"",
            "kind = \"two-tower\"\nvectors = \"hidden\"",
            1
        )
        .replacen(
            "kind = \"residual-k-means\"\nvectors = \"text\"",
            "kind = \"residual-k-means\"\nvectors = \"both\"",
            1
        ),
        model.display()
    );
    std::fs::write(&recipe, text).unwrap();
    let out = root.path().join("run");
    let answer = run(recipe.to_str().unwrap(), &out, &[]).expect(0);
    answer.says(&["8 directions hold", "chosen items (of 150)"]);
    let read = |name: &str| {
        let folder: PathBuf = step_folder(&out, &format!("vectors.{name}")).unwrap();
        Vectors::read(&folder.join("vectors.safetensors"), Some(150)).unwrap()
    };
    let (text, feedback, both) = (read("text"), read("feedback"), read("both"));
    assert_eq!([text.dim, feedback.dim, both.dim, read("hidden").dim], [16, 8, 24, 32]);
    let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
    for (both, feedback) in both.rows().zip(feedback.rows()) {
        assert!((length(&both[..16]) - 1.0).abs() < 1e-4);
        let expected = if length(feedback) > 0.0 { 0.25 } else { 0.0 };
        assert!((length(&both[16..]) - expected).abs() < 1e-4);
    }
    // Done once, the run needs the decoder's folder no more to answer.
    std::fs::remove_dir_all(&model).unwrap();
    let search = [
        "search".as_ref(),
        out.as_os_str(),
        "red chair".as_ref(),
        "--system".as_ref(),
        "two-tower".as_ref(),
    ];
    assert!(!trieval(&search).expect(0).out.is_empty());
}

/// A folder with the golden encoder of a family, whose vectors sentence-transformers computed.
fn encoder_folder(root: &Path, family: &str) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/encoders").join(family);
    let folder = root.join(family);
    let places = std::fs::read_dir(&golden).unwrap().map(|entry| entry.unwrap().path());
    for place in places.filter(|path| path.is_dir()).chain([golden.clone()]) {
        let to = folder.join(place.strip_prefix(&golden).unwrap());
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()) {
            if file.is_file() {
                std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    folder
}

#[test]
fn a_frozen_encoder_is_joined_with_near_items_and_answers_requests() {
    let root = tempfile::tempdir().unwrap();
    let model = encoder_folder(root.path(), "t5");
    let recipe = root.path().join("frozen.toml");
    let tiny = std::fs::read_to_string(TINY).unwrap();
    let text = format!(
        "{}\n[vectors.frozen]\nkind = \"encoder\"\npath = \"{}\"\n\n[vectors.near]\nkind = \"collaborative\"\ndim = 6\n\
         ppmi = {{ window = 3 }}\n\n[vectors.both]\nkind = \"joined\"\nparts = [\"frozen\", \"near\", \"text\"]\nweights = [1.0, 0.5, 0.5]\n",
        tiny.replacen(
            "kind = \"two-tower\"\nvectors = \"text\"",
            "kind = \"two-tower\"\nvectors = \"frozen\"",
            1
        )
        .replacen(
            "kind = \"residual-k-means\"\nvectors = \"text\"",
            "kind = \"residual-k-means\"\nvectors = \"both\"",
            1
        ),
        model.display()
    );
    std::fs::write(&recipe, &text).unwrap();
    let out = root.path().join("run");
    let answer = run(recipe.to_str().unwrap(), &out, &[]).expect(0);
    answer.says(&["6 directions hold", "of the squared information of", "(of 150)"]);
    let read = |name: &str| {
        let folder: PathBuf = step_folder(&out, &format!("vectors.{name}")).unwrap();
        Vectors::read(&folder.join("vectors.safetensors"), Some(150)).unwrap()
    };
    assert_eq!([read("frozen").dim, read("near").dim, read("both").dim], [8, 6, 30]);
    // Nothing is done twice, and the copy in the run folder is enough to answer.
    run(recipe.to_str().unwrap(), &out, &[])
        .expect(0)
        .says(&["vectors.frozen: done before", "vectors.near: done before"]);
    std::fs::remove_dir_all(&model).unwrap();
    let search = ["search".as_ref(), out.as_os_str(), "red chair".as_ref()];
    let search = [&search[..], &["--system".as_ref(), "two-tower".as_ref()]].concat();
    assert!(!trieval(&search).expect(0).out.is_empty());
}

#[test]
fn an_encoder_that_cannot_train_is_refused_before_any_work() {
    let root = tempfile::tempdir().unwrap();
    let model = encoder_folder(root.path(), "modernbert");
    let recipe = root.path().join("mmse.toml");
    let tiny = std::fs::read_to_string(TINY).unwrap();
    let written = |train: bool| {
        let more = format!(
            "\n[vectors.towers]\nkind = \"mmse\"\nepochs = 1.0\n\
             text = {{ kind = \"pretrained\", path = \"{}\", train = {train} }}\n\n\
             [[system]]\nname = \"towers\"\nkind = \"two-tower\"\nvectors = \"towers\"\n",
            model.display()
        );
        std::fs::write(&recipe, format!("{tiny}{more}")).unwrap();
    };
    written(true);
    let out = root.path().join("run");
    let answer = run(recipe.to_str().unwrap(), &out, &[]).expect(2);
    answer.says(&[
        "an encoder of the family modernbert stays as it is: its weights cannot train here",
        "config.json",
        "take an encoder of bert, roberta, xlm-roberta or distilbert",
    ]);
    assert!(!out.exists());
    // As it is, it may stand behind towers that train.
    written(false);
    run(recipe.to_str().unwrap(), &out, &[]).expect(0);
    assert!(step_folder(&out, "vectors.towers").is_some());
}
