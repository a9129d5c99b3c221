//! The effects of fedcar: files, the engine that runs the policy module, and the command line.
//!
//! Whatever is decided about an object is decided by the module's bytes in [`engine`]; this crate only carries objects
//! to them and applies the patches that they answer.

pub mod admission;
mod artifact;
pub mod capabilities;
pub mod cli;
mod compliance;
mod difference;
pub mod documents;
pub mod engine;
pub mod fragments;
pub mod input;
pub mod manifests;
mod output;
mod preview;
mod probe;
pub mod problem;
mod registry;
pub mod telemetry;
pub mod yaml;
