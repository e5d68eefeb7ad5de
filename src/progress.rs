//! What a long-running step may say to the outside: progress, remarks, and whether to stop.
//!
//! Bars on a terminal, plain lines elsewhere; components only see [`Context`] and know neither.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::error::{Error, Result};

/// Seconds between plain progress lines where no terminal is attached.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(10);

/// Handed to every long-running function: where to report, and the interrupt flag.
#[derive(Clone)]
pub struct Context {
    bars: Option<MultiProgress>,
    quiet: bool,
    interrupted: Arc<AtomicBool>,
    /// Warnings of the step at work.
    noted: Arc<Mutex<Vec<String>>>,
    /// Seconds that the work left out would take, where only its beginning is wanted.
    left_out: Option<Arc<Mutex<f64>>>,
}

impl Context {
    /// Reports on standard error: bars on a terminal, lines elsewhere, nothing when quiet.
    pub fn new(quiet: bool, interrupted: Arc<AtomicBool>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bars = (terminal && !quiet).then(MultiProgress::new);
        Self { bars, quiet, interrupted, noted: Arc::default(), left_out: None }
    }

    /// Says nothing and is never interrupted: for tests and library use.
    pub fn silent() -> Self {
        Self {
            bars: None,
            quiet: true,
            interrupted: Arc::new(AtomicBool::new(false)),
            noted: Arc::default(),
            left_out: None,
        }
    }

    /// The same, for a look at how long the work takes: long work does its beginning, and says what it left out.
    pub fn probing(&self) -> Self {
        Self { quiet: true, bars: None, left_out: Some(Arc::default()), ..self.clone() }
    }

    /// Whether only the beginning of long work is wanted.
    pub fn is_probing(&self) -> bool {
        self.left_out.is_some()
    }

    /// Says that work was left out which would take so many seconds.
    pub fn leave_out(&self, seconds: f64) {
        if let Some(sum) = &self.left_out {
            *sum.lock().unwrap_or_else(PoisonError::into_inner) += seconds;
        }
    }

    /// Seconds of all that was left out since this was last asked.
    pub fn take_left_out(&self) -> f64 {
        let taken = |sum: &Arc<Mutex<f64>>| {
            std::mem::take(&mut *sum.lock().unwrap_or_else(PoisonError::into_inner))
        };
        self.left_out.as_ref().map_or(0.0, taken)
    }

    /// One line of talk on standard error.
    pub fn say(&self, line: impl AsRef<str>) {
        match (&self.bars, self.quiet) {
            (_, true) => {}
            (Some(bars), _) => bars.suspend(|| eprintln!("{}", line.as_ref())),
            (None, false) => eprintln!("{}", line.as_ref()),
        }
    }

    /// The same, with notes of its own of what is warned of.
    pub fn noting(&self) -> Self {
        Self { noted: Arc::default(), ..self.clone() }
    }

    /// What was warned of, each once.
    pub fn noted(&self) -> Vec<String> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a warning that was printed before, by a process that was interrupted.
    pub fn note(&self, line: impl AsRef<str>) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.iter().any(|one| one == line.as_ref()) {
            noted.push(line.as_ref().to_owned());
        }
    }

    /// A warning: printed even when quiet, and noted.
    pub fn warn(&self, line: impl AsRef<str>) {
        self.note(&line);
        self.mention(line);
    }

    /// A warning of something that no result rests on: printed even when quiet, but not noted.
    pub fn mention(&self, line: impl AsRef<str>) {
        if self.is_probing() {
            return;
        }
        match &self.bars {
            Some(bars) => bars.suspend(|| eprintln!("warning: {}", line.as_ref())),
            None => eprintln!("warning: {}", line.as_ref()),
        }
    }

    /// Whether the user asked to stop.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Returns [`Error::Interrupted`] once the user asked to stop; for use between units of work.
    pub fn check_interrupt(&self) -> Result<()> {
        if self.is_interrupted() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Starts a progress display of `total` units called `unit` (for instance `"request"`).
    pub fn bar(&self, label: &str, total: u64, unit: &str) -> Bar {
        let bar = match &self.bars {
            Some(bars) => bars.add(ProgressBar::new(total)),
            None => ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden()),
        };
        let template = format!(
            "{{prefix:24}} {{bar:28}} {{human_pos}}/{{human_len}} {unit}s · {{rate}} · {{eta}} left {{msg}}"
        );
        if let Ok(style) = ProgressStyle::with_template(&template) {
            let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                // A bar that cannot be drawn is no reason to stop.
                let _ = write!(text, "{:.1}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        bar.set_prefix(label.to_owned());
        let plain = self.bars.is_none() && !self.quiet;
        let now = Instant::now();
        Bar { bar, label: label.to_owned(), unit: unit.to_owned(), plain, started: now, last: now }
    }
}

/// One running progress display; finishes when dropped.
pub struct Bar {
    bar: ProgressBar,
    label: String,
    unit: String,
    plain: bool,
    started: Instant,
    last: Instant,
}

impl Bar {
    /// Sets the position without counting it into the rate, after a resume.
    pub fn resume_at(&mut self, done: u64) {
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// Advances by `n` units.
    pub fn advance(&mut self, n: u64) {
        self.bar.inc(n);
        if self.plain && self.last.elapsed() >= PLAIN_LINE_EVERY {
            self.last = Instant::now();
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let message = self.bar.message();
            eprintln!(
                "{}: {done}/{total} {}s, {:.1}/s, {:.0} s left {message}",
                self.label,
                self.unit,
                self.bar.per_sec(),
                self.bar.eta().as_secs_f64(),
            );
        }
    }

    /// Sets the text behind the bar, for instance the loss.
    pub fn message(&mut self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        // Finishing moves the bar to its end, also when the work was broken off.
        let done = self.bar.position();
        self.bar.finish_and_clear();
        if self.plain {
            let seconds = self.started.elapsed().as_secs_f64();
            let message = self.bar.message();
            eprintln!("{}: {done} {}s in {seconds:.1} s {message}", self.label, self.unit);
        }
    }
}
