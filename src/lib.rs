//! cygnet
#![no_std]
pub mod event;
