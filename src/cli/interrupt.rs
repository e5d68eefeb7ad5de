//! One interrupt ends anything within seconds.
//!
//! The first interrupt, termination or hang-up asks the work to stop. Work that looks ends by itself; a training first
//! writes its checkpoint. All other work is left as it stands: files appear whole or not at all, and a run goes on from
//! its last finished step or checkpoint. The second one does not wait for anything.

use std::time::{Duration, Instant};

use super::INTERRUPTED;
use crate::progress::{Interrupts, talk};
use crate::store::abandon_writes;

/// How long work may take to end by itself.
const GRACE: Duration = Duration::from_millis(1_500);
/// How often it is looked whether it may be left.
const LOOK: Duration = Duration::from_millis(50);

/// Catches interrupts from now on.
///
/// # Errors
/// What the system says where they cannot be caught.
pub(super) fn catch(interrupts: Interrupts) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(move || {
        if interrupts.ask() {
            leave();
        }
        if interrupts.is_held() {
            talk("interrupted: finishing the current step of work (again to leave at once)");
        }
        // This thread hears the next interrupt.
        let interrupts = interrupts.clone();
        std::thread::spawn(move || {
            let mut since = Instant::now();
            while since.elapsed() < GRACE {
                std::thread::sleep(LOOK);
                if interrupts.is_held() {
                    since = Instant::now();
                }
            }
            talk(&format!("error: {}", crate::Error::Interrupted));
            leave();
        });
    })
}

fn leave() -> ! {
    abandon_writes();
    std::process::exit(i32::from(INTERRUPTED))
}
