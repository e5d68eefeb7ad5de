//! What a long-running step may say to the outside: progress, remarks, and whether to stop.
//!
//! Bars on a terminal, plain lines elsewhere; components only see [`Context`] and know neither.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{
    MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};

use crate::error::{Error, Result};
use crate::text::visible;

/// Seconds between plain progress lines where no terminal is attached.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(5);
/// Silence after which work says that it goes on.
const SILENCE: Duration = Duration::from_millis(4_500);
/// How often it is looked whether that long was silence.
const LOOK: Duration = Duration::from_millis(250);

/// Draws of bars in a second.
const DRAWS: u8 = 20;

/// When something was last said.
static SAID: Mutex<Option<Instant>> = Mutex::new(None);

/// Characters in a line of the terminal that standard error leads to, where it leads to one.
pub fn message_columns() -> Option<usize> {
    columns(&console::Term::stderr())
}

/// Characters in a line of the terminal that standard output leads to, where it leads to one.
pub fn data_columns() -> Option<usize> {
    columns(&console::Term::stdout())
}

/// Whether standard output leads to a terminal that shows marks: `NO_COLOR` does not forbid them.
pub fn marks_data() -> bool {
    let set = |name: &str| std::env::var_os(name);
    let forbidden = set("NO_COLOR").is_some_and(|value| !value.is_empty())
        || set("TERM").is_some_and(|value| value == "dumb");
    std::io::stdout().is_terminal() && !forbidden
}

fn columns(term: &console::Term) -> Option<usize> {
    term.is_term().then(|| usize::from(term.size().1))
}

fn said() -> MutexGuard<'static, Option<Instant>> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes lines to standard error as they may reach a terminal ([`visible`]). One that is closed or
/// full is no reason to stop: the work goes on without messages.
pub fn talk(text: &str) {
    talk_drawn(&visible(text));
}

/// As [`talk`], for what was made visible before it was drawn with colors.
pub fn talk_drawn(text: &str) {
    *said() = Some(Instant::now());
    let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Handed to every long-running function: where to report, and the interrupt flag.
#[derive(Clone)]
pub struct Context {
    bars: Option<MultiProgress>,
    quiet: bool,
    interrupts: Interrupts,
    /// Warnings of the step at work.
    noted: Arc<Mutex<Vec<String>>>,
    /// Seconds that the work left out would take, where only its beginning is wanted.
    left_out: Option<Arc<Mutex<f64>>>,
}

/// What the handler of signals and the work know of each other.
#[derive(Clone, Default)]
pub struct Interrupts {
    asked: Arc<AtomicBool>,
    held: Arc<AtomicUsize>,
}

impl Interrupts {
    /// Asks the work to stop; whether it was asked before.
    pub fn ask(&self) -> bool {
        self.asked.swap(true, Ordering::SeqCst)
    }

    /// Whether the work is at something that it must end before it can be continued later.
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst) > 0
    }
}

impl From<Arc<AtomicBool>> for Interrupts {
    fn from(asked: Arc<AtomicBool>) -> Self {
        Self { asked, held: Arc::default() }
    }
}

