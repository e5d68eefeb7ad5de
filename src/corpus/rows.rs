//! Rows of the six corpus tables and their columns. Every source writes all six, empty ones with no
//! row. Knows nothing of files; those are `table`.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder, UInt32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Int32Array, Int64Array, ListArray, PrimitiveArray,
    RecordBatch, StringArray, UInt8Array, UInt16Array, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema};

use super::cell::Entity;
use super::table::Row;
use super::types::{Impression, Split};

/// An item, with statistics as of a day where the source has them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ItemRow {
    /// Id in the source.
    pub id: String,
    /// Title.
    pub title: String,
    /// Further text, without the title; may be empty.
    pub text: String,
    /// Category path, broadest first.
    pub category: Vec<String>,
    /// Attributes as (name, value).
    pub attributes: Vec<(String, String)>,
    /// Price in the source's currency.
    pub price: Option<f32>,
    /// Day of launch, relative to the start of the log.
    pub launch_day: Option<i32>,
    /// Last day that the statistics include.
    pub statistics_day: Option<i32>,
    /// Times shown up to that day.
    pub shown: Option<u32>,
    /// Times clicked up to that day.
    pub clicks: Option<u32>,
    /// Times ordered up to that day.
    pub orders: Option<u32>,
}

/// Id and texts of an item: the first columns of the items table, read without the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemTextRow {
    /// Id in the source.
    pub id: String,
    /// Title; empty where there is none.
    pub title: String,
    /// Further text, without the title; may be empty.
    pub text: String,
}

/// Id and title of an item: the first two columns of the items table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemName {
    /// Id in the source.
    pub id: String,
    /// Title; empty where there is none.
    pub title: String,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Id in the source.
    pub id: String,
}

/// A session of a user: requests that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Id in the source.
    pub id: String,
    /// Row number of the user, where known.
    pub user: Option<u32>,
    /// Day of the session.
    pub day: i32,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Id in the source, or made by the importer.
    pub id: String,
    /// Row number of the user, where known.
    pub user: Option<u32>,
    /// Row number of the session, where known.
    pub session: Option<u32>,
    /// Seconds since the start of the log, where known.
    pub time: Option<i64>,
    /// Day since the start of the log.
    pub day: i32,
    /// Query text.
    pub query: Option<String>,
    /// Items of the user's past, oldest first.
    pub history: Vec<u32>,
    /// What the request is for.
    pub split: Split,
}

/// An item shown for a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImpressionRow {
    /// Row number of the request; rows are sorted by it.
    pub request: u32,
    /// What was shown and what happened.
    pub impression: Impression,
}

/// A judged item of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgementRow {
    /// Row number of the request; rows are sorted by it.
    pub request: u32,
    /// Row number of the item.
    pub item: u32,
    /// Graded relevance, in the source's scale.
    pub grade: f32,
}

