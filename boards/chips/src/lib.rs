//! Two chips on SPI with drivers of embassy's, as devices of cygnet. No board
//! here has one; that it compiles for a Cortex-M is what is checked.
#![no_std]

use cygnet::{Node, SpawnRefused};
use cygnet_compat::embassy_net_driver::{Bell, Driven};
use embassy_net_enc28j60::Enc28j60;
use embassy_net_wiznet::chip::W5500;
use embassy_net_wiznet::{Device, InitError, State};
use embedded_hal::digital::OutputPin;
use embedded_hal::spi::SpiDevice;
use embedded_hal_async::digital::Wait;
use embedded_hal_async::spi::SpiDevice as AsyncSpiDevice;

/// An ENC28J60. Its driver has no interrupt and asks to be asked again at once,
/// so a board with it never sleeps; it has no loop of its own either.
///
/// # Errors
/// [`SpawnRefused`] when there is no free task for the bell.
pub fn enc28j60<S, O>(
    node: Node<'static>,
    spi: S,
    reset: Option<O>,
    address: [u8; 6],
    bell: &'static Bell,
) -> Result<Driven<'static, Enc28j60<S, O>>, SpawnRefused>
where
    S: SpiDevice,
    O: OutputPin,
{
    node.spawn_named("enc28j60", bell.task(core::future::pending::<()>()))?;
    Ok(Driven::new(Enc28j60::new(spi, reset, address), bell))
}

/// Why there is no W5500.
#[derive(Debug)]
pub enum W5500Error<E> {
    /// It did not answer as it should.
    Init(InitError<E>),
    /// There was no free task, or none that is large enough, for its loop.
    Spawn(SpawnRefused),
}

/// A W5500, whose driver has a loop: it waits for the chip's interrupt and moves
/// frames. It runs in the task that hears the bell.
///
/// # Errors
/// [`W5500Error`]
pub async fn w5500<S, I, O>(
    node: Node<'static>,
    state: &'static mut State<4, 4>,
    (spi, interrupt, reset): (S, I, O),
    address: [u8; 6],
    bell: &'static Bell,
) -> Result<Driven<'static, Device<'static>>, W5500Error<S::Error>>
where
    S: AsyncSpiDevice + 'static,
    I: Wait + 'static,
    O: OutputPin + 'static,
{
    let started =
        embassy_net_wiznet::new::<4, 4, W5500, S, I, O>(address, state, spi, interrupt, reset);
    let (device, runner) = started.await.map_err(W5500Error::Init)?;
    let run = async move {
        runner.run().await;
    };
    let spawned = node.spawn_named("w5500", bell.task(run));
    spawned.map_err(|error| W5500Error::Spawn(error.into()))?;
    Ok(Driven::new(device, bell))
}