/// While it lives, an interrupt waits: see [`Context::hold`].
pub struct Held(Interrupts);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Context {
    /// Reports on standard error: bars on a terminal, lines elsewhere, nothing when quiet.
    pub fn new(quiet: bool, interrupts: impl Into<Interrupts>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let screen = || {
            let screen = Box::new(Screen(console::Term::buffered_stderr()));
            MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(screen, DRAWS))
        };
        Self {
            bars: (terminal && !quiet).then(screen),
            quiet,
            interrupts: interrupts.into(),
            noted: Arc::default(),
            left_out: None,
        }
    }

    /// Says nothing and is never interrupted: for tests and library use.
    pub fn silent() -> Self {
        Self {
            bars: None,
            quiet: true,
            interrupts: Interrupts::default(),
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
        if !self.quiet {
            self.above_bars(|| talk(line.as_ref()));
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
        self.above_bars(|| talk(&format!("warning: {}", line.as_ref())));
    }

    fn above_bars(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }

    /// Whether the user asked to stop.
    pub fn is_interrupted(&self) -> bool {
        self.interrupts.asked.load(Ordering::Relaxed)
    }

    /// While what it returns lives, an interrupt waits for this work: for a training that writes a
    /// checkpoint when its step is done. All other work is left within seconds.
    pub fn hold(&self) -> Held {
        self.interrupts.held.fetch_add(1, Ordering::SeqCst);
        Held(self.interrupts.clone())
    }

    /// Returns [`Error::Interrupted`] once the user asked to stop; for use between units of work.
    pub fn check_interrupt(&self) -> Result<()> {
        if self.is_interrupted() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Says on a terminal, below all lines, what is being done and for how long; elsewhere as
    /// [`Context::working`]. Ends when dropped.
    pub fn step(&self, text: &str) -> Working {
        let Some(bars) = &self.bars else { return self.working(text) };
        let bar = bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed_precise}") {
            bar.set_style(style);
        }
        bar.set_message(visible(text).into_owned());
        bar.enable_steady_tick(LOOK);
        Working { bar: Some(bar), ended: None, thread: None }
    }

    /// While what it returns lives, a line says that the work goes on whenever nothing was said for five seconds.
    pub fn working(&self, text: &str) -> Working {
        if self.quiet {
            return Working::default();
        }
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let (ctx, text, hears) = (self.clone(), text.to_owned(), Arc::clone(&ended));
        let started = Instant::now();
        let thread = std::thread::spawn(move || {
            let (ended, bell) = &*hears;
            let mut is_over = ended.lock().unwrap_or_else(PoisonError::into_inner);
            while !*is_over {
                let waited = bell.wait_timeout(is_over, LOOK);
                is_over = waited.unwrap_or_else(PoisonError::into_inner).0;
                let last = said().unwrap_or(started).max(started);
                if !*is_over && last.elapsed() >= SILENCE {
                    ctx.say(format!("{text}: {:.0} s", started.elapsed().as_secs_f64()));
                }
            }
        });
        Working { bar: None, ended: Some(ended), thread: Some(thread) }
    }

    /// Starts a progress display of `total` units called `unit` (for instance `"request"`).
    pub fn bar(&self, label: &str, total: u64, unit: &str) -> Bar {
        let bar = match &self.bars {
            Some(bars) => bars.add(ProgressBar::new(total)),
            None => ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden()),
        };
        let template = format!(
            "{{prefix:20!}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit}s · {{rate}} · {{eta}} {{msg}}"
        );
        if let Ok(style) = ProgressStyle::with_template(&template) {
            let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                // A bar that cannot be drawn is no reason to stop.
                let _ = write!(text, "{:.1}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        bar.set_prefix(visible(label).into_owned());
        let plain = self.bars.is_none() && !self.quiet;
        let now = Instant::now();
        Bar { bar, label: label.to_owned(), unit: unit.to_owned(), plain, started: now, last: now }
    }
}

/// Work that says that it goes on, until this is dropped.
#[derive(Default)]
pub struct Working {
    bar: Option<ProgressBar>,
    ended: Option<Arc<(Mutex<bool>, Condvar)>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Working {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if let Some(ended) = &self.ended {
            *ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            ended.1.notify_all();
        }
        if let Some(thread) = self.thread.take() {
            // It ends at once, and has nothing to tell.
            let _ = thread.join();
        }
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
            talk(&format!(
                "{}: {done}/{total} {}s, {:.1}/s, {:.0} s left {message}",
                self.label,
                self.unit,
                self.bar.per_sec(),
                self.bar.eta().as_secs_f64(),
            ));
        }
    }

    /// Sets the text behind the bar, for instance the loss.
    pub fn message(&mut self, text: impl Into<String>) {
        self.bar.set_message(visible(&text.into()).into_owned());
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
            talk(&format!("{}: {done} {}s in {seconds:.1} s {message}", self.label, self.unit));
        }
    }
}

/// The terminal behind standard error. One that went away is no reason to stop.
#[derive(Debug)]
struct Screen(console::Term);

impl Screen {
    #[allow(clippy::unnecessary_wraps)] // as `TermLike` wants it
    fn draw(
        &self,
        draw: impl FnOnce(&console::Term) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let _ = draw(&self.0);
        Ok(())
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.0.size().1
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, n: usize) -> std::io::Result<()> {
        self.draw(|term| term.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> std::io::Result<()> {
        self.draw(|term| term.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> std::io::Result<()> {
        self.draw(|term| term.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> std::io::Result<()> {
        self.draw(|term| term.move_cursor_left(n))
    }

    fn write_line(&self, s: &str) -> std::io::Result<()> {
        self.draw(|term| term.write_line(s))
    }

    fn write_str(&self, s: &str) -> std::io::Result<()> {
        self.draw(|term| term.write_str(s))
    }

    fn clear_line(&self) -> std::io::Result<()> {
        self.draw(console::Term::clear_line)
    }

    fn flush(&self) -> std::io::Result<()> {
        self.draw(console::Term::flush)
    }
}
