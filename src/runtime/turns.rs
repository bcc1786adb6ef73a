//! How the system shares its processors among our threads.
#![allow(unsafe_code)]

/// A thread's turn when others wait, in ns: the shortest that the system grants (Linux 6.12 and later; others
/// keep their own, some milliseconds). Who waits for a processor is then chosen by how short its turn is, and so
/// before threads of other programs that would go on for longer.
#[cfg(target_os = "linux")]
const TURN_NS: u64 = 100_000;

/// The turn of a thread that copies much: shorter ones cost it what the processor has in its cache.
#[cfg(target_os = "linux")]
const LONG_TURN_NS: u64 = 3_000_000;

/// From here on threads that are started, and this one, do not interrupt whoever runs when work comes for
/// them: they begin on an idle processor at once, else when the running thread waits or its turn is over. So a
/// thread that hands out work to many, the client of a busy poll included, is not interrupted by each of them.
/// The figures are in `src/docs/figures.md`.
pub fn do_not_interrupt_others() {
    #[cfg(target_os = "linux")]
    if !take_turns_of(TURN_NS) {
        // SAFETY: the call gets a pointer to a structure of the kernel's own layout that outlives it.
        unsafe {
            let none: libc::sched_param = std::mem::zeroed();
            let _refused_by_a_sandbox_it_costs_speed_alone =
                libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const none);
        }
    }
}

/// Does work that copies much, in long turns.
pub fn in_long_turns<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_os = "linux")]
    let were_changed = take_turns_of(LONG_TURN_NS);
    let done = work();
    #[cfg(target_os = "linux")]
    if were_changed {
        take_turns_of(TURN_NS);
    }
    done
}

/// Whether the system grants this thread turns of that length, as a thread that interrupts nobody.
#[cfg(target_os = "linux")]
fn take_turns_of(ns: u64) -> bool {
    // SAFETY: the call gets a pointer to a structure of the kernel's own layout that outlives it, filled with what
    // this policy asks for; `getpriority` takes numbers.
    unsafe {
        let attr = libc::sched_attr {
            size: size_of::<libc::sched_attr>() as u32,
            sched_policy: libc::SCHED_BATCH as u32,
            // As it was started.
            sched_nice: libc::getpriority(libc::PRIO_PROCESS, 0),
            sched_runtime: ns,
            ..std::mem::zeroed()
        };
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) == 0
    }
}
