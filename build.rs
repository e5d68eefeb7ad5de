//! Tells the binary which commit it was built from, so that reports can say it.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A development build would be made anew after every commit.
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // Built from an archive there is no commit, and reports say none.
    if let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) {
        let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
        let dirty = changed.is_some_and(|files| !files.is_empty());
        let mark = if dirty { " with changes" } else { "" };
        println!("cargo::rustc-env=TRIEVAL_COMMIT={commit}{mark}");
    }
}
