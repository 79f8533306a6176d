use smoltcp::time::{Duration, Instant};

use crate::Link;
use crate::plan::{Blow, Plan};
use crate::scenario::SCENARIOS;
use crate::stage::{Staging, run};

const SMALL: &str = "cygnet-plan 1
# a comment
time heal=5s limit=60s
host server serve secret=00000000000000aa slots=4 tasks=6 task-bytes=2048 rx=512 tx=512 backlog=2 latency=50us rate=0 queue=1000 mtu=1514
host c1 visit to=server secret=00000000000000bb v6 lanes=1 visits=3 until=5s requests=1 bytes=9 start=1.5ms pause=1s gap=0s goodbye=half latency=1ms rate=0 queue=1000 mtu=1514
at 1.25s cut c1 both   # one way is not enough
at 2s join c1
frame c1 up 4 lose
frame server down 0 late 12us
end
";

#[test]
fn a_plan_is_read_written_and_read_again() {
    let plan: Plan = SMALL.parse().unwrap();
    assert_eq!(
        (plan.places.len(), plan.strikes.len(), plan.facts()),
        (2, 2, 6)
    );
    assert_eq!(plan.strikes[0].at, Instant::from_millis(1250));
    let text = plan.to_string();
    assert_eq!(text.parse::<Plan>().unwrap(), plan);
    assert!(text.contains("frame server down 0 late 12us\n"), "{text}");
}

/// What the text leaves out: rates, from which only the drawn run draws.
fn without_rates(mut plan: Plan) -> Plan {
    let plain = |link: &mut Link| {
        *link = Link {
            latency: link.latency,
            bytes_per_second: link.bytes_per_second,
            queue_bytes: link.queue_bytes,
            mtu: link.mtu,
            tells: link.tells,
            ..Link::LAN
        }
    };
    plan.places
        .iter_mut()
        .for_each(|place| plain(&mut place.link));
    for strike in &mut plan.strikes {
        if let Blow::Link(link) = &mut strike.blow {
            plain(link);
        }
    }
    plan
}

#[test]
fn every_scenario_survives_its_text_and_runs_the_same() {
    for scenario in SCENARIOS {
        let horizon = Duration::from_secs(3);
        let mut plan = scenario.plan(5, horizon);
        let drawn = run(
            &plan,
            Staging {
                seed: Some(5),
                record: true,
                ..Staging::default()
            },
        );
        plan.fates = drawn.fates.clone();
        let read: Plan = plan.to_string().parse().unwrap();
        assert_eq!(read, without_rates(plan));
        let told = run(&read, Staging::default());
        assert_eq!(told.violation, drawn.violation, "{}", scenario.name);
        assert_eq!(
            (told.digest, told.events),
            (drawn.digest, drawn.events),
            "{}",
            scenario.name
        );
    }
}

fn error(text: &str) -> String {
    text.parse::<Plan>().unwrap_err().to_string()
}

/// The small plan with one line changed.
fn with(line: usize, text: &str) -> String {
    let mut lines: Vec<&str> = SMALL.lines().collect();
    lines[line - 1] = text;
    lines.join("\n")
}

#[test]
fn what_is_wrong_is_told_with_line_and_column() {
    for (text, expected) in [
        (
            String::new(),
            "1:1: expected `cygnet-plan 1` or `cygnet-plan 2`, found an empty file",
        ),
        (
            with(1, "cygnet-plan 9"),
            "1:13: this program reads versions 1 and 2 of plans, found version \"9\"; a newer \
             one reads it",
        ),
        (
            with(1, "tap: 3"),
            "1:1: expected `cygnet-plan`, found \"tap:\"",
        ),
        (
            with(6, "at 1s cut c9 both"),
            "6:11: expected a host or switch, found \"c9\"; so far there are server, c1",
        ),
        (
            with(6, "at -1s cut c1 both"),
            "6:4: expected a time, found \"-1s\"; none is negative",
        ),
        (
            with(6, "at 1s cut c1"),
            "6:13: expected up, down or both, found the end of the line",
        ),
        (
            with(6, "at 1s"),
            "6:6: expected what happens, found the end of the line",
        ),
        (
            with(8, "frame c1 up four lose"),
            "8:13: expected a frame's number, found \"four\"",
        ),
        (
            with(8, "frame c1 up 4 lo"),
            "8:15: expected lose, late, spike, hold, flip or twice, found \"lo\"",
        ),
        (
            with(8, "frame c1 up 4 lose twice"),
            "8:20: expected the end of the line, found \"twice\"",
        ),
        (
            with(9, "frame c1 up 4 lose"),
            "9:15: this frame is told \"lose\" already",
        ),
        (
            with(3, "time heal=9s limit=8s"),
            "3:1: expected limit not before heal",
        ),
        (
            with(3, "time heal=9s"),
            "3:13: expected limit=…, found the end of the line",
        ),
        (
            with(2, "host server"),
            "2:12: expected serve, visit, stranger or liar, found the end of the line",
        ),
        (
            with(10, "# end"),
            "10:6: expected `end` as the last line (was the file cut off?), found the end of the file",
        ),
    ] {
        assert_eq!(error(&text), expected);
    }
}

#[test]
fn a_plan_cut_off_anywhere_is_an_error_and_never_a_panic() {
    for end in 0..SMALL.len() - 1 {
        let cut = &SMALL[..end];
        let read = cut.parse::<Plan>();
        assert!(read.is_err() || cut.ends_with("end"), "{end}");
    }
}
