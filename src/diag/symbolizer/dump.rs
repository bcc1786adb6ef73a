//! What a report is made of: threads with their frames, and what the watchdog knows. Plain values.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::runtime::{Peer, ThreadKind, ThreadName};

/// What the watchdog adds to a capture.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportContext {
    /// Why the report is made, in words.
    pub reason: String,
    /// Local time.
    pub time: String,
    /// Of the program.
    pub version: String,
    /// Of the process.
    pub pid: u32,
    /// Since its start.
    pub uptime_s: u64,
    /// What threads say of themselves.
    pub threads: Vec<ThreadReport>,
    /// Every queue.
    pub channels: Vec<ChannelReport>,
    /// What is wrong with the server's own port, as a client of it sees it; empty where nothing is.
    pub port: String,
    /// The last log lines.
    pub log: Vec<String>,
}

/// What a thread says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadReport {
    /// As the watchdog knows it.
    pub name: String,
    /// Its kind and number; none where this version knows no such kind.
    #[serde(deserialize_with = "known")]
    pub thread: Option<ThreadName>,
    /// For whom it waits, where it does.
    #[serde(deserialize_with = "known")]
    pub waiting_for: Option<Peer>,
    /// The client's request that it has in hand.
    pub request: Option<u64>,
    /// The kernel's number.
    pub tid: u32,
    /// Of which class.
    pub class: String,
    /// "idle", "busy", "stalled", "dead"
    pub state: String,
    /// In its own words.
    pub activity: String,
    /// Since its last beat.
    pub beat_age_ms: u64,
}

impl ThreadReport {
    /// Whether it is a thread of this kind.
    #[must_use]
    pub fn is_of(&self, kind: ThreadKind) -> bool {
        self.thread.is_some_and(|thread| thread.kind == kind)
    }

    /// Whether it is this thread's. Where the number is not known the name must do.
    #[must_use]
    pub fn is(&self, tid: u32, name: &str) -> bool {
        match self.tid {
            0 => self.name == name,
            own => own == tid,
        }
    }
}

/// A queue.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChannelReport {
    /// Its name.
    pub name: String,
    /// Messages in it.
    pub depth: usize,
    /// How many fit.
    pub capacity: usize,
    /// How many were refused so far.
    pub drops: u64,
    /// What happens when it is full.
    pub when_full: String,
    /// The kinds of threads that take what waits in it.
    #[serde(deserialize_with = "known")]
    pub to: Vec<ThreadKind>,
    /// Whether what lies in it waits for nobody.
    pub is_stock: bool,
}

/// A raw dump may come from another version, which has other kinds of threads.
fn known<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(from: D) -> Result<T, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// How a thread moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ThreadPace {
    /// Uses a processor all the time.
    Spinning,
    /// Uses none and stands where it stood.
    Blocked,
    /// As `Blocked`, where no signal reaches it: a disk, mostly.
    Uninterruptible,
    /// Moves.
    Progressing,
    /// As `Blocked`, and by its own word it waits for work.
    Idle,
    /// It was seen once only.
    #[default]
    Unknown,
}

impl ThreadPace {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Spinning => "spinning",
            Self::Blocked => "blocked",
            Self::Uninterruptible => "blocked uninterruptibly (a disk, mostly)",
            Self::Progressing => "progressing",
            Self::Idle => "idle",
            Self::Unknown => "seen only once",
        }
    }
}

/// One function on a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct StackFrame {
    /// Its name, or `file+offset`.
    pub function: String,
    /// Source file; empty where it is not known.
    pub file: String,
    /// Source line; 0 where it is not known.
    pub line: u32,
    /// The address in the server.
    pub address: u64,
}

impl StackFrame {
    /// Function, file and line, as far as they are known.
    #[must_use]
    pub fn place(&self) -> String {
        if self.file.is_empty() {
            self.function.clone()
        } else {
            format!("{} ({}:{})", self.function, self.file, self.line)
        }
    }

    /// Whether it is this program's own code.
    #[must_use]
    pub fn is_own(&self) -> bool {
        // An inlined function's name has no path; then its file tells: those of others begin with a
        // library's name.
        self.function.starts_with("tapewarden::")
            || self.function.starts_with("<tapewarden::")
            || (self.file.starts_with("src/") && self.file.ends_with(".rs"))
    }
}

/// One thread.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ThreadDump {
    /// The kernel's number.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// What it says of itself; none for a library's own thread.
    pub said: Option<ThreadReport>,
    /// How it moves.
    pub pace: ThreadPace,
    /// The kernel's letter.
    pub kernel_state: char,
    /// Whether it is the process's first thread.
    pub is_main: bool,
    /// Where it waits, in words: the system call, on what, in which kernel function.
    pub waits: String,
    /// CPU time between the two looks, in µs.
    pub cpu_us: u64,
    /// The innermost first.
    pub frames: Vec<StackFrame>,
    /// Whether frames are missing at the outer end.
    pub truncated: bool,
    /// Why there are no frames; empty where there are.
    pub missing: String,
}

impl ThreadDump {
    /// "stalled", "idle" …; empty for a library's own thread.
    #[must_use]
    pub fn state(&self) -> &str {
        self.said.as_ref().map_or("", |s| &s.state)
    }

    /// The innermost frame of our own code.
    #[must_use]
    pub fn own_frame(&self) -> Option<&StackFrame> {
        self.frames.iter().find(|f| f.is_own())
    }
}

/// Everything.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Dump {
    /// What the watchdog knows.
    #[serde(flatten)]
    pub context: ReportContext,
    /// The build id of its program; empty where it has none.
    pub build: String,
    /// Every thread of the process, the stalled ones first.
    pub dump: Vec<ThreadDump>,
    /// How long the first round took, in µs.
    pub took_us: u64,
    /// Why there are no stacks at all; empty where there are.
    pub no_stacks: String,
}
