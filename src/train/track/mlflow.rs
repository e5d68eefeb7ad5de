//! An MLflow tracking server: one run per training, over its REST interface (version 2.0) and plain http.
//!
//! Knows requests and answers of that interface, nothing of queues: a call either succeeds or says whether it may
//! succeed later. `https` needs a TLS library several times the size of everything else here; a recipe that asks
//! for it is refused, and a local forwarder does the same.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::Agent;

use super::sink::{Entry, Fault, Outcome, Sink, now_millis};

/// Time for one call; none of them is waited for by a training.
const CALL: Duration = Duration::from_secs(10);
/// Time for making the connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest answer that is read, in bytes.
const LARGEST_ANSWER: u64 = 1 << 20;
/// Most parameters in one call, a limit of the interface.
const PARAMETERS: usize = 100;
/// Most metrics in one call, a limit of the interface.
const METRICS: usize = 1_000;
/// Longest value of a parameter that every version of the interface takes, in bytes.
const LONGEST_VALUE: usize = 500;

type Answer<T> = std::result::Result<T, Fault>;

/// What is told to the server of one training.
#[derive(Debug, Clone)]
pub struct MlflowRun {
    /// Address of the server: `http://host:port`.
    pub address: String,
    /// Name of the experiment, made where there is none.
    pub experiment: String,
    /// Name of the run.
    pub name: String,
    /// Settings by dotted key.
    pub parameters: Vec<(String, String)>,
    /// Tags of the run.
    pub tags: Vec<(String, String)>,
    /// File that remembers the run, so that a resumed training continues it.
    pub memory: PathBuf,
}

/// Which run a training belongs to.
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    address: String,
    run: String,
}

pub(super) struct Mlflow {
    run: MlflowRun,
    agent: Agent,
    id: Option<String>,
}

impl Mlflow {
    pub(super) fn new(run: MlflowRun) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(CALL))
            .timeout_connect(Some(CONNECT))
            // Answers with an error carry the reason.
            .http_status_as_error(false)
            // The server is named in the recipe; a proxy of the environment is for other traffic.
            .proxy(None)
            .max_redirects(0)
            .build();
        Self { run, agent: config.into(), id: None }
    }

    fn url(&self, call: &str) -> String {
        format!("{}/api/2.0/mlflow/{call}", self.run.address.trim_end_matches('/'))
    }

    fn get(&self, call: &str) -> Answer<Value> {
        let url = self.url(call);
        read(&url, self.agent.get(&url).call())
    }

    fn post(&self, call: &str, body: &Value) -> Answer<Value> {
        let url = self.url(call);
        let request = self.agent.post(&url).header("Content-Type", "application/json");
        read(&url, request.send(body.to_string().as_bytes()))
    }

    /// The experiment's id; makes it where there is none.
    fn experiment(&self) -> Answer<String> {
        let name = &self.run.experiment;
        // Names of recipes are lower-case letters, digits and `-`: nothing to be escaped.
        let found = self.get(&format!("experiments/get-by-name?experiment_name={name}"));
        match found {
            Ok(answer) => text(&answer, &["experiment", "experiment_id"]),
            Err(fault) if fault.message.contains("RESOURCE_DOES_NOT_EXIST") => {
                let answer = self.post("experiments/create", &json!({ "name": name }))?;
                text(&answer, &["experiment_id"])
            }
            Err(fault) => Err(fault),
        }
    }

    fn create(&self) -> Answer<String> {
        let experiment = self.experiment()?;
        let pairs = |list: &[(String, String)]| -> Vec<Value> {
            list.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
        };
        let answer = self.post(
            "runs/create",
            &json!({
                "experiment_id": experiment,
                "run_name": self.run.name,
                "start_time": now_millis(),
                "tags": pairs(&self.run.tags),
            }),
        )?;
        let id = text(&answer, &["run", "info", "run_id"])?;
        for some in self.run.parameters.chunks(PARAMETERS) {
            self.post("runs/log-batch", &json!({ "run_id": id, "params": pairs(some) }))?;
        }
        Ok(id)
    }

    /// The run that an earlier process began, if the server still knows it.
    fn remembered(&self) -> Answer<Option<String>> {
        let memory = fs::read(&self.run.memory).ok();
        let memory = memory.and_then(|text| serde_json::from_slice::<Memory>(&text).ok());
        let Some(memory) = memory.filter(|memory| memory.address == self.run.address) else {
            return Ok(None);
        };
        match self.post("runs/update", &json!({ "run_id": memory.run, "status": "RUNNING" })) {
            Ok(_) => Ok(Some(memory.run)),
            Err(fault) if fault.passing => Err(fault),
            Err(_) => Ok(None),
        }
    }

    fn remember(&self, run: &str) -> Answer<()> {
        let memory = Memory { address: self.run.address.clone(), run: run.to_owned() };
        crate::store::write_json(&self.run.memory, &memory)
            .map_err(|e| Fault { message: e.to_string(), passing: true })
    }
}

