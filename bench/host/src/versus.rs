//! `bench/world --against SIM`: two builds of `sim` simulate the same worlds in turn,
//! again and again. What is compared is what they did in the same round, and what is
//! said is the median of that: a machine that is busy with other things slows both.
//! Where there is valgrind, instructions are counted too.
//!
//! The two need not agree about a run: a core that behaves in another way sends other
//! frames, and one frame may be for all hosts. So frames that hosts sent, world seconds, and
//! events are compared: all that happened in hosts and on links, each once.

use std::path::Path;
use std::process::Command;

use contest::median;
use cygnet_sim::report::{Report, Value};
use serde_json::Value as Json;

use crate::usage::children_time;
use crate::words::WorldConfig;

/// What is simulated: a scenario, its seeds, and how many of them are counted.
const WORK: [(&str, u64, u64); 2] = [("churn", 400, 20), ("lossy", 60, 1)];
/// How often each is asked.
const ROUNDS: usize = 11;

/// Runs it. Returns 0.
///
/// # Errors
/// One line: which of the two cannot do this.
pub fn run(config: &WorldConfig, theirs: &Path) -> Result<u8, String> {
    let (rounds, part) = if config.quick { (2, 4) } else { (ROUNDS, 1) };
    let mut report = Report::new("worlds of two builds, one thread, digest on");
    for (scenario, seeds, counted) in WORK {
        let seeds = (seeds / part).max(1);
        let mut rates: [Vec<[f64; 3]>; 2] = Default::default();
        for round in 0..rounds {
            // Whoever is first this time is second the next.
            for turn in [round % 2, 1 - round % 2] {
                let sim = [&*config.sim, theirs][turn];
                let (done, spent) = measure(Command::new(sim), sim, scenario, seeds)?;
                rates[turn].push(done.map(|done| done / spent));
            }
        }
        for (what, place) in [("frames", 0), ("world seconds", 1), ("events", 2)] {
            let [ours, theirs] = [0, 1]
                .map(|turn| -> Vec<f64> { rates[turn].iter().map(|rates| rates[place]).collect() });
            let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
            ratios.sort_by(f64::total_cmp);
            let spread = format!("{:.2} to {:.2}", ratios[0], ratios[ratios.len() - 1]);
            let label = |who: &str| format!("{scenario}, {what} per second, {who}");
            report = report
                .row(label("theirs"), Value::PerSecond(median(&theirs)))
                .row(label("ours"), Value::PerSecond(median(&ours)))
                .row_with_note(label("ratio"), Value::Ratio(median(&ratios)), spread);
        }
        if config.quick || Command::new("valgrind").arg("--version").output().is_err() {
            continue;
        }
        let theirs = count(theirs, scenario, counted)?;
        let ours = count(&config.sim, scenario, counted)?;
        for (what, place) in [("frame", 0), ("event", 2)] {
            let label = |who: &str| format!("{scenario}, instructions per {what}, {who}");
            report = report
                .row(label("theirs"), theirs[place] as u64)
                .row(label("ours"), ours[place] as u64)
                .row(label("ratio"), Value::Ratio(theirs[place] / ours[place]));
        }
    }
    let _ = report.print(config.format, &mut std::io::stdout().lock());
    Ok(0)
}

/// Frames, world seconds and events of these seeds, and the seconds that the processor took.
fn measure(
    mut command: Command,
    sim: &Path,
    scenario: &str,
    seeds: u64,
) -> Result<([f64; 3], f64), String> {
    let name = sim.display();
    command.args(["swarm", "--jobs", "1", "--format", "json", "--log", "error"]);
    command.args(["--scenario", scenario, "--seeds", &format!("0..{seeds}")]);
    let before = children_time();
    let output = command
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    let spent = children_time() - before;
    let says = String::from_utf8_lossy(&output.stderr);
    let wrong = || {
        format!(
            "{name} swarm --scenario {scenario}: no summary: {}",
            says.trim()
        )
    };
    let json: Json = serde_json::from_slice(&output.stdout).map_err(|_| wrong())?;
    let row = |name: &str| json[name].as_f64().filter(|&done| done > 0.0);
    let done = ["frames", "virtual_seconds", "events"].map(|name| row(name).ok_or_else(wrong));
    let [frames, seconds, events] = done;
    Ok(([frames?, seconds?, events?], spent.as_secs_f64().max(0.01)))
}

/// Instructions per frame, world second and event.
fn count(sim: &Path, scenario: &str, seeds: u64) -> Result<[f64; 3], String> {
    let log = std::env::temp_dir().join(format!("cygnet-bench-{}.log", std::process::id()));
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command
        .arg(format!("--log-file={}", log.display()))
        .arg(sim);
    let measured = measure(command, sim, scenario, seeds);
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(&log);
    let counted = text
        .rsplit_once("Collected : ")
        .map(|(_, count)| count.trim());
    let counted = counted.and_then(|count| count.lines().next()?.trim().parse::<f64>().ok());
    let counted =
        counted.ok_or_else(|| format!("valgrind counted nothing of {}", sim.display()))?;
    Ok(measured?.0.map(|done| counted / done))
}
