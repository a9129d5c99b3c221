//! Does a rollout bring every member that it is about somewhere, and only one rollout each?

use super::super::member::Member;
use super::super::sidecar::Sidecar;
use super::super::{Source, SourceProblem, place};
use super::Rollout;

/// So many members are named in a message.
const NAMED: usize = 5;

/// Everything that is wrong with the rollouts as a whole, in their order.
pub(in super::super) fn check(
    rollouts: &[Rollout],
    sidecars: &[Sidecar],
    members: &[Member],
    sources: &[Source],
) -> Vec<SourceProblem> {
    let mut problems = Vec::new();
    for (position, rollout) in rollouts.iter().enumerate() {
        let about: Vec<&Member> = members.iter().filter(|member| rollout.is_about(member, sidecars)).collect();
        problems.extend(orphans(rollout, &about));
        for (index, stage) in rollout.stages.iter().enumerate() {
            problems.extend(idle_or_repeated(rollout, index, stage.members.is_some(), &about));
        }
        for (index, sidecar) in rollout.sidecars.iter().enumerate() {
            let earlier = rollouts.iter().take(position).filter(|other| other.sidecars.contains(sidecar));
            let gets = |member: &Member| {
                sidecars.iter().any(|one| one.name == *sidecar && member.selected_by(&one.members))
                    && member.selected_by(&rollout.members)
            };
            for other in earlier {
                let both: Vec<&str> = members
                    .iter()
                    .filter(|member| gets(member) && member.selected_by(&other.members))
                    .map(|member| member.name.as_str())
                    .collect();
                if !both.is_empty() {
                    let (name, at) = (&other.name, place(sources, other.document));
                    let message = format!("the Rollout `{name}` in {at} moves `{sidecar}` of {} too", listed(&both));
                    let hint = "let the `members` of the two select different clusters, or make one of them";
                    let pointer = format!("/spec/sidecars/{index}");
                    problems.push(SourceProblem::at(rollout.document, pointer, message, Some(hint.to_owned())));
                }
            }
        }
    }
    problems
}

impl Rollout {
    /// A member that it selects and that gets one of its sidecars.
    fn is_about(&self, member: &Member, sidecars: &[Sidecar]) -> bool {
        let mut moved = sidecars.iter().filter(|sidecar| self.sidecars.contains(&sidecar.name));
        member.selected_by(&self.members) && moved.any(|sidecar| member.selected_by(&sidecar.members))
    }

    /// The stages that name a member, by their positions.
    fn stages_of(&self, member: &Member) -> impl Iterator<Item = usize> {
        let selects = |members: &Option<_>| members.as_ref().is_some_and(|members| member.selected_by(members));
        self.stages.iter().enumerate().filter(move |(_, stage)| selects(&stage.members)).map(|(index, _)| index)
    }
}

/// The members that no stage reaches.
fn orphans(rollout: &Rollout, about: &[&Member]) -> Option<SourceProblem> {
    let takes_the_rest = rollout.stages.iter().any(|stage| stage.members.is_none());
    let left_out: Vec<&str> = about
        .iter()
        .filter(|member| rollout.stages_of(member).next().is_none())
        .map(|member| member.name.as_str())
        .collect();
    if takes_the_rest || left_out.is_empty() {
        return None;
    }
    let message = format!("no stage reaches {}, which {} its sidecars", listed(&left_out), gets(&left_out));
    let hint = "add a last stage without `members`, which takes every member that no other selects";
    Some(SourceProblem::at(rollout.document, "/spec/stages", message, Some(hint.to_owned())))
}

/// A stage that reaches nobody, or a member that an earlier stage reaches already.
fn idle_or_repeated(rollout: &Rollout, index: usize, names_members: bool, about: &[&Member]) -> Option<SourceProblem> {
    let problem = |key: &str, message: String, hint: &str| {
        let pointer = format!("/spec/stages/{index}{key}");
        Some(SourceProblem::at(rollout.document, pointer, message, Some(hint.to_owned())))
    };
    if !names_members {
        let another = rollout.stages.iter().take(index).find(|stage| stage.members.is_none())?;
        let message = format!("expected `members`, because the stage `{}` has none", another.name);
        return problem("", message, "one stage takes what the others leave");
    }
    let own: Vec<&&Member> = about.iter().filter(|member| rollout.stages_of(member).any(|one| one == index)).collect();
    if own.is_empty() {
        let message = format!("selects no member that gets {}", rollout.sidecars.join(" or "));
        return problem("/members", message, "take the stage out, or change what it selects");
    }
    let earlier = |member: &&&&Member| rollout.stages_of(member).any(|one| one < index);
    let twice: Vec<&str> = own.iter().filter(earlier).map(|member| member.name.as_str()).collect();
    let first = own.iter().find(earlier).and_then(|member| rollout.stages_of(member).next());
    let first = first.and_then(|first| rollout.stages.get(first))?;
    let message = format!("{} stands in the stage `{}` already", listed(&twice), first.name);
    problem("/members", message, "each member stands in one stage; `percent` has its steps")
}

/// The first few names, and how many there are besides.
fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    match names.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

fn gets(names: &[&str]) -> &'static str {
    if names.len() == 1 { "gets" } else { "get" }
}