/// Names of the columns that every corpus has.
pub(super) fn fixed_columns(of: Entity) -> Vec<String> {
    let schema = match of {
        Entity::Item => ItemRow::schema(),
        Entity::User => UserRow::schema(),
        Entity::Session => SessionRow::schema(),
        Entity::Request => RequestRow::schema(),
        Entity::Impression => ImpressionRow::schema(),
    };
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

fn list_of(data_type: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", data_type, true)))
}

fn string_lists<'a, I, L>(lists: I) -> ArrayRef
where
    I: Iterator<Item = L>,
    L: Iterator<Item = &'a str>,
{
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in lists {
        for text in list {
            builder.values().append_value(text);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

fn strings_of(list: &dyn Array) -> impl Iterator<Item = String> + '_ {
    list.as_string::<i32>().iter().flatten().map(str::to_owned)
}

/// A column of lists of strings, looked into once per batch: a slice per row costs more than its strings.
struct StringLists<'a> {
    lists: &'a ListArray,
    strings: &'a StringArray,
}

impl<'a> StringLists<'a> {
    fn new(column: &'a ArrayRef) -> Self {
        let lists = column.as_list::<i32>();
        Self { lists, strings: lists.values().as_string::<i32>() }
    }

    fn of(&self, row: usize) -> impl Iterator<Item = String> + use<'a> {
        let offsets = self.lists.value_offsets();
        let strings = self.strings;
        (offsets[row]..offsets[row + 1]).map(move |place| strings.value(place as usize).to_owned())
    }
}

fn optional<T: Copy, A: Array>(
    column: &A,
    row: usize,
    value: impl Fn(&A, usize) -> T,
) -> Option<T> {
    (!column.is_null(row)).then(|| value(column, row))
}

impl Row for ItemRow {
    const NAME: &'static str = "items";

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("title", DataType::Utf8, false),
            Field::new("text", DataType::Utf8, false),
            Field::new("category", list_of(DataType::Utf8), false),
            Field::new("attribute_names", list_of(DataType::Utf8), false),
            Field::new("attribute_values", list_of(DataType::Utf8), false),
            Field::new("price", DataType::Float32, true),
            Field::new("launch_day", DataType::Int32, true),
            Field::new("statistics_day", DataType::Int32, true),
            Field::new("shown", DataType::UInt32, true),
            Field::new("clicks", DataType::UInt32, true),
            Field::new("orders", DataType::UInt32, true),
        ])
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let texts = |get: fn(&Self) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(get)))
        };
        let counts = |get: fn(&Self) -> Option<u32>| -> ArrayRef {
            Arc::new(rows.iter().map(get).collect::<UInt32Array>())
        };
        let days = |get: fn(&Self) -> Option<i32>| -> ArrayRef {
            Arc::new(rows.iter().map(get).collect::<Int32Array>())
        };
        vec![
            texts(|r| &r.id),
            texts(|r| &r.title),
            texts(|r| &r.text),
            string_lists(rows.iter().map(|r| r.category.iter().map(String::as_str))),
            string_lists(rows.iter().map(|r| r.attributes.iter().map(|a| a.0.as_str()))),
            string_lists(rows.iter().map(|r| r.attributes.iter().map(|a| a.1.as_str()))),
            Arc::new(rows.iter().map(|r| r.price).collect::<Float32Array>()),
            days(|r| r.launch_day),
            days(|r| r.statistics_day),
            counts(|r| r.shown),
            counts(|r| r.clicks),
            counts(|r| r.orders),
        ]
    }

    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let [ids, titles, texts] = [0, 1, 2].map(|c| batch.column(c).as_string::<i32>());
        let [categories, names, values] = [3, 4, 5].map(|c| StringLists::new(batch.column(c)));
        let count = |c: usize, row: usize| {
            optional(batch.column(c).as_primitive::<UInt32Type>(), row, PrimitiveArray::value)
        };
        let day = |c: usize, row: usize| {
            optional(batch.column(c).as_primitive::<Int32Type>(), row, PrimitiveArray::value)
        };
        let price = batch.column(6).as_primitive::<Float32Type>();
        Ok((0..batch.num_rows())
            .map(|row| Self {
                id: ids.value(row).to_owned(),
                title: titles.value(row).to_owned(),
                text: texts.value(row).to_owned(),
                category: categories.of(row).collect(),
                attributes: names.of(row).zip(values.of(row)).collect(),
                price: optional(price, row, PrimitiveArray::value),
                launch_day: day(7, row),
                statistics_day: day(8, row),
                shown: count(9, row),
                clicks: count(10, row),
                orders: count(11, row),
            })
            .collect())
    }
}

impl Row for ItemTextRow {
    const NAME: &'static str = ItemRow::NAME;

