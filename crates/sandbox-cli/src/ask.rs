//! `--ask`: questions on the terminal about hosts that no rule names.
//!
//! One thread asks one question at a time. Only the words below are an answer; whatever else comes
//! out of the terminal, and silence, is none, and no answer is a no.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::mpsc,
    thread,
};

use sandbox_core::{
    AbsolutePath, BoxFuture, Decide, Decision, Target,
    settings::{Settings, remember_host},
    terminal::Prompt,
};
use tokio::sync::oneshot;

use crate::message;

/// Nobody can be asked, so nothing runs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// There is no terminal, or it is others'.
    #[error("--ask needs a terminal that `srt` has in its foreground")]
    NoTerminal(#[source] io::Error),
    /// Nobody would ask.
    #[error("cannot start a thread for --ask")]
    Thread(#[source] io::Error),
}

/// Asks on the terminal.
#[derive(Debug)]
pub(crate) struct Asker {
    questions: mpsc::Sender<Question>,
}

/// Somebody waits for the answer, until the other end of the channel is gone.
#[derive(Debug)]
struct Question {
    target: Target,
    answer: oneshot::Sender<Decision>,
}

/// What the user says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Yes, for the connections that wait for it.
    Once,
    /// Yes, until the command ends.
    Run,
    /// Yes, and in the settings.
    Always,
    /// No, until the command ends.
    Never,
    /// No, for the connections that wait for it.
    No,
}

impl Asker {
    pub(crate) fn start(settings: Settings, home: Option<AbsolutePath>) -> Result<Self, AskError> {
        let prompt = Prompt::open().map_err(AskError::NoTerminal)?;
        let (questions, asked) = mpsc::channel();
        let mut desk = Desk {
            prompt,
            settings,
            home,
            known: HashMap::new(),
            waiting: VecDeque::new(),
        };
        thread::Builder::new()
            .name("ask".to_owned())
            .spawn(move || desk.serve(&asked))
            .map_err(AskError::Thread)?;
        Ok(Self { questions })
    }
}

impl Decide for Asker {
    fn decide<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Decision> {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            target: target.clone(),
            answer,
        };
        // If nobody asks any more, nobody answers either.
        self.questions.send(question).unwrap_or(());
        Box::pin(async { answered.await.unwrap_or(Decision::Refuse(None)) })
    }
}

/// Where questions are asked.
struct Desk {
    prompt: Prompt,
    settings: Settings,
    home: Option<AbsolutePath>,
    /// Answers for the rest of the run.
    known: HashMap<Target, Decision>,
    waiting: VecDeque<Question>,
}

impl Desk {
    fn serve(&mut self, asked: &mpsc::Receiver<Question>) {
        loop {
            let question = match self.waiting.pop_front() {
                Some(question) => question,
                None => match asked.recv() {
                    Ok(question) => question,
                    // The sandbox is gone.
                    Err(mpsc::RecvError) => return,
                },
            };
            if question.answer.is_closed() {
                continue;
            }
            let decision = match self.known.get(&question.target) {
                Some(decision) => decision.clone(),
                None => self.decide(&question),
            };
            // Programs try a host several times at once: one answer is for all of them.
            self.waiting.extend(asked.try_iter());
            let (same, others): (VecDeque<_>, _) = self
                .waiting
                .drain(..)
                .partition(|other| other.target == question.target);
            self.waiting = others;
            for question in [question].into_iter().chain(same) {
                // Whoever has left has been refused.
                question.answer.send(decision.clone()).unwrap_or_else(drop);
            }
        }
    }

    fn decide(&mut self, question: &Question) -> Decision {
        let answer = match self.ask(question) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!("cannot ask on the terminal: {error}");
                return Decision::Refuse(Some("nobody could be asked".to_owned()));
            }
        };
        let decision = match answer {
            Answer::Once | Answer::Run | Answer::Always => Decision::Approve,
            Answer::Never | Answer::No => Decision::Refuse(None),
        };
        // The command can write over the question; what was answered stands below what it has written.
        self.confirm(answer, &question.target);
        if matches!(answer, Answer::Run | Answer::Always | Answer::Never) {
            self.known.insert(question.target.clone(), decision.clone());
        }
        decision
    }

    fn ask(&self, question: &Question) -> io::Result<Answer> {
        let target = message::visible(&question.target.to_string());
        let text = format!(
            "\nsrt: the command wants to reach `{target}`, which no rule names.\n\
             srt: allow it? [o]nce, for this [r]un, [a]lways, [n]ever in this run; Enter refuses: "
        );
        let gave_up = || question.answer.is_closed();
        for _ in 0..ATTEMPTS {
            let line = self.prompt.ask(&text, gave_up)?;
            if gave_up() {
                self.prompt.say("\nsrt: no answer\n")?;
                return Ok(Answer::No);
            }
            match line.as_deref().map(Answer::parse) {
                Some(Some(answer)) => return Ok(answer),
                Some(None) => {}
                // The end of the line that was broken off.
                None => {
                    self.prompt.say("\n")?;
                    break;
                }
            }
        }
        Ok(Answer::No)
    }

    /// Does what the answer wants beyond this run, and says what was answered.
    fn confirm(&self, answer: Answer, target: &Target) {
        let said = match answer {
            Answer::Once => format!("`{target}` is allowed once"),
            Answer::Run => format!("`{target}` is allowed for this run"),
            Answer::Always => self.remember(target),
            Answer::Never => format!("`{target}` is refused for this run"),
            Answer::No => format!("`{target}` is refused"),
        };
        let line = format!("srt: {}\n", message::visible(&said));
        // It is done whether or not it can be said.
        self.prompt.say(&line).unwrap_or(());
    }

    fn remember(&self, target: &Target) -> String {
        match remember_host(&self.settings, self.home.as_ref(), target) {
            Ok(path) => format!("`{target}` is allowed in `{}` from now on", path.display()),
            Err(error) => {
                let cause = std::error::Error::source(&error)
                    .map_or_else(String::new, |cause| format!(": {cause}"));
                format!("`{target}` is allowed for this run only: {error}{cause}")
            }
        }
    }
}

impl Answer {
    fn parse(line: &str) -> Option<Self> {
        match line.trim().to_ascii_lowercase().as_str() {
            "o" | "once" => Some(Self::Once),
            "r" | "run" => Some(Self::Run),
            "a" | "always" => Some(Self::Always),
            "n" | "never" => Some(Self::Never),
            "" | "no" => Some(Self::No),
            _ => None,
        }
    }
}

/// How often something else than an answer is asked about again.
const ATTEMPTS: usize = 3;
