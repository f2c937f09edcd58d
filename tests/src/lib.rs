//! Whole chains of real processes for end-to-end tests: hubs, nodes behind lines that can be cut, tills.
//!
//! A test runs within [`Scene::run`], which bounds its time, keeps the number of chains at once small, and shows the
//! logs of all processes when the test fails. [`Chain`] is a programme with its stores; [`StoreNode`] a node with its
//! line and tills; [`HubServer`] one hub process.

mod chain;
mod http;
mod hub;
mod line;
mod node;
mod ports;
mod postgres;
mod process;
mod programs;
mod scene;
mod till;
mod wait;

pub use chain::{Chain, ChainPlan, Standing, Store};
pub use http::{Answer, Http};
pub use hub::{Database, HubServer};
pub use line::Line;
pub use node::{Engine, StoreNode, Wrapper};
pub use ports::free_address;
pub use process::{Process, run_to_end};
pub use programs::{Programs, programs};
pub use scene::Scene;
pub use till::{Basket, Customer, Till, card_number};
pub use wait::{POLL, until};
