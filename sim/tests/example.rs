//! The example of a world runs to its end.
#![allow(missing_docs)]

#[path = "../../examples/world/service.rs"]
mod world;

#[test]
fn a_service_survives_loss_and_a_power_cut() {
    world::main();
}
