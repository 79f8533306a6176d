use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use cygnet_world::cursor::Cursor;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

/// Two clients; a frame is lost, a host crashes.
const PLAN: &str = "cygnet-plan 1
time heal=3s limit=300s
host server serve
host c1 visit
host c2 visit v6 latency=5ms
at 1s crash c2
frame c1 up 5 lose
end
";

fn screen(color: bool) -> Screen {
    static SCREENS: AtomicUsize = AtomicUsize::new(0);
    let number = SCREENS.fetch_add(1, Ordering::Relaxed);
    let name = format!("cygnet-screen-{}-{number}.txt", std::process::id());
    let out = std::env::temp_dir().join(name);
    let session = Session::new(Cursor::new(PLAN.parse().unwrap()), out);
    Screen::new(session, "plan.txt".into(), color)
}

/// The screen's rows, without what is empty at their ends.
fn rows(screen: &Screen, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| {
        let cells = (0..width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..height).map(row).collect()
}

fn press(screen: &mut Screen, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '<' => KeyCode::Backspace,
            '^' => KeyCode::Esc,
            letter => KeyCode::Char(letter),
        };
        match screen.key(KeyEvent::from(code)) {
            Wish::Run(command) => {
                let answer = screen.session.run(&command, &mut |_| true);
                screen.say(answer);
            }
            Wish::Redraw => (),
            Wish::Quit => panic!("{keys:?} quits"),
        }
    }
}

#[test]
fn it_shows_events_a_host_and_keys() {
    let mut screen = screen(true);
    let start = rows(&screen, 80, 24);
    assert_eq!(start[0], "the start  0.000000 s  plan.txt");
    assert_eq!(start[1], "nothing has happened yet");
    assert!(
        start[22].starts_with("n goes to the next event, ?"),
        "{start:?}"
    );
    let keys = "n next  b back  t to  d drop  l lose  ? help  q quit  tab host";
    assert!(start[23].starts_with(keys), "{start:?}");

    press(&mut screen, "t120\n");
    let there = rows(&screen, 80, 24);
    assert!(there[0].starts_with("event 120  0."), "{there:?}");
    let events: Vec<&String> = there.iter().filter(|row| row.contains(" 0.0")).collect();
    let last = events.last().unwrap();
    assert!(last.starts_with("120 0.0"), "{there:?}");
    assert!(there.contains(&"[server] c1  c2".to_owned()), "{there:?}");
    assert!(there.contains(&"server is on".to_owned()), "{there:?}");
    for words in [
        "tasks     ",
        "to_read   ",
        "to_write  ",
        "elsewhere ",
        "#0 :7 10.0.0.2:",
    ] {
        assert!(
            there.iter().any(|row| row.starts_with(words)),
            "{words}: {there:?}"
        );
    }
    press(&mut screen, "\t");
    assert!(rows(&screen, 80, 24).contains(&" server [c1] c2".to_owned()));
    press(&mut screen, "\t\t");
    assert!(rows(&screen, 80, 24).contains(&"[server] c1  c2".to_owned()));

    // Back and forward is the same picture.
    press(&mut screen, "bn");
    assert_eq!(rows(&screen, 80, 24), there);
    press(&mut screen, "NB");
    assert_eq!(rows(&screen, 80, 24), there);
}

#[test]
fn the_next_frame_is_lost_by_a_key_and_a_drop_is_found() {
    let mut screen = screen(true);
    press(&mut screen, "t60\nl");
    let said = rows(&screen, 160, 24);
    let row = said
        .iter()
        .find(|row| row.contains(" will be lost, in event "))
        .unwrap();
    let key = row.strip_prefix("frame ").unwrap();
    let key: Vec<&str> = key.split(' ').take(3).collect();
    let key = key.join(" ");
    let out: PathBuf = screen.session.out().into();
    let written = std::fs::read_to_string(&out).unwrap();
    std::fs::remove_file(out).unwrap();
    assert!(
        written.contains(&format!("frame {key} lose\n")),
        "{written}"
    );
    assert!(said[0].starts_with("event 60 "), "{said:?}");
    press(&mut screen, "d");
    let there = rows(&screen, 160, 24);
    assert!(
        there
            .iter()
            .any(|row| row.ends_with(&format!(" link {key} lose"))),
        "{there:?}"
    );
    press(&mut screen, "e");
    let there = rows(&screen, 160, 24);
    assert!(
        there[22].ends_with(" events; nothing is violated"),
        "{there:?}"
    );
    press(&mut screen, "s");
    assert_eq!(rows(&screen, 80, 24)[1], "nothing has happened yet");
    press(&mut screen, "b");
    assert!(rows(&screen, 80, 24)[22].starts_with("the start: "));
}

