//! The scenario that boards run, on this machine: its digest is committed, so a
//! change of what the core does is seen here before it is seen on a board.

#[path = "../boards/proof/src/scenario.rs"]
mod scenario;

#[test]
fn the_scenario_of_the_boards_has_the_committed_digest() {
    let outcome = scenario::run();
    assert_eq!(outcome.good, 3, "a conversation went wrong");
    let digest = format!("{:032x}", outcome.digest);
    let committed = include_str!("../boards/proof/digest.txt").trim();
    assert_eq!(
        digest, committed,
        "after {} events in {}. If what the core does was meant to change: boards/digest --write",
        outcome.events, outcome.end
    );
}
