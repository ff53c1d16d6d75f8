//! Keys, one by one, from a terminal.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, channel},
    thread,
};

/// Keys, as long as it lives; then the terminal is as it was.
pub(crate) struct Keys {
    pressed: Receiver<char>,
    before: Termios,
}

impl Keys {
    /// Keys of the terminal at standard input; `None` where there is none.
    pub(crate) fn listen() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut now = before.clone();
        // Each key at once, and not shown. Ctrl-C stays what it is.
        now.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        tcsetattr(io::stdin(), OptionalActions::Now, &now).ok()?;
        let (send, pressed) = channel();
        // It ends with the process: nothing can take a thread back from a read of the terminal.
        thread::spawn(move || {
            let mut key = [0];
            while io::stdin().read_exact(&mut key).is_ok() && send.send(char::from(key[0])).is_ok() {}
        });
        Some(Keys { pressed, before })
    }

    /// The next key that was pressed and not looked at yet.
    pub(crate) fn next(&self) -> Option<char> {
        self.pressed.try_recv().ok()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Where the terminal is gone, there is nothing to put back.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
