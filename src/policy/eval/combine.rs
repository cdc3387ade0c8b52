//! How the answers of all policies become one outcome. A pure function: the order of the answers does not matter, and no
//! policy can hide another's refusal.

use crate::domain::decision::{Answer, Hook, Mode, Outcome, Reason, Verdict};

/// What a set's answers come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Combined {
    /// The outcome.
    pub outcome: Outcome,
    /// The policy whose verdict determined the outcome; `None` when none objected.
    pub policy: Option<String>,
    /// Its reason.
    pub reason: Option<Reason>,
    /// The text of a reply.
    pub reply: Option<String>,
}

/// Combines the verdicts of one hook. Only those of policies in [`Mode::Enforce`] count.
///
/// Authorization and wake: `deny > error > escalate > allow > abstain`; nobody objecting means allowed. A policy that failed can
/// therefore hide neither a refusal nor be hidden by a wish to escalate: the call fails closed.
///
/// Review: `escalate > error > ignore > reply > pass`; a failure goes to a person as an escalation does, but under its own
/// name. Among equals the policy whose name sorts first is named.
#[must_use]
pub(super) fn combine(hook: Hook, verdicts: &[Verdict]) -> Combined {
    let carried = verdicts
        .iter()
        .filter(|verdict| verdict.mode == Mode::Enforce)
        .map(|verdict| (weigh(hook, &verdict.answer), verdict))
        .filter(|((rank, _), _)| *rank > 0)
        .max_by(|((a_rank, _), a), ((b_rank, _), b)| a_rank.cmp(b_rank).then_with(|| tie(b, a)));
    match carried {
        None => Combined { outcome: nobody_objected(hook), policy: None, reason: None, reply: None },
        Some(((_, outcome), verdict)) => {
            let (reason, reply) = match &verdict.answer {
                Answer::Deny(reason) | Answer::Escalate(reason) | Answer::Ignore(reason) => {
                    (Some(reason.clone()), None)
                }
                Answer::Reply { text } => (None, Some(text.clone())),
                Answer::Abstain | Answer::Allow | Answer::Pass | Answer::Error { .. } => (None, None),
            };
            Combined { outcome, policy: Some(verdict.policy.clone()), reason, reply }
        }
    }
}

/// What the verdicts would have come to had `candidate` decided too, in the place of the policies `without`.
#[must_use]
pub fn what_if(hook: Hook, verdicts: &[Verdict], without: &[&str], candidate: Option<Verdict>) -> Combined {
    let kept = verdicts.iter().filter(|verdict| !without.contains(&verdict.policy.as_str())).cloned();
    let candidate = candidate.map(|verdict| Verdict { mode: Mode::Enforce, ..verdict });
    combine(hook, &kept.chain(candidate).collect::<Vec<_>>())
}

const fn nobody_objected(hook: Hook) -> Outcome {
    match hook {
        Hook::Authorization | Hook::Wake => Outcome::Allow,
        Hook::Review => Outcome::Pass,
    }
}

/// The rank of an answer in its hook, and what it comes to if it carries the day; rank 0 is no objection. An answer that
/// does not belong to the hook is a failure of the policy.
const fn weigh(hook: Hook, answer: &Answer) -> (u8, Outcome) {
    match (hook, answer) {
        (Hook::Authorization | Hook::Wake, Answer::Abstain | Answer::Allow)
        | (Hook::Review, Answer::Pass) => (0, nobody_objected(hook)),
        (Hook::Authorization | Hook::Wake, Answer::Deny(_)) => (4, Outcome::Deny),
        (Hook::Authorization | Hook::Wake, Answer::Escalate(_)) => (2, Outcome::Escalate),
        (Hook::Review, Answer::Escalate(_)) => (4, Outcome::Escalate),
        (Hook::Review, Answer::Ignore(_)) => (2, Outcome::Ignore),
        (Hook::Review, Answer::Reply { .. }) => (1, Outcome::Reply),
        _ => (3, Outcome::Error),
    }
}

