//! Rows of a test's log as Parquet.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, StructArray};

/// Writes them; user and session stand in a structure, what was clicked is a flag.
pub(super) fn write_parquet(csv: &str, path: &Path) {
    let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let text = |place: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row[place])))
    };
    let number = |place: usize| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row[place].parse::<i64>().ok()).collect::<Int64Array>())
    };
    let field = |name: &str, of: &ArrayRef| {
        Arc::new(arrow_schema::Field::new(name, of.data_type().clone(), true))
    };
    let (user, session) = (text(1), text(2));
    let who: ArrayRef = Arc::new(StructArray::from(vec![
        (field("user", &user), user),
        (field("session", &session), session),
    ]));
    let clicked = rows.iter().map(|row| Some(row[7] != "0"));
    let click: ArrayRef = Arc::new(clicked.collect::<BooleanArray>());
    let columns = [
        ("request", text(0)),
        ("who", who),
        ("time", text(3)),
        ("query", text(4)),
        ("item", text(5)),
        ("position", number(6)),
        ("click", click),
        ("order", number(8)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
