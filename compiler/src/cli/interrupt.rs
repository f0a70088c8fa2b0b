//! Ctrl-C, and the signal that asks a process to end: the first lets the work at hand end well, the second ends at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag, low_level,
};

/// What arrived.
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// From here on signals are heard instead of ending the program.
    pub fn listen() -> io::Result<Interrupt> {
        let (asked, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for signal in [SIGINT, SIGTERM] {
            // What was registered first comes first: nothing was asked for when the first signal arrives.
            flag::register_conditional_shutdown(signal, 128 + signal, asked.clone())?;
            flag::register(signal, asked.clone())?;
            flag::register_usize(signal, heard.clone(), signal as usize)?;
        }
        Ok(Interrupt(heard))
    }
    /// Whether one has arrived.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }
    /// Ends the program as the signal would have done, so that whoever started it sees that it was stopped.
    pub fn end(&self) -> ! {
        let signal = self.0.load(Ordering::Relaxed) as i32;
        let _ = low_level::emulate_default_handler(signal);
        std::process::exit(128 + signal)
    }
}
