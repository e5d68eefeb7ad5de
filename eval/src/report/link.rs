//! Paths of run files as addresses in a page, the one place that every form of the report takes its links from. Whatever a
//! path holds, the address stays a path: it can name no scheme and no host.

use super::model::{Report, SystemReport};

/// The address of the run that a system's figures come from.
pub(super) fn run(system: &SystemReport) -> Option<String> {
    system.run.as_deref().and_then(href)
}

/// The same by the system's name.
pub(super) fn run_of(report: &Report, system: &str) -> Option<String> {
    report.system(system).and_then(run)
}

/// What such an address leads to, for whoever points at it.
pub(super) fn title(system: &str) -> String {
    format!("run of {system}")
}

/// The address of a path relative to the report; `/` is its only separator. Empty paths have none.
fn href(path: &str) -> Option<String> {
    let path = path.trim_start_matches("./");
    // Several slashes in front would name a host.
    let (root, path) = match path.strip_prefix('/') {
        Some(rest) => ("/", rest.trim_start_matches('/')),
        None => ("./", path),
    };
    if path.is_empty() {
        return None;
    }
    let mut address = root.to_owned();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                address.push(char::from(byte));
            }
            _ => address.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stay_paths() {
        let href = |path| href(path).unwrap_or_default();
        assert_eq!(href("steps/system.bm25/run.tsv"), "./steps/system.bm25/run.tsv");
        assert_eq!(href("./a b#c?.tsv"), "./a%20b%23c%3F.tsv");
        assert_eq!(href("javascript:alert(1)"), "./javascript%3Aalert%281%29");
        assert_eq!(href("//example.org/x"), "/example.org/x");
        assert_eq!(href("\\\\host\\\"x"), "./%5C%5Chost%5C%22x");
        assert_eq!(href("/data/laufé.tsv"), "/data/lauf%C3%A9.tsv");
        assert_eq!(href(""), "");
    }
}