#[test]
fn a_number_is_typed_mended_and_given_up() {
    let mut screen = screen(true);
    press(&mut screen, "t1x2<7");
    let row = "to event 17_   (enter goes, esc does not)";
    assert_eq!(rows(&screen, 80, 24)[22], row);
    press(&mut screen, "^");
    assert!(rows(&screen, 80, 24)[0].starts_with("the start"));
    press(&mut screen, "t17\n");
    assert!(rows(&screen, 80, 24)[0].starts_with("event 17 "));
    // Nothing typed is nowhere to go; more digits than a number has are not taken.
    press(&mut screen, "t\n");
    assert!(rows(&screen, 80, 24)[0].starts_with("event 17 "));
    press(&mut screen, "t99999999999999999999999\n");
    let there = rows(&screen, 80, 24);
    let said = there
        .iter()
        .any(|row| row.contains(" never comes: there are "));
    assert!(said, "{there:?}");
}

#[test]
fn every_key_of_the_help_does_something_and_some_end_it() {
    let mut screen = screen(true);
    press(&mut screen, "?");
    let help = rows(&screen, 80, 24);
    for (keys, what) in HELP {
        assert!(help.contains(&format!("{keys:<18}{what}")), "{help:?}");
    }
    assert_eq!(
        screen.key(KeyEvent::from(KeyCode::Char('q'))),
        Wish::Redraw,
        "the help ends"
    );
    for code in [KeyCode::Char('q'), KeyCode::Esc] {
        assert_eq!(screen.key(KeyEvent::from(code)), Wish::Quit);
    }
    let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(screen.key(control), Wish::Quit);
    for (code, command) in [
        (KeyCode::Right, Command::Next(1)),
        (KeyCode::Char(' '), Command::Next(1)),
        (KeyCode::Left, Command::Back(1)),
        (KeyCode::PageDown, Command::Next(10)),
        (KeyCode::PageUp, Command::Back(10)),
        (KeyCode::Home, Command::Start),
        (KeyCode::End, Command::End),
    ] {
        assert_eq!(screen.key(KeyEvent::from(code)), Wish::Run(command));
    }
}

#[test]
fn a_host_that_needs_more_rows_gets_them() {
    let mut screen = screen(true);
    press(&mut screen, "t120\n");
    let row = |screen: &Screen, words: &str| {
        let rows = rows(screen, 40, 16);
        rows.iter().position(|row| row.contains(words))
    };
    assert_eq!(
        row(&screen, "and 6 lines more: z, j"),
        Some(13),
        "{:?}",
        rows(&screen, 40, 16)
    );
    assert_eq!(row(&screen, "#0 :7 "), None);
    press(&mut screen, "jjjjjjj");
    assert!(
        row(&screen, "#1 :7 ").is_some(),
        "{:?}",
        rows(&screen, 40, 16)
    );
    assert_eq!(row(&screen, "server is on"), None);
    press(&mut screen, &"j".repeat(99));
    press(&mut screen, &"k".repeat(12));
    assert!(row(&screen, "server is on").is_some());
    press(&mut screen, "z");
    assert!(
        row(&screen, "#0 :7 ").is_some(),
        "{:?}",
        rows(&screen, 40, 16)
    );
    assert_eq!(row(&screen, "120 0.0"), Some(3));
}

#[test]
fn it_draws_at_any_size() {
    let mut screen = screen(true);
    for keys in ["", "t300\n", "d", "?", "^", "zjjj", "z", "e", "t12"] {
        press(&mut screen, keys);
        for width in [0, 1, 2, 3, 10, 20, 40, 79, 80, 300] {
            for height in [0, 1, 2, 3, 4, 7, 8, 9, 11, 24, 70] {
                rows(&screen, width, height);
                let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
                for target in [None, Some(0), Some(9)] {
                    let far = Far("plan.txt");
                    terminal.draw(|frame| far.draw(frame, 5, target)).unwrap();
                }
            }
        }
        if screen.prompt.is_some() {
            press(&mut screen, "^");
        }
    }
    press(&mut screen, "t120\n");
    let small = rows(&screen, 10, 3);
    assert_eq!(small[0], "event 120");
    assert!(small[1].starts_with("120 0.0"), "{small:?}");
    assert_eq!(small[2], "n next  b");
    let narrow = rows(&screen, 40, 20);
    assert!(narrow.contains(&"[server] c1  c2".to_owned()), "{narrow:?}");
    // A message that is too long for one row takes more.
    press(&mut screen, "l");
    let _ = std::fs::remove_file(screen.session.out());
    let narrow = rows(&screen, 40, 20);
    assert!(narrow.concat().contains("plan of that"), "{narrow:?}");
}

#[test]
fn without_color_there_is_none_and_a_loss_is_bold() {
    for color in [true, false] {
        let mut screen = screen(color);
        press(&mut screen, "dn");
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let cells = terminal.backend().buffer().content();
        let colored = cells.iter().filter(|cell| cell.fg != Color::Reset);
        assert_eq!(colored.count() > 0, color);
        assert!(cells.iter().all(|cell| cell.bg == Color::Reset));
        let bold = cells.iter().skip(80).take(80 * 11);
        let bold = bold
            .filter(|cell| cell.modifier.contains(Modifier::BOLD))
            .count();
        assert_eq!(bold > 0, !color, "{bold}");
    }
}
