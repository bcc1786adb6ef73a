//! The watchdog's snapshot for outside readers. Pure.

use std::fmt::Write;
use std::time::Instant;

use serde_json::json;

use crate::runtime::clock::millis;

use super::snapshot::{Snapshot, ThreadState};

/// For `/api/threads`: `{"threads":[…],"channels":[…],"ailments":[…],"stalls":[…],"stalls_total",
/// "drills","age_ms"}`. `drills`: whether they may be ordered.
#[must_use]
pub fn to_json(snapshot: &Snapshot, now: Instant, drills: bool) -> String {
    let age = now.saturating_duration_since(snapshot.at);
    json!({
        "age_ms": millis(age),
        "stalls_total": snapshot.stalls_total,
        "stalls": &*snapshot.stalls,
        "drills": drills,
        "ailments": snapshot.problems,
        "threads": snapshot.threads,
        "channels": snapshot.channels,
    })
    .to_string()
}

/// For Prometheus, text format 0.0.4.
#[must_use]
pub fn metrics_text(snapshot: &Snapshot) -> String {
    let mut out = String::with_capacity(4_096);
    // Writing to a string cannot fail.
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = out.write_fmt(text);
        out.push('\n');
    };
    line(format_args!("# TYPE tapewarden_threads gauge"));
    let states = [
        ("idle", ThreadState::Idle),
        ("busy", ThreadState::Busy),
        ("stalled", ThreadState::Stalled),
        ("dead", ThreadState::Dead),
    ];
    for (name, state) in states {
        let n = snapshot.threads.iter().filter(|t| t.state == state).count();
        line(format_args!("tapewarden_threads{{state=\"{name}\"}} {n}"));
    }
    line(format_args!("# TYPE tapewarden_stalls_total counter"));
    line(format_args!(
        "tapewarden_stalls_total {}",
        snapshot.stalls_total
    ));
    line(format_args!("# TYPE tapewarden_healthy gauge"));
    line(format_args!(
        "tapewarden_healthy {}",
        u8::from(snapshot.problems.is_empty())
    ));
    for (metric, kind) in [
        ("depth", "gauge"),
        ("capacity", "gauge"),
        ("drops_total", "counter"),
    ] {
        line(format_args!("# TYPE tapewarden_channel_{metric} {kind}"));
        for channel in &snapshot.channels {
            let value = match metric {
                "depth" => channel.depth as u64,
                "capacity" => channel.capacity as u64,
                _ => channel.drops,
            };
            let name = channel.name.replace(['"', '\\'], "");
            line(format_args!(
                "tapewarden_channel_{metric}{{channel=\"{name}\"}} {value}"
            ));
        }
    }
    out
}