/// Which of two answers of equal rank comes first: by name, and, should one name come twice, by what they say.
fn tie(a: &Verdict, b: &Verdict) -> std::cmp::Ordering {
    fn said(answer: &Answer) -> (&str, &str) {
        match answer {
            Answer::Deny(reason) | Answer::Escalate(reason) | Answer::Ignore(reason) => {
                (&reason.code, &reason.message)
            }
            Answer::Reply { text } => (text, ""),
            Answer::Error { detail, .. } => (detail, ""),
            Answer::Abstain | Answer::Allow | Answer::Pass => ("", ""),
        }
    }
    a.policy
        .cmp(&b.policy)
        .then_with(|| a.module.cmp(&b.module))
        .then_with(|| said(&a.answer).cmp(&said(&b.answer)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::decision::PolicyErrorKind;

    fn reason() -> impl Strategy<Value = Reason> {
        "[a-c]".prop_map(|code| Reason { message: format!("because {code}"), code, notes: vec![] })
    }

    fn answer(hook: Hook) -> BoxedStrategy<Answer> {
        let error = Just(Answer::Error { kind: PolicyErrorKind::Trap, detail: "trap".into() });
        match hook {
            Hook::Authorization | Hook::Wake => prop_oneof![
                Just(Answer::Abstain),
                Just(Answer::Allow),
                reason().prop_map(Answer::Deny),
                reason().prop_map(Answer::Escalate),
                error,
            ]
            .boxed(),
            Hook::Review => prop_oneof![
                Just(Answer::Pass),
                "[a-c]".prop_map(|text| Answer::Reply { text }),
                reason().prop_map(Answer::Ignore),
                reason().prop_map(Answer::Escalate),
                error,
            ]
            .boxed(),
        }
    }

    fn verdicts(hook: Hook) -> impl Strategy<Value = Vec<Verdict>> {
        let mode = prop_oneof![3 => Just(Mode::Enforce), 1 => Just(Mode::Shadow)];
        prop::collection::vec(("[a-f]", mode, answer(hook)), 0..8).prop_map(|all| {
            all.into_iter()
                .map(|(policy, mode, answer)| Verdict {
                    policy,
                    module: String::new(),
                    settings: String::new(),
                    mode,
                    answer,
                    fuel: 0,
                    micros: 0,
                })
                .collect()
        })
    }

    fn any_hook() -> impl Strategy<Value = (Hook, Vec<Verdict>, Vec<Verdict>)> {
        prop_oneof![Just(Hook::Authorization), Just(Hook::Review), Just(Hook::Wake)]
            .prop_flat_map(|hook| (Just(hook), verdicts(hook), verdicts(hook)))
    }

    proptest! {
        #[test]
        fn order_does_not_matter((hook, mut all, _) in any_hook(), seed in any::<u64>()) {
            let before = combine(hook, &all);
            let len = all.len().max(1) as u64;
            for i in 0..all.len() {
                all.swap(i, usize::try_from((seed >> (i % 60)) % len).unwrap());
            }
            prop_assert_eq!(combine(hook, &all), before);
        }

        #[test]
        fn duplicates_do_not_matter((hook, mut all, _) in any_hook()) {
            let before = combine(hook, &all);
            all.extend(all.clone());
            prop_assert_eq!(combine(hook, &all), before);
        }

        #[test]
        fn a_deny_never_disappears((hook, mut all, more) in any_hook()) {
            let before = combine(hook, &all).outcome;
            all.extend(more);
            if before == Outcome::Deny {
                prop_assert_eq!(combine(hook, &all).outcome, Outcome::Deny);
            }
        }

        #[test]
        fn escalations_never_disappear_in_combining((_, mut all, more) in any_hook().prop_filter(
            "escalation", |(hook, _, _)| *hook == Hook::Review)) {
            let before = combine(Hook::Review, &all).outcome;
            all.extend(more);
            if matches!(before, Outcome::Escalate | Outcome::Error) {
                let after = combine(Hook::Review, &all).outcome;
                prop_assert!(matches!(after, Outcome::Escalate | Outcome::Error));
            }
        }

        #[test]
        fn no_objection_means_allow((hook, all, _) in any_hook()) {
            let objects = all.iter().any(|v| v.mode == Mode::Enforce
                && !matches!(v.answer, Answer::Abstain | Answer::Allow | Answer::Pass));
            let outcome = combine(hook, &all).outcome;
            prop_assert_eq!(!objects, matches!(outcome, Outcome::Allow | Outcome::Pass));
        }

        #[test]
        fn shadow_affects_nothing((hook, all, _) in any_hook()) {
            let enforced: Vec<_> = all.iter().filter(|v| v.mode == Mode::Enforce).cloned().collect();
            prop_assert_eq!(combine(hook, &all), combine(hook, &enforced));
        }
    }
}
