//! Chromium without a window, told what to do as its own developer tools do: messages of
//! JSON, each with a zero behind it, over two pipes.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Enough for any step on a slow machine; reached only when something is wrong.
const LONG: Duration = Duration::from_secs(100);

/// A browser that shows one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    number: u64,
    home: PathBuf,
}

impl Browser {
    /// Opens `url`. `timeout` is the command of that name, such as it is in a namespace.
    pub fn open(timeout: Command, url: &str) -> Browser {
        let home = std::env::temp_dir().join(format!("cygnet-browser-{}", std::process::id()));
        let mut child = timeout;
        // Its tools' pipes are the descriptors 3 and 4.
        child.args([
            "300",
            "sh",
            "-c",
            "exec chromium \"$@\" 3<&0 4>&1 1>&2",
            "sh",
        ]);
        child.args(["--headless=new", "--no-sandbox", "--disable-gpu"]);
        child.args(["--remote-debugging-pipe", "--window-size=1100,1000"]);
        child.arg(format!("--user-data-dir={}", home.display()));
        let child = child.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.stderr(Stdio::null()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut browser = Browser {
            child,
            to,
            from: BufReader::new(from),
            session: None,
            number: 0,
            home,
        };
        let target = browser.does("Target.createTarget", json!({ "url": url }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.does("Target.attachToTarget", target);
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        browser
    }

    /// The result of a method.
    fn does(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        loop {
            let mut answer = Vec::new();
            self.from.read_until(0, &mut answer).unwrap();
            assert_eq!(answer.pop(), Some(0), "the browser ended");
            let mut answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["id"] == self.number {
                return answer["result"].take();
            }
        }
    }

    /// What this expression gives in the page, as text.
    fn evaluate(&mut self, expression: &str) -> String {
        let result = self.does("Runtime.evaluate", json!({ "expression": expression }));
        result["result"]["value"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The rows of the table of this name, with spaces between their cells, once they are
    /// as they should be.
    pub fn rows(&mut self, table: &str, are_right: impl Fn(&[String]) -> bool) -> Vec<String> {
        let rows = format!(
            "[...document.querySelectorAll('#{table} tr')].map((row) => \
             [...row.cells].map((cell) => cell.textContent).join(' ')).join('\\n')"
        );
        let start = Instant::now();
        loop {
            let text = self.evaluate(&rows);
            let rows: Vec<String> = text.lines().map(String::from).collect();
            if are_right(&rows) {
                return rows;
            }
            assert!(start.elapsed() < LONG, "{table}: {text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A picture of the page, as high as what is on it.
    pub fn picture(&mut self, path: &Path) {
        let height = self.evaluate("String(document.body.getBoundingClientRect().bottom + 17)");
        let height: f64 = height.parse().unwrap();
        let clip = json!({ "x": 0, "y": 0, "width": 1100, "height": height, "scale": 1 });
        let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.does("Page.captureScreenshot", params);
        let file = std::fs::File::create(path).unwrap();
        let mut decode = Command::new("base64");
        let decode = decode.arg("-d").stdin(Stdio::piped()).stdout(file);
        let mut decode = decode.spawn().unwrap();
        let text = picture["data"].as_str().unwrap();
        decode
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        assert!(decode.wait().unwrap().success());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Not at once: `timeout` must take it along.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg(pid).status();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
