//! The control socket beside the logs.

use std::net::SocketAddr;

use crate::edge::connection::GateConfig;
use crate::edge::control::{ControlConfig, start_control};
use crate::logging::LogFiles;
use crate::runtime::Supervisor;
use crate::runtime::local_server::{at_path, bind};

use super::super::error::{Doing, StartError};

/// Starts the control socket; where there can be none the port serves operators alone.
///
/// # Errors
/// When the system refuses a thread.
pub fn open(
    supervisor: &Supervisor,
    files: &LogFiles,
    port: SocketAddr,
    gate: &GateConfig,
) -> Result<(), StartError> {
    let path = files.control();
    let bound = match at_path(&path).and_then(|address| bind(&address)) {
        Ok(bound) => bound,
        Err(e) => {
            log::warn!(
                target: "CONTROL",
                "there is no control socket at {}: {e}; the port alone serves tapewarden dump, stalls, drill and threads (--url http://{port})",
                path.display()
            );
            return Ok(());
        }
    };
    let config = ControlConfig {
        port,
        lookup: gate.lookup.clone(),
        snapshots: gate.snapshots.clone(),
        routes: gate.routes.clone(),
        commands: gate.commands.clone(),
    };
    start_control(supervisor, bound, config).doing("starting the control socket")?;
    Ok(())
}
