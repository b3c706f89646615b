//! `srt trust`: records the project's settings files, as they are, as trusted.

use std::process::ExitCode;

use sandbox_core::settings::{LoadedFile, Settings, trust_files};

use crate::{env::Environment, invocation::Options, load, message, render};

pub(crate) fn trust(options: &Options, environment: &Environment, dry_run: bool) -> ExitCode {
    let settings = match load::load(options, environment) {
        Ok(settings) => settings,
        Err(errors) => return render::settings_errors(&errors),
    };
    let files: Vec<LoadedFile> = settings.untrusted_files().cloned().collect();
    if files.is_empty() {
        return message::print(
            "Nothing to trust: no settings file of this project is held back.\n",
        );
    }
    if !dry_run {
        let Some(store) = &environment.trust_store else {
            return message::set_up_error(&load::NoTrustStore, None);
        };
        if let Err(error) = trust_files(store, &files) {
            return message::set_up_error(&error, None);
        }
    }
    message::print(&listed(
        &settings,
        &files,
        if dry_run { "Would trust" } else { "Trusted" },
    ))
}

fn listed(settings: &Settings, files: &[LoadedFile], verb: &str) -> String {
    let mut text = String::new();
    for file in files {
        let path = file.path.display().to_string();
        text.push_str(&format!("{verb} {}\n", message::visible(&path)));
        for entry in settings
            .held_back
            .iter()
            .filter(|entry| entry.file == file.path)
        {
            text.push_str(&format!(
                "  line {}: {}\n",
                entry.line,
                message::visible(&entry.what)
            ));
        }
    }
    text
}