    fn schema() -> Schema {
        Schema::new(ItemRow::schema().fields().iter().take(3).cloned().collect::<Vec<_>>())
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let texts = |get: fn(&Self) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(get)))
        };
        vec![texts(|r| &r.id), texts(|r| &r.title), texts(|r| &r.text)]
    }

    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let [ids, titles, texts] = [0, 1, 2].map(|c| batch.column(c).as_string::<i32>());
        Ok((0..batch.num_rows())
            .map(|row| Self {
                id: ids.value(row).to_owned(),
                title: titles.value(row).to_owned(),
                text: texts.value(row).to_owned(),
            })
            .collect())
    }
}

impl Row for ItemName {
    const NAME: &'static str = ItemRow::NAME;

    fn schema() -> Schema {
        Schema::new(ItemRow::schema().fields().iter().take(2).cloned().collect::<Vec<_>>())
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let texts = |get: fn(&Self) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(get)))
        };
        vec![texts(|r| &r.id), texts(|r| &r.title)]
    }

    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let [ids, titles] = [0, 1].map(|c| batch.column(c).as_string::<i32>());
        Ok((0..batch.num_rows())
            .map(|row| Self { id: ids.value(row).to_owned(), title: titles.value(row).to_owned() })
            .collect())
    }
}

impl Row for UserRow {
    const NAME: &'static str = "users";

    fn schema() -> Schema {
        Schema::new(vec![Field::new("id", DataType::Utf8, false)])
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        vec![Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.id)))]
    }

    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        Ok(strings_of(batch.column(0)).map(|id| Self { id }).collect())
    }
}

impl Row for SessionRow {
    const NAME: &'static str = "sessions";

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("user", DataType::UInt32, true),
            Field::new("day", DataType::Int32, false),
        ])
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.id))),
            Arc::new(rows.iter().map(|r| r.user).collect::<UInt32Array>()),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.day))),
        ]
    }

    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let (ids, users) =
            (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<UInt32Type>());
        let days = batch.column(2).as_primitive::<Int32Type>();
        Ok((0..batch.num_rows())
            .map(|row| Self {
                id: ids.value(row).to_owned(),
                user: optional(users, row, PrimitiveArray::value),
                day: days.value(row),
            })
            .collect())
    }
}

impl Row for RequestRow {
    const NAME: &'static str = "requests";

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("user", DataType::UInt32, true),
            Field::new("session", DataType::UInt32, true),
            Field::new("time", DataType::Int64, true),
            Field::new("day", DataType::Int32, false),
            Field::new("query", DataType::Utf8, true),
            Field::new("history", list_of(DataType::UInt32), false),
            Field::new("split", DataType::UInt8, false),
        ])
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let mut history = ListBuilder::new(UInt32Builder::new());
        for row in rows {
            history.values().append_slice(&row.history);
            history.append(true);
        }
        vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.id))),
            Arc::new(rows.iter().map(|r| r.user).collect::<UInt32Array>()),
            Arc::new(rows.iter().map(|r| r.session).collect::<UInt32Array>()),
            Arc::new(rows.iter().map(|r| r.time).collect::<Int64Array>()),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.day))),
            Arc::new(rows.iter().map(|r| r.query.as_deref()).collect::<StringArray>()),
            Arc::new(history.finish()),
            Arc::new(UInt8Array::from_iter_values(rows.iter().map(|r| r.split.code()))),
        ]
    }

    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let ids = batch.column(0).as_string::<i32>();
        let users = batch.column(1).as_primitive::<UInt32Type>();
        let sessions = batch.column(2).as_primitive::<UInt32Type>();
        let times = batch.column(3).as_primitive::<Int64Type>();
        let days = batch.column(4).as_primitive::<Int32Type>();
        let queries = batch.column(5).as_string::<i32>();
        let histories = batch.column(6).as_list::<i32>();
        let splits = batch.column(7).as_primitive::<UInt8Type>();
        (0..batch.num_rows())
            .map(|row| {
                let code = splits.value(row);
                Ok(Self {
                    id: ids.value(row).to_owned(),
                    user: optional(users, row, PrimitiveArray::value),
                    session: optional(sessions, row, PrimitiveArray::value),
                    time: optional(times, row, PrimitiveArray::value),
                    day: days.value(row),
                    query: (!queries.is_null(row)).then(|| queries.value(row).to_owned()),
                    history: histories.value(row).as_primitive::<UInt32Type>().values().to_vec(),
                    split: Split::from_code(code)
                        .ok_or_else(|| format!("column split holds {code}, expected 0, 1 or 2"))?,
                })
            })
            .collect()
    }
}

