//! See `src/mqtt.rs`. As root: `cargo run --bin mqtt -- BROKER READINGS [INTERFACE]`.

use net_examples::{TAP, end, mqtt, on_tap};
use smoltcp::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let broker = words.next().ok_or("which broker?")?;
    let readings = words.next().ok_or("how many readings?")?.parse()?;
    let tap = words.next();
    on_tap(tap.as_deref().unwrap_or(TAP), |node| {
        let task = async move {
            let pause = Duration::from_millis(2);
            mqtt::run(node, &broker, 0..readings, pause).await;
            end::<_, ()>(Ok(()));
        };
        node.spawn_named("mqtt", task).expect("a free task");
    })
}
