//! What the scripts of `boards` say to whoever types too little or something else, and that
//! they look for a firmware where cargo was told to put it. Nothing is built here: `cargo`,
//! `rustc` and QEMU are three lines of shell.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use check::BOARDS;

fn boards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn said(script: &str, words: &[&str]) -> Output {
    let mut command = Command::new(boards().join(script));
    command.args(words).output().unwrap()
}

#[test]
fn no_board_and_an_unknown_board_list_those_there_are() {
    for words in [&[][..], &["lm3s"], &["lm3s6965evb mps2-an385"]] {
        let output = said("run", words);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        for board in BOARDS {
            assert!(text.contains(board), "{words:?}: {text}");
        }
    }
    let lines = said("run", &["swan"]).stderr;
    let lines = String::from_utf8(lines).unwrap();
    assert!(lines.starts_with("there is no board \"swan\"; known: "));
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

/// A folder of programs that are not what they are called.
struct Fakes(PathBuf);

impl Fakes {
    fn new() -> Fakes {
        let folder = std::env::temp_dir().join(format!("cygnet-scripts-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (name, line) in [
            ("rustc", "echo /"),
            ("cargo", "echo \"builds in $CARGO_TARGET_DIR\""),
            ("qemu-system-arm", "echo \"boots $*\""),
            ("qemu-system-riscv32", "echo \"boots $*\""),
        ] {
            let path = folder.join(name);
            fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Fakes(folder)
    }
}

impl Drop for Fakes {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_firmware_is_looked_for_where_cargo_puts_it() {
    let fakes = Fakes::new();
    let path = std::env::var("PATH").unwrap();
    let run = |target: &str, words: &[&str]| {
        let mut command = Command::new(boards().join(words[0]));
        command.args(&words[1..]).current_dir(&fakes.0);
        command.env("PATH", format!("{}:{path}", fakes.0.display()));
        command.env("CARGO_TARGET_DIR", target);
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let here = fs::canonicalize(&fakes.0).unwrap();
    for (target, whole) in [
        ("/somewhere/else", PathBuf::from("/somewhere/else")),
        // Relative to where the script is called, as for cargo.
        ("near", here.join("near")),
    ] {
        let whole = whole.display();
        for board in BOARDS {
            let text = run(target, &["run", board]);
            assert!(text.contains(&format!("builds in {whole}\n")), "{text}");
            assert!(text.contains(&format!("-kernel {whole}/")), "{text}");
        }
        for board in ["lm3s6965evb", "riscv-virt"] {
            let text = run(target, &["image", board, "tests"]);
            assert!(text.contains(&format!("-kernel {whole}/")), "{text}");
        }
    }
}
