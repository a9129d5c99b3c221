//! The real command, from its arguments and inputs to the bytes that it prints and the code that it exits with.

mod commands;
mod hostile;
mod inject;
mod streams;
mod support;