impl Sink for Mlflow {
    fn name(&self) -> &'static str {
        "mlflow"
    }

    fn begin(&mut self, _done: u64) -> Answer<()> {
        let id = match self.remembered()? {
            Some(id) => id,
            None => {
                let id = self.create()?;
                self.remember(&id)?;
                id
            }
        };
        self.id = Some(id);
        Ok(())
    }

    fn write(&mut self, entries: &[Entry]) -> Answer<()> {
        let metrics: Vec<Value> = entries
            .iter()
            .flat_map(|entry| {
                // JSON has no other numbers.
                let finite = entry.values().filter(|(_, value)| value.is_finite());
                finite.map(|(name, value)| {
                    json!({
                        "key": metric_name(name),
                        "value": value,
                        "timestamp": entry.millis,
                        "step": entry.record.step,
                    })
                })
            })
            .collect();
        for some in metrics.chunks(METRICS) {
            self.post("runs/log-batch", &json!({ "run_id": self.id, "metrics": some }))?;
        }
        Ok(())
    }

    fn end(&mut self, outcome: Outcome) -> Answer<()> {
        let status = match outcome {
            Outcome::Finished => "FINISHED",
            Outcome::Interrupted => "KILLED",
            Outcome::Failed => "FAILED",
        };
        let body = json!({ "run_id": self.id, "status": status, "end_time": now_millis() });
        self.post("runs/update", &body).map(|_| ())
    }
}

/// A metric's name as MLflow takes it: anything but letters, digits, `_ - . /` and space becomes `_`.
fn metric_name(name: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_-./ ".contains(c);
    name.chars().map(|c| if legal(c) { c } else { '_' }).collect()
}

/// Settings by dotted key, as parameters of a run; keys without a value are left out.
pub fn flattened(settings: &Value) -> Vec<(String, String)> {
    fn visit(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
        match value {
            Value::Null => {}
            Value::Object(table) => {
                for (key, value) in table {
                    let dotted =
                        if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    visit(&dotted, value, found);
                }
            }
            other => {
                let mut text = other.as_str().map_or_else(|| other.to_string(), ToOwned::to_owned);
                text.truncate(text.floor_char_boundary(LONGEST_VALUE));
                found.push((path.to_owned(), text));
            }
        }
    }
    let mut found = Vec::new();
    visit("", settings, &mut found);
    found
}

/// The JSON of a good answer; the reason of a bad one.
fn read(
    url: &str,
    answer: std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Answer<Value> {
    let failed = |message: String, passing| Fault { message: format!("{url}: {message}"), passing };
    let mut response = answer.map_err(|e| failed(e.to_string(), true))?;
    let status = response.status();
    let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
    let body = body.map_err(|e| failed(e.to_string(), true))?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| {
            failed("answers something else than JSON; is this an MLflow server?".into(), false)
        });
    }
    let reason: Value = serde_json::from_slice(&body).unwrap_or_default();
    let part = |key: &str| reason.get(key).and_then(Value::as_str).unwrap_or_default();
    let (code, message) = (part("error_code"), part("message"));
    // Too many requests and faults of the server pass; what it refuses it refuses again.
    let passing = status.as_u16() == 429 || status.is_server_error();
    Err(failed(format!("status {} {code} {message}", status.as_u16()).trim_end().into(), passing))
}

fn text(answer: &Value, path: &[&str]) -> Answer<String> {
    let found = path.iter().try_fold(answer, |value, key| value.get(key)).and_then(Value::as_str);
    found.map(ToOwned::to_owned).ok_or_else(|| Fault {
        message: format!("the server's answer has no {}", path.join(".")),
        passing: false,
    })
}
