//! Rendering within limits: steps, size of the output, depth of values, stack.
//!
//! `minijinja` counts fuel for every instruction and for the data it makes. What may nest deeply is bounded by the fuel,
//! so that a stack of so many times the most that one level takes can hold it when it is printed, compared or dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use minijinja::value::{Kwargs, Rest, StringInput, ValueKind, ValueOrKwargs};
use minijinja::{Environment, ErrorKind, State, Value, escape_formatter, filters, functions};
use minijinja_contrib::pycompat;

use super::source::{self, line};
use crate::error::{Error, Result};

/// Steps of one rendering; real chat templates take some hundreds. A step pays for 64 bytes.
const FUEL: u64 = 100_000;
/// Bytes of stack for parsing and rendering; only what is touched is taken. A level of a value that is printed takes
/// less than 1,000 of them, and costs a step.
const STACK: usize = 128 << 20;
/// Most values within each other that a namespace may hold in the end, or that are printed; those of real templates
/// have two.
const DEEPEST_VALUE: usize = 100;
/// Most values in one that is printed, those that are there twice counted twice.
const MOST_VALUES: usize = 100_000;
/// Most blanks by which JSON is indented.
const MOST_INDENT: usize = 16;
/// How long a template may take when it is tried; what it computes is limited by steps, but for what compares values
/// that hold each other many times.
const LONGEST: Duration = Duration::from_secs(5);

/// Templates as Hugging Face renders them.
pub(super) fn environment() -> Result<Environment<'static>> {
    let mut environment = Environment::new();
    environment.set_syntax(source::syntax().map_err(Error::Failed)?);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(method);
    environment.set_formatter(|out, state, value| {
        modest(value)?;
        escape_formatter(out, state, value)
    });
    environment.add_filter("join", join);
    environment.add_filter("tojson", tojson);
    // It takes time that grows with the square of the depth, and is for people who look for faults.
    environment.remove_filter("pprint");
    environment.add_function("raise_exception", |message: String| -> Result<String, _> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    Ok(environment)
}

/// Adds a template that [`source::prepared`] accepted.
pub(super) fn add(
    environment: &mut Environment<'static>,
    name: &'static str,
    text: String,
) -> Result<(), String> {
    stacker::grow(STACK, || environment.add_template_owned(name, text)).map_err(|e| {
        let is_deep = e.to_string().contains("recursion limit");
        let what = if is_deep { "is nested too deeply" } else { "is not a template" };
        format!("{what}: {}", line(&e))
    })
}

/// Renders a template, or says why not.
pub(super) fn render(
    environment: &Environment<'_>,
    name: &str,
    values: Value,
) -> Result<String, String> {
    stacker::grow(STACK, || {
        let made = Namespaces::default();
        let values = minijinja::context! { namespace => made.function(), ..values };
        let rendered = environment.get_template(name).and_then(|template| template.render(values));
        if made.are_too_large() {
            return Err(format!("is nested too deeply: it makes {}", too_large()));
        }
        rendered.map_err(|e| match e.kind() {
            ErrorKind::OutOfFuel => format!(
                "takes too long: more than {FUEL} steps, or {} MB of text, for one prompt",
                64 * FUEL / 1_000_000
            ),
            _ => format!("cannot be rendered: {}", line(&e)),
        })
    })
}

/// The namespaces of a rendering. Only they carry a value from one turn of a loop into the next, so that only they can
/// hold one that nests deeper than the template itself.
#[derive(Default)]
struct Namespaces(Arc<Mutex<Vec<Value>>>);

impl Namespaces {
    /// The function `namespace`, which remembers what it makes.
    fn function(&self) -> Value {
        let made = Arc::clone(&self.0);
        let namespace = Value::from_function(functions::namespace);
        Value::from_function(move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| {
            let args: Vec<Value> = args.0.into_iter().map(Value::from).collect();
            let namespace = namespace.call(state, &args)?;
            made.lock().unwrap_or_else(PoisonError::into_inner).push(namespace.clone());
            Ok::<_, minijinja::Error>(namespace)
        })
    }

