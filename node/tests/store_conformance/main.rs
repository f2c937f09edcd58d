//! Holds every store engine to one behaviour, and the writer to its promises.

#![cfg(test)]

mod conformance;
mod full_disk;
mod model;
mod opening;
mod power_loss;
mod subject;
mod system_calls;
mod writer;
