//! `srt doctor`: what this machine can do and see, found out by doing it.

use std::process::ExitCode;

use sandbox_core::{Diagnosis, DiagnosisError, Enforcement, Seen};
use serde_json::json;

use crate::message;

/// Something is missing.
const BAD: u8 = 1;

pub(super) fn print(json: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return message::set_up_error(&error, None),
    };
    let diagnosis = match runtime.block_on(Diagnosis::make()) {
        Ok(diagnosis) => diagnosis,
        Err(error) => return failed(&error),
    };
    let printed = if json {
        super::print_json(&as_json(&diagnosis))
    } else {
        message::print(&text(&diagnosis))
    };
    if printed == ExitCode::SUCCESS && !diagnosis.is_good() {
        return ExitCode::from(BAD);
    }
    printed
}

/// No sandbox can be set up: the error says why, and what to do.
fn failed(error: &DiagnosisError) -> ExitCode {
    let hint = if let DiagnosisError::Spawn(error) = error {
        error.hint()
    } else {
        None
    };
    // Said as a run would say it, but this is an answer, and no failure of ours.
    message::set_up_error(error, hint);
    ExitCode::from(BAD)
}

fn text(diagnosis: &Diagnosis) -> String {
    let mut lines = vec![format!("kernel: {}", diagnosis.kernel)];
    for layer in &diagnosis.layers {
        let state = state(layer.enforcement);
        lines.push(format!("{}: {state} ({})", layer.name, layer.detail));
    }
    lines.extend(
        diagnosis
            .notices
            .iter()
            .map(|text| format!("notice: {text}")),
    );
    let works = |works| if works { "works" } else { "FAILS" };
    lines.push(format!("refusing: {}", works(diagnosis.refuses)));
    lines.push(format!("telling: {}", works(diagnosis.tells)));
    for class in &diagnosis.visibility {
        let seen = match class.seen {
            Seen::Always => "seen".to_owned(),
            Seen::With(settings) => format!("seen where {settings}"),
            Seen::Never(reason) => format!("not seen: {reason}"),
        };
        lines.push(format!("refusals of {}: {seen}", class.what));
    }
    let visible = lines.iter().map(|line| message::visible(line));
    visible.map(|line| format!("{line}\n")).collect()
}

fn as_json(diagnosis: &Diagnosis) -> serde_json::Value {
    let layers = diagnosis.layers.iter().map(|layer| {
        json!({"name": layer.name, "state": state(layer.enforcement), "detail": layer.detail})
    });
    let visibility = diagnosis.visibility.iter().map(|class| {
        let (seen, detail) = match class.seen {
            Seen::Always => ("always", None),
            Seen::With(settings) => ("with-settings", Some(settings)),
            Seen::Never(reason) => ("never", Some(reason)),
        };
        json!({"what": class.what, "seen": seen, "detail": detail})
    });
    json!({
        "good": diagnosis.is_good(),
        "kernel": diagnosis.kernel,
        "layers": layers.collect::<Vec<_>>(),
        "notices": diagnosis.notices,
        "refuses": diagnosis.refuses,
        "tells": diagnosis.tells,
        "visibility": visibility.collect::<Vec<_>>(),
    })
}

fn state(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Full => "full",
        Enforcement::Partial => "partial",
        Enforcement::None => "none",
    }
}
