//! MLflow against a small server that remembers what it was told, and servers that misbehave.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::mlflow::{MlflowRun, flattened};
use super::queue::tests::record;
use super::{Outcome, Tracker};
use crate::progress::Context;

/// Method, path and body of a request.
type Call = (String, String, Value);
type Handler = dyn Fn(&Call) -> (u16, Value) + Send + Sync;

/// A server on a free port; lives as long as the process.
fn serve(handler: Arc<Handler>) -> (SocketAddr, Arc<Mutex<Vec<Call>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (handler, seen) = (Arc::clone(&handler), Arc::clone(&seen));
            std::thread::spawn(move || while answer(&stream, &*handler, &seen).is_some() {});
        }
    });
    (address, calls)
}

fn answer(stream: &TcpStream, handler: &Handler, seen: &Mutex<Vec<Call>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let call = (method, path, serde_json::from_slice(&body).unwrap_or_default());
    let (status, reply) = handler(&call);
    seen.lock().unwrap().push(call);
    let reply = reply.to_string();
    let n = reply.len();
    let mut to = stream;
    write!(to, "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {n}\r\n\r\n{reply}").ok()
}

/// A server without experiments, on which every run is called `r1`.
fn mlflow(call: &Call) -> (u16, Value) {
    match call.1.as_str() {
        path if path.contains("get-by-name") => {
            (404, json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none" }))
        }
        "/api/2.0/mlflow/experiments/create" => (200, json!({ "experiment_id": "7" })),
        "/api/2.0/mlflow/runs/create" => (200, json!({ "run": { "info": { "run_id": "r1" } } })),
        _ => (200, json!({})),
    }
}

fn run(address: impl std::fmt::Display, folder: &Path) -> MlflowRun {
    MlflowRun {
        address: format!("http://{address}/"),
        experiment: "quickstart".into(),
        name: "train.aligned".into(),
        parameters: vec![("optimizer.clip".into(), "1.0".into())],
        tags: vec![("trieval.key".into(), "abc".into())],
        memory: folder.join("mlflow.json"),
    }
}

fn train(run: MlflowRun, done: u64, steps: u64, outcome: Outcome) {
    let tracker = Tracker::start("aligned", None, Some(run), &Context::silent());
    tracker.begin(done);
    (done + 1..=done + steps).for_each(|step| tracker.record(&record(step)));
    tracker.finish(outcome);
}

/// Every metric in the order of arrival: key, step, value.
fn metrics(calls: &[Call]) -> Vec<(String, u64, f64)> {
    let batches = calls.iter().filter_map(|call| call.2.get("metrics")?.as_array());
    let metric = |m: &Value| {
        assert!(m["timestamp"].as_u64().unwrap() > 1_600_000_000_000);
        let key = m["key"].as_str().unwrap().to_owned();
        (key, m["step"].as_u64().unwrap(), m["value"].as_f64().unwrap())
    };
    batches.flatten().map(metric).collect()
}

#[test]
fn a_training_becomes_a_run_and_a_resumed_one_continues_it() {
    let folder = tempfile::tempdir().unwrap();
    let (address, calls) = serve(Arc::new(mlflow));
    train(run(address, folder.path()), 0, 3, Outcome::Interrupted);
    {
        let calls = calls.lock().unwrap();
        let paths: Vec<&str> =
            calls.iter().map(|call| call.1.strip_prefix("/api/2.0/mlflow/").unwrap()).collect();
        let opening = [
            "experiments/get-by-name?experiment_name=quickstart",
            "experiments/create",
            "runs/create",
            "runs/log-batch",
        ];
        assert_eq!(paths[..4], opening);
        assert_eq!(calls[0].0, "GET");
        assert_eq!(calls[1].2, json!({ "name": "quickstart" }));
        let created = &calls[2].2;
        assert_eq!(created["experiment_id"], "7");
        assert_eq!(created["run_name"], "train.aligned");
        assert_eq!(created["tags"], json!([{ "key": "trieval.key", "value": "abc" }]));
        let params = json!([{ "key": "optimizer.clip", "value": "1.0" }]);
        assert_eq!(calls[3].2, json!({ "run_id": "r1", "params": params }));
        let end = &calls[calls.len() - 1];
        assert!(end.1.ends_with("runs/update"));
        assert_eq!((&end.2["run_id"], &end.2["status"]), (&json!("r1"), &json!("KILLED")));
        let metrics = metrics(&calls);
        assert_eq!(metrics.len(), 3 * 5, "every figure of every step, once");
        assert!(metrics.contains(&("rewards/margins".into(), 2, 0.5)));
        assert!(metrics.contains(&("loss".into(), 3, 1.0 / 3.0)));
    }
    calls.lock().unwrap().clear();
    train(run(address, folder.path()), 3, 2, Outcome::Finished);
    let calls = calls.lock().unwrap();
    assert_eq!(calls[0].2, json!({ "run_id": "r1", "status": "RUNNING" }));
    assert!(calls.iter().all(|call| !call.1.contains("create")), "no second run");
    let steps: Vec<u64> = metrics(&calls).iter().map(|(_, step, _)| *step).collect();
    assert_eq!((steps[0], steps[steps.len() - 1]), (4, 5));
    assert_eq!(calls[calls.len() - 1].2["status"], "FINISHED");
}

#[test]
fn a_run_that_the_server_lost_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let known = |call: &Call| match call.2["run_id"].as_str() {
        Some("lost") => (404, json!({ "error_code": "RESOURCE_DOES_NOT_EXIST" })),
        _ => mlflow(call),
    };
    let (address, calls) = serve(Arc::new(known));
    let run = run(address, folder.path());
    let memory = json!({ "address": run.address, "run": "lost" });
    std::fs::write(&run.memory, memory.to_string()).unwrap();
    train(run, 1, 1, Outcome::Finished);
    let calls = calls.lock().unwrap();
    assert!(calls[1].1.contains("get-by-name"));
    assert_eq!(calls[calls.len() - 1].2["run_id"], "r1");
}

#[test]
fn servers_that_are_away_or_refuse_cost_no_time_and_stop_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // A port that nobody listens on any more.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (refusing, refused) = serve(Arc::new(|_: &Call| {
        (403, json!({ "error_code": "PERMISSION_DENIED", "message": "not you" }))
    }));
    let (page, _) = serve(Arc::new(|_: &Call| (200, Value::Null)));
    for address in [nobody, refusing, page] {
        let started = Instant::now();
        train(run(address, folder.path()), 0, 20, Outcome::Finished);
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    }
    assert!(!refused.lock().unwrap().is_empty());
    assert!(!folder.path().join("mlflow.json").exists());
}

#[test]
fn settings_become_parameters() {
    let settings = json!({ "name": "a", "init": null, "optimizer": { "betas": [0.9, 0.98] } });
    let expected = [("name", "a"), ("optimizer.betas", "[0.9,0.98]")];
    assert_eq!(flattened(&settings), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    let long = json!({ "ask": "ä".repeat(400) });
    assert_eq!(flattened(&long)[0].1, "ä".repeat(250));
}
