//! Stacks as flame-graph tools read them: `thread;outermost;…;innermost count`. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::dump::Dump;

/// One line for each different stack; threads of a pool (`http-1`, `http-2`) are one.
#[must_use]
pub fn folded(dump: &Dump) -> String {
    let mut stacks: BTreeMap<String, usize> = BTreeMap::new();
    for thread in dump.dump.iter().filter(|t| !t.frames.is_empty()) {
        let pool = thread
            .name
            .trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        let mut stack = pool.replace(';', ":");
        for frame in thread.frames.iter().rev() {
            // The separator inside a name would be a frame of its own.
            let _ = write!(stack, ";{}", frame.function.replace(';', ":"));
        }
        *stacks.entry(stack).or_default() += 1;
    }
    let mut out = String::new();
    for (stack, count) in stacks {
        let _ = writeln!(out, "{stack} {count}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::dump::{StackFrame, ThreadDump};
    use super::*;

    #[test]
    fn threads_of_a_pool_with_the_same_stack_are_counted() {
        let thread = |name: &str| ThreadDump {
            name: name.into(),
            frames: ["inner", "[u8; 4]"]
                .map(|f| StackFrame {
                    function: f.into(),
                    ..StackFrame::default()
                })
                .into(),
            ..ThreadDump::default()
        };
        let dump = Dump {
            dump: vec![thread("http-1"), thread("http-2"), thread("main")],
            ..Dump::default()
        };
        assert_eq!(
            folded(&dump),
            "http;[u8: 4];inner 2\nmain;[u8: 4];inner 1\n"
        );
    }
}
