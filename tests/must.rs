//! What `src/docs/tcp.md` says of RFC 9293 is whole, and true as far as a test can see:
//! each MUST and each SHOULD has one row, in the order of their numbers; a yes names tests
//! that are there and are not ignored; whatever else has a reason; and every test of
//! conformance that is ignored is on the page.

use std::io::Write;
use std::path::Path;

/// How many the RFC has.
const LABELS: [(&str, usize); 2] = [("MUST", 69), ("SHLD", 31)];

/// Everything that is wrong with a page. `read` gives a file's text; `None` where it is
/// not there.
fn wrong(page: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut labels = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let is_row = |label: &str| LABELS.iter().any(|(kind, _)| label.starts_with(kind));
        let ["", label, _, what, kept, why, ""] = cells[..] else {
            if cells.get(1).is_some_and(|label| is_row(label)) {
                found.push(format!("{line}: a row has five cells"));
            }
            continue;
        };
        if !is_row(label) {
            continue;
        }
        labels.push(label);
        if what.is_empty() || why.is_empty() {
            found.push(format!("{label}: it says nothing"));
        }
        match (kept, named(why).next()) {
            ("yes", None) => found.push(format!("{label}: a yes without a test")),
            ("yes", Some(_)) | ("no" | "not applicable", _) => (),
            _ => found.push(format!("{label}: {kept:?} is no answer")),
        }
        for (file, name) in named(why).filter(|_| kept == "yes") {
            if read(file).is_some_and(|text| attributes(&text, name).contains("#[ignore")) {
                found.push(format!("{label}: {name} is ignored"));
            }
        }
    }
    let wanted = LABELS.iter();
    let wanted = wanted.flat_map(|(kind, last)| (1..=*last).map(move |it| format!("{kind}-{it}")));
    let wanted: Vec<String> = wanted.collect();
    if labels != wanted {
        let at = wanted.iter().zip(&labels).position(|(a, b)| a != b);
        let at = at.unwrap_or(labels.len().min(wanted.len()));
        let (want, have) = (wanted.get(at), labels.get(at));
        found.push(format!("{want:?} should stand where {have:?} stands"));
    }
    for (file, name) in named(page) {
        match read(file) {
            None if file.starts_with("sim/") && read("sim/Cargo.toml").is_none() => {
                skip("sim/ is not in this package");
            }
            None => found.push(format!("there is no file {file}")),
            Some(text) if !attributes(&text, name).contains("#[test]") => {
                found.push(format!("there is no test {name} in {file}"));
            }
            Some(_) => (),
        }
    }
    found
}

/// The tests that a text names: `` `file.rs::name` ``.
fn named(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter_map(|code| code.split_once("::"))
        .filter(|(file, _)| file.ends_with(".rs"))
}

/// What stands in front of a function: its comments and attributes. Empty if there is no
/// such function.
fn attributes(text: &str, name: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = format!("fn {name}(");
    let at = lines.iter().position(|line| line.starts_with(&begins));
    let before = lines[..at.unwrap_or(0)].iter().rev();
    let before = before.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    let attributes = before.filter(|line| line.starts_with("#["));
    attributes.copied().collect()
}

/// The tests of a file that are ignored.
fn ignored(text: &str) -> Vec<&str> {
    let names = text.lines().filter_map(|line| {
        let name = line.trim().strip_prefix("fn ")?.split('(').next()?;
        attributes(text, name).contains("#[ignore").then_some(name)
    });
    names.collect()
}

/// Says that a part is left out, past the test runner's capture, or fails where nothing
/// may be.
fn skip(why: &str) {
    let all = std::env::var_os("CYGNET_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!all, "CYGNET_REQUIRE_ALL=1, and {why}");
    let _ = writeln!(
        std::io::stderr(),
        "skipped a test that the page names: {why}"
    );
}

#[test]
fn the_page_about_rfc_9293_is_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).ok();
    let page = read("src/docs/tcp.md").unwrap();
    let mut found = wrong(&page, read);
    let folder = root.join("tests/conformance").read_dir().unwrap();
    let mut limits = 0;
    for entry in folder.map(|entry| entry.unwrap().path()) {
        let text = std::fs::read_to_string(&entry).unwrap();
        for name in ignored(&text) {
            limits += 1;
            if !named(&page).any(|(_, it)| it == name) {
                found.push(format!("{name} is ignored, and the page does not say so"));
            }
        }
    }
    assert_eq!(found, [""; 0]);
    assert!(limits > 0, "ignored tests are not found");
}

/// A page with all rows, each a no but the first.
fn whole() -> String {
    let mut page = String::from("| | section | what | kept | why |\n|---|---|---|---|---|\n");
    for (kind, last) in LABELS {
        for number in 1..=last {
            page += &match (kind, number) {
                ("MUST", 1) => "| MUST-1 | 3.1 | it | yes | `a.rs::shown` |\n".into(),
                _ => format!("| {kind}-{number} | 3.1 | it | no | smoltcp |\n"),
            };
        }
    }
    page
}

#[test]
fn what_is_wrong_with_a_page_is_told() {
    let read = |file: &str| {
        let text = "#[test]\nfn shown() {}\n\n#[test]\n#[ignore = \"no\"]\n/// It.\n\
                    fn later() {}\n\nfn helper() {}\n";
        (file == "a.rs").then(|| text.to_owned())
    };
    assert_eq!(wrong(&whole(), read), [""; 0]);
    for (old, new, says) in [
        ("`a.rs::shown`", "`a.rs::gone`", "no test gone in a.rs"),
        ("`a.rs::shown`", "`a.rs::helper`", "no test helper in a.rs"),
        ("`a.rs::shown`", "`a.rs::later`", "later is ignored"),
        ("`a.rs::shown`", "`b.rs::shown`", "no file b.rs"),
        ("`a.rs::shown`", "`a.rs`", "a yes without a test"),
        ("| yes |", "| perhaps |", "\"perhaps\" is no answer"),
        (
            "| it | no | smoltcp |\n| MUST-3",
            "| it | no | |\n| MUST-3",
            "MUST-2: it says nothing",
        ),
        ("| it | no |", "| no |", "five cells"),
        (
            "| MUST-5 | 3.1 | it | no | smoltcp |\n",
            "",
            "Some(\"MUST-5\") should stand where Some(\"MUST-6\")",
        ),
        ("| MUST-5 |", "| MUST-4 |", "Some(\"MUST-5\") should stand"),
        (
            "| MUST-69 |",
            "| MUST-70 |",
            "Some(\"MUST-69\") should stand",
        ),
        (
            "| SHLD-31 | 3.1 | it | no | smoltcp |\n",
            "",
            "Some(\"SHLD-31\") should stand where None stands",
        ),
    ] {
        let page = whole();
        assert!(page.contains(old), "{old}");
        let found = wrong(&page.replacen(old, new, 1), read).join("\n");
        assert!(found.contains(says), "{new}: {found:?}");
    }
    assert_eq!(ignored(&read("a.rs").unwrap()), ["later"]);
}
