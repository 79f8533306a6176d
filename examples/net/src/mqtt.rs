//! A sensor: rust-mqtt over cygnet. It tells a broker its readings one by one, each until it
//! is acknowledged (QoS 1), and connects again when the broker was away.
//!
//! ```sh
//! mosquitto -c your.conf           # a listener on 192.168.70.1 or on every address
//! cargo run --bin mqtt -- 192.168.70.1 1000     # as root
//! mosquitto_sub -t swans/seen
//! ```
//!
//! A reading whose acknowledgement was lost is told again: whoever hears them may hear one
//! twice.

use core::num::NonZero;
use core::ops::Range;

use cygnet::{ConnectToError, Node, TcpStream};
use rust_mqtt::buffer::AllocBuffer;
use rust_mqtt::client::Client;
use rust_mqtt::client::event::Event;
use rust_mqtt::client::options::{ConnectOptions, DisconnectOptions};
use rust_mqtt::client::options::{PublicationOptions, TopicReference};
use rust_mqtt::types::{MqttString, TopicName};
use smoltcp::time::Duration;

/// How long the broker may be silent when its word is due.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is left alone when it was not there.
const PAUSE: Duration = Duration::from_millis(500);

/// No packet of the broker's is longer.
const LONGEST: NonZero<u32> = NonZero::<u32>::MIN.saturating_add(511);
/// A client without subscriptions, and with one message on its way.
type Sensor<'n, 'c> = Client<'static, 'c, TcpStream<'n>, AllocBuffer, 1, 1, 1, 0, 0, 0, 0>;

/// Why a broker is left.
#[derive(Debug)]
pub enum Error {
    /// There is none.
    Connect(ConnectToError),
    /// The connection, or what came over it, in the crate's words.
    Mqtt(String),
}

fn mqtt(error: impl core::fmt::Debug) -> Error {
    Error::Mqtt(format!("{error:?}"))
}

/// Tells the broker these readings, with a pause after each.
pub async fn run(node: Node<'_>, broker: &str, readings: Range<u32>, pause: Duration) {
    let mut left = readings;
    while let Err(error) = tell(node, broker, &mut left, pause).await {
        println!("{} are told; {error:?}", left.start);
        node.sleep(PAUSE).await;
    }
    println!("{} are told", left.start);
}

/// One connection. `left` is what was not acknowledged yet.
///
/// # Errors
/// Why it ended before all were.
pub async fn tell(
    node: Node<'_>,
    broker: &str,
    left: &mut Range<u32>,
    pause: Duration,
) -> Result<(), Error> {
    let connected = node.connect_to(broker, 1883).await;
    let mut stream = connected.map_err(Error::Connect)?;
    stream.set_read_timeout(Some(PATIENCE));
    stream.set_write_timeout(Some(PATIENCE));
    let mut buffer = AllocBuffer;
    let mut client = Sensor::new(&mut buffer);
    let result = talk(node, &mut client, stream, left, pause).await;
    if result.is_err()
        && let Ok(stream) = client.abort().await
    {
        // Closed in order, it might tell its last reading long after the next connection has.
        stream.abort();
    }
    result
}

async fn talk<'n>(
    node: Node<'n>,
    client: &mut Sensor<'n, '_>,
    stream: TcpStream<'n>,
    left: &mut Range<u32>,
    pause: Duration,
) -> Result<(), Error> {
    let options = ConnectOptions::new().clean_start();
    let options = options.maximum_packet_size(LONGEST);
    let name = MqttString::try_from("sensor").map_err(mqtt)?;
    let connected = client.connect(stream, &options, Some(name)).await;
    connected.map_err(mqtt)?;

    let topic = MqttString::try_from("swans/seen").map_err(mqtt)?;
    let topic = TopicName::new(topic).expect("no wildcards");
    let options = PublicationOptions::new(TopicReference::Name(topic)).at_least_once();
    while left.start < left.end {
        let reading = left.start.to_string();
        let published = client.publish(&options, reading.as_bytes().into()).await;
        published.map_err(mqtt)?;
        loop {
            match client.poll().await.map_err(mqtt)? {
                Event::PublishAcknowledged(_) => break,
                // Whoever repeats it is told the same.
                Event::PublishRejected(_) => break println!("nobody wants {reading}"),
                _ => (),
            }
        }
        left.start += 1;
        node.sleep(pause).await;
    }
    let stream = client.disconnect(&DisconnectOptions::new()).await;
    // All was acknowledged; whatever happens to the end of the connection is the broker's.
    let _ = stream.map_err(mqtt)?.close().await;
    Ok(())
}