    fn are_too_large(&self) -> bool {
        let made = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        is_too_large(made)
    }
}

/// Whether values nest too deeply, or are too many.
fn is_too_large(values: Vec<Value>) -> bool {
    let mut open: Vec<(Value, usize)> = values.into_iter().map(|value| (value, 0)).collect();
    let mut seen = 0;
    while let Some((value, depth)) = open.pop() {
        seen += 1;
        if depth > DEEPEST_VALUE || seen > MOST_VALUES {
            return true;
        }
        if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
            continue;
        }
        let Some(object) = value.as_object() else { continue };
        let inner = object.try_iter_pairs().into_iter().flatten();
        open.extend(inner.map(|(_, value)| (value, depth + 1)));
    }
    false
}

fn too_large() -> String {
    format!("more than {DEEPEST_VALUE} values within each other, or {MOST_VALUES} in one")
}

/// Refuses to print a value that is too large.
fn modest(value: &Value) -> Result<(), minijinja::Error> {
    if value.as_object().is_none() || !is_too_large(vec![value.clone()]) {
        return Ok(());
    }
    let message = format!("it is nested too deeply: {}", too_large());
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

fn join(
    state: &mut State<'_, '_>,
    value: &Value,
    joiner: Option<StringInput<'_>>,
    attribute: Option<&str>,
    kwargs: Kwargs,
) -> Result<Value, minijinja::Error> {
    modest(value)?;
    filters::join(state, value, joiner, attribute, kwargs)
}

fn tojson(value: &Value, indent: Option<Value>, kwargs: Kwargs) -> Result<Value, minijinja::Error> {
    modest(value)?;
    let stated = indent.clone().or(kwargs.peek("indent")?);
    if stated.and_then(|indent| usize::try_from(indent).ok()).is_some_and(|n| n > MOST_INDENT) {
        let message = format!("tojson: indents by more than {MOST_INDENT}");
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, message));
    }
    filters::tojson(value, indent, kwargs)
}

/// Does what a template that nobody has tried before may do, and gives up on it when it takes too long. What does not
/// end goes on until the program does, which a refusal ends.
pub(super) fn tried<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T, Option<Error>> {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    match receive.recv_timeout(LONGEST) {
        Ok(done) => done.map_err(Some),
        Err(_) => Err(None),
    }
}

/// Methods of Python's strings, lists and maps. Those that make more than they are given are paid for first.
fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, minijinja::Error> {
    let is_text = value.kind() == ValueKind::String;
    match (name, args) {
        ("join", [values]) if is_text => {
            state.apply_filter("join", &[values.clone(), value.clone()])
        }
        ("replace", [old, new]) if is_text => {
            state.apply_filter("replace", &[value.clone(), old.clone(), new.clone()])
        }
        ("startswith" | "endswith", _) => {
            pycompat::unknown_method_callback(state, value, name, args)
        }
        // A width could ask for any amount of blanks.
        ("format", _) if value.as_str().is_some_and(|text| text.contains(':')) => Err(
            minijinja::Error::new(ErrorKind::InvalidOperation, "format: widths are not known here"),
        ),
        _ => {
            let first = args.iter().take(if name == "get" { 1 } else { args.len() });
            for arg in first.clone() {
                if arg.as_object().is_some() {
                    let message = format!("{name} of a {} is not known here", arg.kind());
                    return Err(minijinja::Error::new(ErrorKind::InvalidOperation, message));
                }
            }
            if is_text {
                let bytes = |value: &Value| value.as_str().map_or(32, str::len) as u64;
                let text = value.as_str().unwrap_or_default();
                let holes = match name {
                    "format" => text.matches('{').count() as u64,
                    "replace" => text.len() as u64 + 1,
                    _ => 1,
                };
                let made = holes.saturating_mul(first.map(bytes).sum::<u64>() + 1);
                state.consume_fuel((made + bytes(value)) / 64)?;
            }
            pycompat::unknown_method_callback(state, value, name, args)
        }
    }
}
