//! What image references stand for: asked from Docker's own registry on this machine, read from folders, and from servers
//! that mean no good.

mod federation;
mod hostile;
mod images;
mod layout;
mod module;
mod registry;
mod server;
