//! From registers and a copied stack to return addresses.

use std::sync::Arc;

use framehop::{FrameAddress, Unwinder};

use super::modules::{Files, Mapped, OwnMaps};

// Also where nothing is captured: dumps are mostly of this kind of machine.
#[cfg(not(target_arch = "aarch64"))]
use framehop::x86_64::{CacheX86_64 as Cache, UnwindRegsX86_64 as Regs, UnwinderX86_64 as Native};

#[cfg(target_arch = "aarch64")]
use framehop::aarch64::{
    CacheAarch64 as Cache, UnwindRegsAarch64 as Regs, UnwinderAarch64 as Native,
};

/// Deeper stacks are cut.
pub const FRAMES_MAX: usize = 256;

/// Walks stacks of one process.
pub struct Walker {
    unwinder: Native<Arc<[u8]>>,
    cache: Cache,
}

/// A walked stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// The interrupted instruction, then return addresses, outwards.
    pub addresses: Vec<u64>,
    /// Whether it did not come to the thread's first frame.
    pub truncated: bool,
}

impl Walker {
    /// Reads what it needs of the files.
    #[must_use]
    pub fn new(mapped: &[Mapped], files: &mut Files, own: &OwnMaps) -> Self {
        let mut unwinder = Native::new();
        for module in mapped.iter().filter_map(|m| files.module(m, own)) {
            unwinder.add_module(module);
        }
        Self {
            unwinder,
            cache: Cache::new(),
        }
    }

    /// Walks one stack, `stack` being the bytes from the stack pointer up.
    pub fn walk(&mut self, registers: [u64; 4], stack: &[u8]) -> Walked {
        let [ip, sp, fp, lr] = registers;
        let mut read = |address: u64| {
            let at = usize::try_from(address.wrapping_sub(sp)).map_err(|_| ())?;
            let word = stack.get(at..at.checked_add(8).ok_or(())?).ok_or(())?;
            Ok(u64::from_le_bytes(word.try_into().map_err(|_| ())?))
        };
        let mut frames =
            self.unwinder
                .iter_frames(ip, regs(ip, sp, fp, lr), &mut self.cache, &mut read);
        let mut walked = Walked::default();
        loop {
            let address = match frames.next() {
                Ok(None) => return walked,
                Ok(Some(_)) | Err(_) if walked.addresses.len() >= FRAMES_MAX => None,
                Ok(Some(FrameAddress::InstructionPointer(address))) => Some(address),
                Ok(Some(FrameAddress::ReturnAddress(address))) => Some(address.get()),
                Err(_) => None,
            };
            let Some(address) = address else {
                walked.truncated = true;
                return walked;
            };
            walked.addresses.push(address);
        }
    }
}

#[cfg(not(target_arch = "aarch64"))]
fn regs(ip: u64, sp: u64, fp: u64, _: u64) -> Regs {
    Regs::new(ip, sp, fp)
}

#[cfg(target_arch = "aarch64")]
fn regs(_: u64, sp: u64, fp: u64, lr: u64) -> Regs {
    Regs::new(lr, sp, fp)
}
