//! `--ask`: questions on the terminal about hosts that no rule names.
//!
//! One thread asks one question at a time. Only the words below are an answer, a yes only with the
//! code that the question shows; whatever else comes out of the terminal, and silence, is none, and
//! no answer is a no.

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
            guesses: 0,
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
    /// Lines that were no answer, since the last yes.
    guesses: usize,
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
        // A program that guesses codes would hit one some day.
        if self.guesses >= GUESSES {
            return Decision::Refuse(Some("too many lines were no answers".to_owned()));
        }
        let answer = match self.ask(question) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!("cannot ask on the terminal: {error}");
                // The question is on the screen; other errors mean that the terminal is not ours.
                if error.kind() == io::ErrorKind::Other {
                    let target = message::visible(&question.target.to_string());
                    self.say(&format!("\nsrt: `{target}` is refused: {error}\n"));
                }
                return Decision::Refuse(Some("nobody could be asked".to_owned()));
            }
        };
        let decision = if answer.is_yes() {
            Decision::Approve
        } else {
            Decision::Refuse(None)
        };
        // The command can write over the question; what was answered stands below what it has written.
        self.confirm(answer, &question.target);
        if matches!(answer, Answer::Run | Answer::Always | Answer::Never) {
            self.known.insert(question.target.clone(), decision.clone());
        }
        decision
    }

    fn ask(&mut self, question: &Question) -> io::Result<Answer> {
        let target = message::visible(&question.target.to_string());
        let gave_up = || question.answer.is_closed();
        for _ in 0..ATTEMPTS {
            let code = Prompt::code()?;
            let text = format!(
                "\nsrt: the command wants to reach `{target}`, which no rule names.\n\
                 srt: allow it? `o {code}` once, `r {code}` for this run, `a {code}` always; \
                 `n` never in this run; Enter refuses: "
            );
            let line = self.prompt.ask(&text, gave_up)?;
            if gave_up() {
                self.prompt.say("\nsrt: no answer\n")?;
                return Ok(Answer::No);
            }
            match line.as_deref().map(|line| Answer::parse(line, &code)) {
                Some(Some(answer)) => {
                    if answer.is_yes() {
                        self.guesses = 0;
                    }
                    return Ok(answer);
                }
                Some(None) => {
                    self.guesses += 1;
                    if self.guesses >= GUESSES {
                        self.prompt.say(
                            "srt: too many lines were no answers; nothing is asked any more\n",
                        )?;
                        break;
                    }
                }
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
        self.say(&format!("srt: {}\n", message::visible(&said)));
    }

    /// Says what is done, whether or not it can be said.
    fn say(&self, text: &str) {
        self.prompt.say(text).unwrap_or(());
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
    /// A yes needs the code of its question: `o 123`, `once 123` or `o123`.
    fn parse(line: &str, code: &str) -> Option<Self> {
        let line = line.trim().to_ascii_lowercase();
        let end = line
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(line.len());
        let (word, given) = line.split_at(end);
        let given = given.trim_start();
        let answer = match word {
            "o" | "once" => Self::Once,
            "r" | "run" => Self::Run,
            "a" | "always" => Self::Always,
            "n" | "never" => Self::Never,
            "" | "no" => Self::No,
            _ => return None,
        };
        let is_meant = given == code || (given.is_empty() && !answer.is_yes());
        is_meant.then_some(answer)
    }

    const fn is_yes(self) -> bool {
        matches!(self, Self::Once | Self::Run | Self::Always)
    }
}

/// How often something else than an answer is asked about again.
const ATTEMPTS: usize = 3;

/// After how many lines in a row that were no answer nobody is asked any more: one chance in a
/// hundred for a program that guesses codes.
const GUESSES: usize = 10;
