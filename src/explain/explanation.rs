//! An explanation: what a user reads of an error.

use crate::explain::trust_policy::ShownPolicy;
use crate::text::Text;

/// An error, explained: one fact, the fixes, the evidence, and where to read more.
#[derive(Debug)]
pub(crate) struct Explanation {
    /// Its heading in docs/troubleshooting.md.
    pub(crate) topic: &'static str,
    pub(crate) fact: Text,
    /// Most likely first. Fixes that need only a re-run come before fixes that change the workflow file.
    pub(crate) fixes: Vec<Fix>,
    /// The evidence: what was answered, and how many attempts there were.
    pub(crate) notes: Vec<Text>,
    /// A trust policy that agrees with the fixes.
    pub(crate) policy: Option<ShownPolicy>,
}

/// What to do: one instruction, and the lines to paste for it.
#[derive(Debug, Clone)]
pub(crate) struct Fix {
    pub(crate) text: Text,
    /// Lines to paste; possibly none.
    pub(crate) lines: &'static str,
}

/// A fix in one sentence.
macro_rules! fix {
    ($($text:tt)*) => {
        $crate::explain::explanation::Fix { text: $crate::text::text!($($text)*), lines: "" }
    };
}
pub(crate) use fix;

impl Explanation {
    pub(crate) fn new(topic: &'static str, fact: Text, fixes: &[Fix]) -> Explanation {
        Explanation { topic, fact, fixes: fixes.to_vec(), notes: Vec::new(), policy: None }
    }

    pub(crate) fn note(mut self, note: impl Into<Option<Text>>) -> Explanation {
        self.notes.extend(note.into());
        self
    }

    pub(crate) fn show(self, policy: ShownPolicy) -> Explanation {
        Explanation { policy: Some(policy), ..self }
    }
}