impl Row for ImpressionRow {
    const NAME: &'static str = "impressions";

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("request", DataType::UInt32, false),
            Field::new("item", DataType::UInt32, false),
            Field::new("position", DataType::UInt16, false),
            Field::new("propensity", DataType::Float32, true),
            Field::new("click", DataType::Boolean, false),
            Field::new("cart", DataType::Boolean, false),
            Field::new("order", DataType::Boolean, false),
            Field::new("like", DataType::Boolean, true),
            Field::new("share", DataType::Boolean, true),
            Field::new("dwell", DataType::Float32, true),
            Field::new("grade", DataType::Float32, true),
        ])
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let signal = |get: fn(&Impression) -> Option<bool>| -> ArrayRef {
            Arc::new(rows.iter().map(|r| get(&r.impression)).collect::<BooleanArray>())
        };
        let number = |get: fn(&Impression) -> Option<f32>| -> ArrayRef {
            Arc::new(rows.iter().map(|r| get(&r.impression)).collect::<Float32Array>())
        };
        let positions = rows.iter().map(|r| r.impression.position);
        vec![
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|r| r.request))),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|r| r.impression.item))),
            Arc::new(UInt16Array::from_iter_values(positions)),
            number(|i| i.propensity),
            signal(|i| Some(i.click)),
            signal(|i| Some(i.cart)),
            signal(|i| Some(i.order)),
            signal(|i| i.like),
            signal(|i| i.share),
            number(|i| i.dwell),
            number(|i| i.grade),
        ]
    }

    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let requests = batch.column(0).as_primitive::<UInt32Type>();
        let items = batch.column(1).as_primitive::<UInt32Type>();
        let positions = batch.column(2).as_primitive::<UInt16Type>();
        let number = |c: usize, row: usize| {
            optional(batch.column(c).as_primitive::<Float32Type>(), row, PrimitiveArray::value)
        };
        let signal =
            |c: usize, row: usize| optional(batch.column(c).as_boolean(), row, BooleanArray::value);
        Ok((0..batch.num_rows())
            .map(|row| Self {
                request: requests.value(row),
                impression: Impression {
                    item: items.value(row),
                    position: positions.value(row),
                    propensity: number(3, row),
                    click: signal(4, row).unwrap_or(false),
                    cart: signal(5, row).unwrap_or(false),
                    order: signal(6, row).unwrap_or(false),
                    like: signal(7, row),
                    share: signal(8, row),
                    dwell: number(9, row),
                    grade: number(10, row),
                    ..Impression::default()
                },
            })
            .collect())
    }
}

impl Row for JudgementRow {
    const NAME: &'static str = "judgements";

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("request", DataType::UInt32, false),
            Field::new("item", DataType::UInt32, false),
            Field::new("grade", DataType::Float32, false),
        ])
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        vec![
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|r| r.request))),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|r| r.item))),
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|r| r.grade))),
        ]
    }

    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let requests = batch.column(0).as_primitive::<UInt32Type>();
        let items = batch.column(1).as_primitive::<UInt32Type>();
        let grades = batch.column(2).as_primitive::<Float32Type>();
        Ok((0..batch.num_rows())
            .map(|row| Self {
                request: requests.value(row),
                item: items.value(row),
                grade: grades.value(row),
            })
            .collect())
    }
}
