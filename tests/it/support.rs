//! Starting the binary and looking at what it left. Knows no recipe but the tiny ones beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The recipe with every kind of step.
pub(crate) const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tiny.toml");

/// What a finished process said.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Checks that standard error says all of `parts`.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.err.contains(part), "`{part}` is not in:\n{}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

/// The binary with `args`, on two threads, away from any terminal.
pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trieval"));
    command.args(args).env("RAYON_NUM_THREADS", "2").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) fn trieval<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Answer {
    let output = command(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Answer {
        // A signal has no code.
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// `run RECIPE --out OUT` with further arguments.
pub(crate) fn run(recipe: &str, out: &Path, more: &[&str]) -> Answer {
    trieval(&run_args(recipe, out, more))
}

pub(crate) fn run_args(recipe: &str, out: &Path, more: &[&str]) -> Vec<String> {
    let out = out.display().to_string();
    let args = ["run", recipe, "--out", &out];
    args.iter().chain(more).map(ToString::to_string).collect()
}

/// A run of the tiny recipe that all tests may read and none may change.
pub(crate) fn finished() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR"));
        remove_runs_of_the_dead(shared);
        let out = shared.join(format!("finished-{}", std::process::id()));
        run(TINY, &out, &[]).expect(0);
        // Files of the last two seconds are read once more; after that no reader has anything to
        // write down.
        std::thread::sleep(Duration::from_millis(2_100));
        run(TINY, &out, &[]).expect(0);
        out
    })
}

/// Statics are never dropped, so every process removes what earlier ones left.
fn remove_runs_of_the_dead(shared: &Path) {
    for entry in std::fs::read_dir(shared).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(process) = name.strip_prefix("finished-")
            && !Path::new("/proc").join(process).exists()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A private copy of the finished run.
pub(crate) fn copy_of_finished(to: &Path) {
    copy_tree(finished(), to);
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file below `folder`, by relative path.
pub(crate) fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(current) = pending.pop() {
        for entry in std::fs::read_dir(current).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                files.insert(name, bytes);
            }
        }
    }
    files
}

/// What must not depend on when a run was killed: every file without a clock in it, and the report
/// without its clocks.
pub(crate) fn fingerprint(run: &Path) -> BTreeMap<String, Vec<u8>> {
    const CLOCKS: [&str; 8] = [
        "step.json",
        "system.json",
        "train.jsonl",
        "evaluation.json",
        "lock",
        "plan.json",
        "fingerprints.json",
        "finished.json",
    ];
    let mut files = tree(run);
    files.retain(|path, _| {
        let name = path.rsplit('/').next().unwrap_or_default();
        !path.starts_with("report.") && !CLOCKS.contains(&name)
    });
    let report = figures(&json(&run.join("report.json")));
    files.insert("report.json".into(), report.to_string().into_bytes());
    files
}

/// Compares two fingerprints by name, without printing megabytes.
#[track_caller]
pub(crate) fn assert_same(run: &Path, expected: &Path) {
    let (found, expected) = (fingerprint(run), fingerprint(expected));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (name, bytes) in &expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
    let weights = expected.keys().filter(|name| name.ends_with("model.safetensors")).count();
    assert_eq!(weights, 3, "start, supervised and aligned weights were compared");
}

/// A report without what clocks and the machine's memory say.
pub(crate) fn figures(report: &Value) -> Value {
    let mut report = report.clone();
    for system in report["systems"].as_array_mut().unwrap() {
        let system = system.as_object_mut().unwrap();
        assert!(system.remove("latency_ms").is_some() && system.remove("peak_bytes").is_some());
        let operational = system["operational"].as_object_mut().unwrap();
        assert!(operational.remove("qps").is_some());
        assert!(operational.remove("qps_batch").is_some());
    }
    for training in report["training"].as_array_mut().unwrap() {
        assert!(training.as_object_mut().unwrap().remove("seconds").is_some());
    }
    report
}

/// The figure of a system in a report.
pub(crate) fn figure(report: &Value, system: &str, metric: &str) -> f64 {
    let systems = report["systems"].as_array().unwrap();
    let one = systems.iter().find(|one| one["name"] == system).unwrap();
    let value = &one["metrics"][metric]["value"];
    value.as_f64().unwrap_or_else(|| panic!("{metric} of {system} is not in {report}"))
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// All step folders of a step, one per content key.
pub(crate) fn step_folders(run: &Path, step: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(run.join("steps").join(step)).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

/// The only step folder of a step, once there is one.
pub(crate) fn step_folder(run: &Path, step: &str) -> Option<PathBuf> {
    step_folders(run, step).into_iter().next()
}

/// Lines of the log of a training under way.
pub(crate) fn logged(run: &Path, step: &str) -> usize {
    step_folder(run, step).map_or(0, |folder| logged_in(&folder))
}

/// Lines of the log of a training under way in its step folder.
pub(crate) fn logged_in(folder: &Path) -> usize {
    let text = std::fs::read(folder.join("work/train.jsonl")).unwrap_or_default();
    text.iter().filter(|byte| **byte == b'\n').count()
}

/// A process that is ended when a test fails.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(args: &[String]) -> Self {
        let mut command = command(args);
        Self(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Waits until `reached` or the process ends; whether it still runs.
    pub(crate) fn wait_until(&mut self, mut reached: impl FnMut() -> bool) -> bool {
        let started = Instant::now();
        loop {
            if self.0.try_wait().unwrap().is_some() {
                return false;
            }
            if reached() {
                return true;
            }
            assert!(started.elapsed() < Duration::from_secs(120), "nothing happens");
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        self.signal("INT");
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let send = format!("kill -{name} \"$0\"");
        let sent = Command::new("sh").args(["-c", &send, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Sends SIGKILL and waits for the end.
    pub(crate) fn kill(mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }

    /// Exit code and standard error, at the end.
    pub(crate) fn finish(mut self) -> Answer {
        use std::io::Read;
        let mut err = String::new();
        if let Some(mut pipe) = self.0.stderr.take() {
            pipe.read_to_string(&mut err).unwrap();
        }
        let code = self.0.wait().unwrap().code().unwrap_or(-1);
        Answer { code, out: String::new(), err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
