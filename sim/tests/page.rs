//! The page of a run in a real browser: its search finds every fact of the plan and
//! every event by its number, and it is small. Without Chromium the test says so and
//! is skipped; with `CYGNET_REQUIRE_ALL=1`, as in CI, it fails instead.

mod folder;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use folder::Folder;

/// No page of ten thousand events may have more.
const MOST_BYTES: u64 = 2 << 20;

/// Puts words into the search as a person does, and says what is chosen then.
const PROBE: &str = r#"
<script>
const ready = setInterval(() => {
  if (!document.documentElement.dataset.ready) return;
  clearInterval(ready);
  const wrong = [];
  const search = (words) => {
    const input = document.getElementById('words');
    input.value = words;
    input.dispatchEvent(new Event('input'));
    return document.getElementById('chosen').textContent;
  };
  const lines = document.getElementById('lines').textContent.trim().split('\n');
  for (const line of lines) {
    const [kind, words] = [line.slice(0, 1), line.slice(2)];
    const told = search(words);
    const codes = [...document.querySelectorAll('#chosen code')].map((code) => code.textContent);
    if (kind === 'F' && !codes.includes(words)) wrong.push(`${words}: ${told.slice(0, 200)}`);
    const number = words.replace('event ', '').split(' ')[0];
    if (kind === 'E' && !told.startsWith(`Event ${number}`)) wrong.push(`${words}: ${told.slice(0, 200)}`);
  }
  if (search('no swan says this') && document.getElementById('found').textContent !== 'nothing') wrong.push('it finds what is not there');
  const verdict = document.createElement('pre');
  verdict.id = 'verdict';
  verdict.textContent = `${lines.length} looked for, ${wrong.length} wrong. ${wrong.slice(0, 5).join('; ')}`;
  document.body.append(verdict);
}, 10);
</script>"#;

/// The browser, or nothing, said aloud.
fn chromium() -> Option<&'static str> {
    let there = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(there);
    if found.is_none() {
        let all = std::env::var_os("CYGNET_REQUIRE_ALL").is_some_and(|value| value == "1");
        assert!(
            !all,
            "CYGNET_REQUIRE_ALL=1, and there is no Chromium: apt-get install chromium"
        );
        let mut past_the_runner = std::io::stderr();
        let why = "there is no Chromium (apt-get install chromium)";
        let _ = writeln!(past_the_runner, "skipped: {why}");
    }
    found
}

/// What the browser makes of a page after its scripts ran.
fn dom(browser: &str, page: &Path) -> String {
    let home = page.with_extension("profile");
    let output = Command::new("timeout")
        .args(["100", browser, "--headless=new", "--no-sandbox"])
        .args(["--disable-gpu", "--window-size=1500,950"])
        .args(["--virtual-time-budget=600000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", home.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Looks for each of these lines, and gives what the page says.
fn looked_for(folder: &Folder, browser: &str, lines: &[String]) -> String {
    let html = folder.text("run.html");
    let list = lines.join("\n");
    let ends = list.contains("</") || list.contains("<!--");
    assert!(!ends, "a line would end the script");
    let probe = format!("<script type=\"text/plain\" id=\"lines\">{list}</script>{PROBE}</body>");
    let page = folder.0.join("probe.html");
    std::fs::write(&page, html.replace("</body>", &probe)).unwrap();
    let dom = dom(browser, &page);
    let verdict = dom.split_once("<pre id=\"verdict\">").map(|(_, rest)| rest);
    let verdict = verdict.and_then(|rest| rest.split_once("</pre>"));
    let (verdict, _) = verdict.unwrap_or_else(|| panic!("no verdict in {}", end(&dom)));
    verdict.to_owned()
}

fn end(text: &str) -> String {
    let text: Vec<char> = text.chars().collect();
    text[text.len().saturating_sub(2000)..].iter().collect()
}

#[test]
fn a_browser_finds_every_fact_of_the_plan_and_every_event() {
    let Some(browser) = chromium() else { return };
    let folder = Folder::new("page");
    let line = "world --seed 2 --page run.html --plan-out plan.txt --events run.txt";
    let output = folder.sim(line);
    assert!(output.status.success(), "{output:?}");
    let bytes = std::fs::metadata(folder.0.join("run.html")).unwrap().len();
    let events = folder.text("run.txt");
    let count = events.lines().skip(1).count();
    println!("{count} events, a page of {bytes} bytes");
    assert!(count > 5_000 && bytes * 10_000 / (count as u64) < MOST_BYTES);

    let plan = folder.text("plan.txt");
    let facts = plan
        .lines()
        .skip(1)
        .filter(|line| *line != "end")
        .map(|line| format!("F {line}"));
    // A number, and lines of the log as they are pasted.
    let numbers = (0..count)
        .step_by(997)
        .map(|event| format!("E event {event}"));
    let pasted = events
        .lines()
        .skip(1)
        .step_by(499)
        .map(|line| format!("E {line}"));
    let lines: Vec<String> = facts.chain(numbers).chain(pasted).collect();
    assert!(lines.len() > 1000, "{}", lines.len());
    let verdict = looked_for(&folder, browser, &lines);
    assert_eq!(verdict, format!("{} looked for, 0 wrong. ", lines.len()));
}

#[test]
fn a_page_that_is_cut_says_so_and_finds_what_it_has() {
    let Some(browser) = chromium() else { return };
    let folder = Folder::new("page-cut");
    let line = "world --seed 3 --for 5s --page run.html --page-events 300..900 --plan-out plan.txt";
    assert!(folder.sim(line).status.success());
    let lines = ["E event 300", "E event 899"].map(String::from);
    let verdict = looked_for(&folder, browser, &lines);
    assert_eq!(verdict, "2 looked for, 0 wrong. ");
    let verdict = looked_for(&folder, browser, &["E event 900".into()]);
    assert!(verdict.starts_with("1 looked for, 1 wrong. "), "{verdict}");
    let verdict = looked_for(&folder, browser, &["F at 1s boot swan".into()]);
    assert!(verdict.starts_with("1 looked for, 1 wrong. "), "{verdict}");
    let dom = dom(browser, &folder.0.join("run.html"));
    assert!(dom.contains(" it has events 300 to 899. "), "{}", end(&dom));
}

#[test]
fn what_a_page_cannot_have_is_one_line_and_status_two() {
    let folder = Folder::new("page-wrong");
    for (line, expected) in [
        ("world --page no/such/run.html", "no/such/run.html: "),
        (
            "world --perfetto no/such/run.pftrace",
            "no/such/run.pftrace: ",
        ),
        ("world --page-events 0..9", "--page <FILE>"),
        (
            "world --page run.html --page-events 9..9",
            "no event is in it",
        ),
        (
            "replay plan.txt --page run.html --page-events 0..60000",
            "60000 events are too many for a page; it has at most 50000",
        ),
    ] {
        let output = folder.sim(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(expected), "{said}");
    }
}
