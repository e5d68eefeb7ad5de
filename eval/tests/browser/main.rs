//! The report in a headless Chromium: sorting, comparing, keyboard, names for screen readers, dark and printed form, narrow
//! windows, and that nothing leaves the page. Screenshots are left in `browser/` below the target folder.
//!
//! `cargo test -p trieval-eval --features browser --test browser`; the browser is `$CHROMIUM` or found on the path. Where
//! there is none, the suite says so and passes.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod driver;

use std::path::{Path, PathBuf};

use driver::{Browser, Page};
use serde_json::json;
use trieval_eval::report::{Report, html, sample};

/// Runs the test with a browser, or says loudly that it was skipped.
fn with_browser(name: &str, test: impl FnOnce(&mut Browser, &Path)) {
    let Some(program) = driver::find() else {
        // Not captured, so that nobody mistakes this for a test that ran.
        use std::io::Write;
        let line =
            format!("\n!!! SKIPPED {name}: no Chromium on the path and none in $CHROMIUM !!!\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    };
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let shots = temporary.parent().unwrap().join("browser");
    std::fs::create_dir_all(&shots).unwrap();
    let folder = temporary.join(format!("browser-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    test(&mut Browser::start(&program, &folder), &shots);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Writes the page beside the screenshots and gives its address.
fn write(report: &Report, name: &str, folder: &Path) -> String {
    let path: PathBuf = folder.join(format!("{name}.html"));
    std::fs::write(&path, html(report).unwrap()).unwrap();
    format!("file://{}", path.display())
}

/// Text of the first column of a table's body.
fn order(page: &mut Page<'_>, table: &str) -> Vec<String> {
    let names = page.eval(&format!(
        "[...document.querySelector({}).tBodies[0].rows].map((row) => row.cells[0].dataset.sort)",
        json!(table)
    ));
    names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// The page did nothing wrong and asked for nothing but itself.
fn assert_quiet(page: &mut Page<'_>, address: &str) {
    assert_eq!(page.events("Runtime.exceptionThrown"), Vec::<serde_json::Value>::new());
    assert_eq!(page.events("Runtime.consoleAPICalled"), Vec::<serde_json::Value>::new());
    assert_eq!(page.events("Log.entryAdded"), Vec::<serde_json::Value>::new());
    let requests = page.events("Network.requestWillBeSent");
    assert!(!requests.is_empty());
    for request in requests {
        let url = request["request"]["url"].as_str().unwrap().to_owned();
        assert!(url == address || url.starts_with("data:"), "the page asked for {url}");
    }
}

/// Nothing is wider than the window but what scrolls by itself.
fn assert_fits(page: &mut Page<'_>, width: u32) {
    let widest = page.eval("document.documentElement.scrollWidth");
    let guilty = page.text(
        "[...document.querySelectorAll('body *')].filter((e) => !e.closest('.scroll, pre, svg') && e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map((e) => e.outerHTML.slice(0, 120)).join('\\n')",
    );
    assert!(widest.as_u64().unwrap() <= u64::from(width), "{widest} > {width}: {guilty}");
    assert_eq!(guilty, "", "beyond {width} pixels");
}

const QUALITY: &str = "table[data-sortable]";

#[test]
fn columns_sort_by_mouse_and_by_keyboard() {
    with_browser("sorting", |browser, folder| {
        let address = write(&sample::report(), "sorting", folder);
        let mut page = browser.open(&address, 1280, 900);
        let best_first = order(&mut page, QUALITY);
        assert_eq!(best_first[0], "aligned");
        let head = |column: u32| format!("{QUALITY} thead th:nth-child({column})");
        let sort = |page: &mut Page<'_>, column: u32| {
            page.text(&format!(
                "document.querySelector('{}').getAttribute('aria-sort') ?? ''",
                head(column)
            ))
        };
        assert_eq!(sort(&mut page, 2), "descending");

        page.click(&format!("{} button", head(1)));
        let by_name = order(&mut page, QUALITY);
        assert_eq!(by_name[..3], ["aligned", "bm25", "colbert <v2>"]);
        assert_eq!((sort(&mut page, 1).as_str(), sort(&mut page, 2).as_str()), ("ascending", ""));
        assert_eq!(
            page.text("document.getElementById('said').textContent"),
            "sorted by system, ascending"
        );

        // The keyboard: Tab goes on to the next head, Enter and Space press it.
        page.press("Tab", 9, "");
        assert_eq!(page.text("document.activeElement.textContent"), "recall@10");
        page.press("Enter", 13, "\r");
        assert_eq!(sort(&mut page, 2), "descending");
        assert_eq!(order(&mut page, QUALITY)[0], "oracle");
        page.press(" ", 32, " ");
        assert_eq!(sort(&mut page, 2), "ascending");
        let worst_first = order(&mut page, QUALITY);
        assert_eq!((worst_first[0].as_str(), worst_first[6].as_str()), ("popularity", "oracle"));
        let outline = page.text("getComputedStyle(document.activeElement).outlineStyle");
        assert_eq!(outline, "solid", "focus is not visible");

        // Unknown figures stay at the end in both directions.
        let costs = "table.costs";
        for _ in 0..2 {
            page.click("table.costs thead th:nth-child(2) button");
            assert_eq!(order(&mut page, costs)[6], "colbert <v2>");
        }
        assert_quiet(&mut page, &address);
        page.close();
    });
}

#[test]
fn any_two_systems_are_compared() {
    with_browser("comparing", |browser, folder| {
        let report = sample::report();
        let address = write(&report, "comparing", folder);
        let mut page = browser.open(&address, 1280, 900);
        let verdict = "document.getElementById('verdict').textContent";
        let first = page.text(verdict);
        assert!(
            first.starts_with("aligned is significantly better than bm25 on recall@10: +0.035 (+0.024 to +0.047), p = 0.012"),
            "{first}"
        );

        let choose = |page: &mut Page<'_>, side: &str, name: &str| {
            page.eval(&format!(
                "(() => {{ const s = document.getElementById('{side}'); s.value = [...s.options].findIndex((o) => o.text === {}); s.dispatchEvent(new Event('change')); }})()",
                json!(name)
            ));
        };
        choose(&mut page, "left", "two-tower");
        choose(&mut page, "right", "colbert <v2>");
        let text = page.text(verdict);
        assert!(text.starts_with("two-tower is significantly worse than colbert <v2>"), "{text}");
        // Figures read as they do elsewhere on the page, whichever system the test took as its baseline.
        let tested = report.between("two-tower", "colbert <v2>", "recall@10").unwrap();
        let cells = page.text("[...document.querySelector('#versus tbody tr').cells].map((c) => c.textContent.trim()).join('|')");
        let expected = format!(
            "recall@10|0.388|0.431|−0.043 ▼|−0.055 to −0.032|p = 0.012|{} / {} / {}|−{:.3}",
            tested.wins,
            tested.ties,
            tested.losses,
            tested.effect_size.unwrap().abs()
        );
        assert_eq!(cells, expected);
        // The head of the table leads to both runs, no figure does.
        let links =
            |part: &str| format!("document.querySelectorAll('#versus {part} a[href]').length");
        assert_eq!(page.eval(&links("thead")), 2);
        assert_eq!(page.eval(&links("tbody")), 0);

        // Largest wins first, with both lists beside each other.
        let swings = page.eval("[...document.querySelectorAll('.swing')].map((s) => [...s.querySelectorAll('summary .side')].map((e) => parseFloat(e.textContent.replace('−', '-'))))");
        let (wins, losses) = (swings[0].as_array().unwrap(), swings[1].as_array().unwrap());
        assert!(wins.len() > 1 && losses.len() > 1, "{swings}");
        let falling = |list: &[serde_json::Value]| {
            list.windows(2)
                .all(|two| two[0].as_f64().unwrap().abs() >= two[1].as_f64().unwrap().abs())
        };
        assert!(falling(wins) && falling(losses), "{swings}");
        assert!(wins.iter().all(|one| one.as_f64().unwrap() > 0.0), "{swings}");
        assert!(losses.iter().all(|one| one.as_f64().unwrap() < 0.0), "{swings}");
        let lists = page.eval("[...document.querySelector('.swing details[open]').querySelectorAll('h4 bdi')].map((e) => e.textContent)");
        assert_eq!(lists, json!(["two-tower", "colbert <v2>"]));
        let grades = page.text("document.querySelector('.swing details[open] .lists').textContent");
        assert!(grades.contains("✓ grade 4") && grades.contains("✗ grade 1"), "{grades}");

        assert!(grades.contains("8.00") && grades.contains("6.63"), "{grades}");

        page.click("#swap");
        let text = page.text(verdict);
        assert!(text.starts_with("colbert <v2> is significantly better than two-tower"), "{text}");
        choose(&mut page, "left", "two-tower");
        assert_eq!(page.text(verdict), "Choose two different systems.");
        choose(&mut page, "left", "oracle");
        assert!(page.text(verdict).contains("was not tested"));
        // Figures read as those that were written by `numbers`.
        let shown = page.eval(
            "[showValue(-0.0001), showValue(-0.25), showValue(123.456), showValue(99.9996), showValue(12345.6), signed(-1500), signed(0.0001), pValue(0.0004), score(8), score(-0.5), score(123.4), score(0.000012), score(-1.5e9)]",
        );
        let wanted = json!([
            "0.000",
            "−0.250",
            "123.5",
            "100.0",
            "12,346",
            "−1,500",
            "±0.000",
            "p < 0.001",
            "8.00",
            "−0.500",
            "123",
            "1.20e−5",
            "−1.50e9"
        ]);
        assert_eq!(shown, wanted);
        assert_quiet(&mut page, &address);
        page.close();

        // Old reports kept no values of single requests: their lists are shown all the same.
        let mut old = report;
        old.examples.iter_mut().for_each(|one| one.values.clear());
        let address = write(&old, "comparing-old", folder);
        let mut page = browser.open(&address, 1280, 900);
        assert_eq!(page.eval("document.querySelectorAll('.swing details').length"), 5);
        assert_eq!(
            page.text("document.querySelector('.swing h4').textContent"),
            "aligned found at 1"
        );
        assert_quiet(&mut page, &address);
        page.close();
    });
}

#[test]
fn what_the_script_writes_leads_to_each_run_once() {
    with_browser("linked", |browser, folder| {
        let report = sample::report();
        let address = write(&report, "linked", folder);
        let mut page = browser.open(&address, 1280, 900);
        let runs = "[...document.querySelectorAll('#chooser a[href]')].map((a) => a.textContent)";
        assert_eq!(page.eval(runs), json!(["aligned", "bm25"]));

        // Marks of charts: Tab stops at them, they say what they are, and they lead to the run.
        let first = page.text("(() => { const a = document.querySelector('.wide a.row'); a.focus(); return document.activeElement.getAttribute('href'); })()");
        assert_eq!(first, "./steps/system.aligned/run.tsv");
        page.press("Tab", 9, "");
        assert_eq!(
            page.text("document.activeElement.querySelector('title').textContent"),
            "colbert <v2>: 0.431 (0.420 to 0.443)"
        );
        let outline = page.text("getComputedStyle(document.activeElement).outlineStyle");
        assert_eq!(outline, "solid", "focus is not visible");
        let tree = page.call("Accessibility.getFullAXTree", json!({}));
        let named = |role: &str, name: &str| {
            let nodes = tree["nodes"].as_array().unwrap();
            let is =
                |key: &str, node: &serde_json::Value, text: &str| node[key]["value"] == json!(text);
            nodes.iter().any(|node| is("role", node, role) && is("name", node, name))
        };
        assert!(named("link", "aligned: 0.447 (0.436 to 0.459)"));
        assert!(named("link", "8.5%"));
        assert_quiet(&mut page, &address);
        page.close();

        // Without runs nothing pretends to lead anywhere.
        let mut report = report;
        report.systems.iter_mut().for_each(|system| system.run = None);
        let address = write(&report, "unlinked", folder);
        let mut page = browser.open(&address, 1280, 900);
        assert_eq!(page.eval(runs), json!([]));
        assert_quiet(&mut page, &address);
        page.close();
    });
}

#[test]
fn everything_has_a_name_for_screen_readers() {
    with_browser("names", |browser, folder| {
        let address = write(&sample::report(), "names", folder);
        let mut page = browser.open(&address, 1280, 900);
        let tree = page.call("Accessibility.getFullAXTree", json!({}));
        let mut seen = std::collections::BTreeMap::new();
        for node in tree["nodes"].as_array().unwrap() {
            if node["ignored"] == json!(true) {
                continue;
            }
            let role = node["role"]["value"].as_str().unwrap_or_default().to_owned();
            let name = node["name"]["value"].as_str().unwrap_or_default().to_owned();
            let must = [
                "button",
                "link",
                "combobox",
                "table",
                "region",
                "image",
                "img",
                "navigation",
                "heading",
                "columnheader",
                "rowheader",
            ];
            assert!(
                !must.contains(&role.as_str()) || !name.trim().is_empty(),
                "a {role} has no name: {node}"
            );
            seen.entry(role).or_insert_with(Vec::new).push(name);
        }
        for role in ["banner", "main", "navigation", "table", "button", "combobox", "status"] {
            assert!(seen.contains_key(role), "there is no {role}: {:?}", seen.keys());
        }
        assert_eq!(seen["combobox"], ["System", "against"]);
        assert!(seen["table"].iter().any(|name| name.starts_with("Metrics of every system")));
        assert!(seen["button"].iter().any(|name| name == "recall@10"));
        let images: Vec<&String> =
            ["image", "img", "group"].iter().filter_map(|role| seen.get(*role)).flatten().collect();
        assert!(
            images.iter().any(|name| name.starts_with("recall@10 against median latency")),
            "{images:?}"
        );
        // The first stop of the keyboard leads past the navigation.
        page.press("Tab", 9, "");
        assert_eq!(page.text("document.activeElement.className"), "skip");
        page.press("Enter", 13, "\r");
        assert_eq!(page.text("document.activeElement.id"), "main");
        assert_quiet(&mut page, &address);
        page.close();
    });
}

#[test]
fn it_fits_every_window_light_dark_and_printed() {
    with_browser("looks", |browser, folder| {
        let address = write(&sample::report(), "looks", folder);
        let mut page = browser.open(&address, 1280, 900);
        let ground = "getComputedStyle(document.body).backgroundColor";
        for (scheme, color) in [("light", "rgb(251, 251, 250)"), ("dark", "rgb(18, 20, 23)")] {
            page.show_as("screen", scheme);
            assert_eq!(page.text(ground), color);
            for width in [360, 820, 1600] {
                page.resize(width, 900);
                assert_fits(&mut page, width);
                page.screenshot(&folder.join(format!("{scheme}-{width}.png")), true);
            }
        }
        // Print is light whatever the screen is, leaves out what is closed and cuts no table off.
        page.resize(680, 900);
        page.show_as("print", "dark");
        assert_eq!(page.text(ground), "rgb(255, 255, 255)");
        let closed = "[...document.querySelectorAll('details:not([open])')].filter((e) => e.offsetParent).length";
        assert_eq!(page.eval(closed), 0);
        assert_fits(&mut page, 680);
        let clipped = page.text("[...document.querySelectorAll('.scroll')].filter((e) => e.offsetParent && e.scrollWidth > innerWidth + 1).map((e) => e.ariaLabel).join(', ')");
        assert_eq!(clipped, "", "tables are wider than the paper");
        page.show_as("", "light");
        page.print(&folder.join("printed.pdf"));
        assert_quiet(&mut page, &address);
        page.close();
    });
}

#[test]
fn it_is_readable_without_its_script() {
    with_browser("unscripted", |browser, folder| {
        let address = write(&sample::report(), "unscripted", folder);
        let mut page = browser.open("about:blank", 1000, 900);
        page.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
        page.call("Page.navigate", json!({"url": address}));
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        let tree = page.call("Accessibility.getFullAXTree", json!({})).to_string();
        for text in [
            "aligned beats bm25 on recall@10",
            "0.447",
            "Compared pairs on recall@10",
            "Oak side table",
        ] {
            assert!(tree.contains(text), "{text} cannot be read");
        }
        assert!(!tree.contains("\"combobox\""), "an empty choice is shown");
        page.screenshot(&folder.join("unscripted.png"), true);
        page.close();
    });
}

#[test]
fn a_huge_report_opens_and_answers() {
    with_browser("huge", |browser, folder| {
        let report = sample::huge();
        let address = write(&report, "huge", folder);
        let mut page = browser.open(&address, 1280, 900);
        assert_eq!(page.eval("document.querySelectorAll('img, script[src], iframe').length"), 0);
        assert_eq!(
            page.eval(&format!("document.querySelector('{QUALITY}').tBodies[0].rows.length")),
            30
        );
        page.click(&format!("{QUALITY} thead th:nth-child(4) button"));
        let started = std::time::Instant::now();
        page.click("#swap");
        assert!(
            page.text("document.getElementById('verdict').textContent").contains("significantly")
        );
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
        assert_eq!(page.eval("document.querySelectorAll('.swing details').length"), 10);
        page.click(".swing .more");
        assert_eq!(page.eval("document.querySelectorAll('.swing details').length"), 20);
        for width in [360, 1280] {
            page.resize(width, 900);
            assert_fits(&mut page, width);
            page.screenshot(&folder.join(format!("huge-{width}.png")), false);
        }
        assert_quiet(&mut page, &address);
        page.close();
    });
}
