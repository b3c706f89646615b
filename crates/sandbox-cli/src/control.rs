//! `--control-fd`: network rules that change while the command runs.
//!
//! Whoever started `srt` writes complete settings, one JSON object a line; what they say about hosts
//! takes the place of what `--settings` said. A line that is wrong changes nothing, and so does the
//! channel's end or failure.

use std::{
    io::{self, BufRead as _, BufReader, Read as _},
    thread,
};

use sandbox_core::{
    Inherited, NetworkControl,
    settings::{NetworkLine, Settings, SettingsErrors},
};

use crate::message;

/// The channel can't be used, so nothing runs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// There is no such descriptor, or it can't be read.
    #[error("--control-fd {number} is not usable")]
    Unusable {
        number: i32,
        #[source]
        source: io::Error,
    },
    /// Nobody would read it.
    #[error("cannot start a thread for --control-fd")]
    Thread(#[source] io::Error),
}

/// The channel before the sandbox is there.
#[derive(Debug)]
pub(crate) struct Channel {
    number: i32,
    lines: BufReader<Inherited>,
}

impl Channel {
    pub(crate) fn open(number: i32) -> Result<Self, ControlError> {
        let descriptor =
            Inherited::open(number).map_err(|source| ControlError::Unusable { number, source })?;
        Ok(Self {
            number,
            lines: BufReader::new(descriptor),
        })
    }

    /// Follows the channel to its end, on a thread of its own.
    pub(crate) fn follow(
        self,
        settings: Settings,
        control: NetworkControl,
    ) -> Result<(), ControlError> {
        let follow = move || self.read_all(&settings, &control);
        thread::Builder::new()
            .name("control-fd".to_owned())
            .spawn(follow)
            .map(drop)
            .map_err(ControlError::Thread)
    }

    fn read_all(mut self, settings: &Settings, control: &NetworkControl) {
        let number = self.number;
        let mut line = Vec::new();
        loop {
            line.clear();
            match self.next(&mut line) {
                Ok(0) => return,
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => apply(number, &line, settings, control),
                Err(error) => {
                    let text = format!(
                        "control fd {number} failed, its last config stays in force: {error}"
                    );
                    return message::notice(&text);
                }
            }
        }
    }

    /// Reads a line and its end; of one that is too long, something that is no settings.
    fn next(&mut self, line: &mut Vec<u8>) -> io::Result<usize> {
        let mut limited = self.lines.by_ref().take(LONGEST_LINE);
        let length = limited.read_until(b'\n', line)?;
        if limited.limit() == 0 && line.last() != Some(&b'\n') {
            self.lines.skip_until(b'\n')?;
            line.clear();
            line.extend_from_slice(b"longer than any settings");
        }
        Ok(length)
    }
}

fn apply(number: i32, line: &[u8], settings: &Settings, control: &NetworkControl) {
    let channel = format!("control fd {number}");
    let text = match str::from_utf8(line) {
        Ok(text) => text.trim(),
        Err(error) => return refuse(number, &error.to_string()),
    };
    let channel = NetworkLine {
        channel: &channel,
        text,
    };
    match settings.network_update(&channel) {
        Ok(update) => {
            control.replace(update.policy);
            tracing::debug!("control fd {number}: network rules replaced");
            if !update.unjoined.is_empty() {
                let ports: Vec<_> = update.unjoined.iter().map(ToString::to_string).collect();
                message::notice(&format!(
                    "control fd {number}: ports of the host's loopback are joined when a command starts, so {} can be reached by the proxies alone",
                    ports.join(", ")
                ));
            }
            if update.not_live > 0 {
                message::notice(&format!(
                    "control fd {number}: only rules about hosts change while a command runs, so some of the line do not hold: {}",
                    update.not_live
                ));
            }
        }
        Err(SettingsErrors(errors)) => {
            let first = errors.first().map(|error| error.kind.to_string());
            refuse(number, &first.unwrap_or_else(|| "not settings".to_owned()));
        }
    }
}

fn refuse(number: i32, reason: &str) {
    message::say(format_args!(
        "Invalid config on control fd {number}: ignored, previous config still in force: {}",
        message::visible(reason)
    ));
}

/// As long as a settings file may be.
const LONGEST_LINE: u64 = 4 * 1024 * 1024;
