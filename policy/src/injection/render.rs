//! From a sidecar's templates to what it brings for this pod.
//!
//! Everything is rendered before anything is edited, so every expression sees the pod as it came.

use std::borrow::Cow;

use serde_json::Value;

use super::handlers::Handler;
use super::reason::Reason;
use super::scope::{Definitions, LISTS, RequestScope, With};
use super::{adapt, handlers, overrides};
use crate::expression::template::RenderError;
use crate::expression::{Budget, Scope};
use crate::read::describe;
use crate::settings::{
    Application, Computable, Form, HandlerRewrite, InjectedContainer, JobFallback, Overridable, Piece, Position,
    Settings, Sidecar, Sizing, Validation, Version,
};

/// What the expressions of one sidecar may cost for one pod; the largest catalogue entry spends a hundredth of it.
const EXPRESSION_UNITS: u64 = 500_000;

/// What one sidecar brings for this pod.
#[derive(Debug, Default)]
pub(super) struct Rendering<'s> {
    pub(super) containers: Vec<RenderedContainer<'s>>,
    pub(super) volumes: Vec<Piece<'s>>,
    pub(super) labels: Vec<Piece<'s>>,
    pub(super) annotations: Vec<Piece<'s>>,
    pub(super) removed_annotations: Vec<Piece<'s>>,
    pub(super) removed_labels: Vec<Piece<'s>>,
    pub(super) pod: Vec<Piece<'s>>,
    pub(super) applications: Vec<RenderedApplication<'s>>,
}

#[derive(Debug)]
pub(super) struct RenderedContainer<'s> {
    pub(super) form: Form,
    pub(super) position: Cow<'s, Position>,
    pub(super) overridable: Option<&'s Overridable>,
    pub(super) sizing: Option<&'s Sizing>,
    /// What stands whatever an override says.
    pub(super) fixed: Option<Value>,
    pub(super) piece: Piece<'s>,
}

/// What changes in one of the user's own containers.
#[derive(Debug)]
pub(super) struct RenderedApplication<'s> {
    pub(super) list: &'static str,
    pub(super) container: String,
    pub(super) env: Vec<Piece<'s>>,
    pub(super) env_from: Vec<Piece<'s>>,
    pub(super) volume_mounts: Vec<Piece<'s>>,
    pub(super) lifecycle: Vec<Piece<'s>>,
    /// Places of the container whose value is made from the one that was there.
    pub(super) rewritten: Vec<Rewritten<'s>>,
}

/// One place of a container that gets another value.
#[derive(Debug)]
pub(super) struct Rewritten<'s> {
    pub(super) path: Vec<String>,
    /// What the user has there.
    pub(super) was: Option<Value>,
    pub(super) piece: Piece<'s>,
}

/// Why a sidecar does not come to be injected after all.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) details: Vec<String>,
    /// Whether the document itself asks for a denial here, required or not.
    pub(super) deny: bool,
}

impl Failure {
    pub(super) fn new(reason: Reason, details: Vec<String>) -> Self {
        Self { reason, details, deny: false }
    }
}

/// Whether the sidecar's own condition holds.
pub(super) fn holds(sidecar: &Sidecar, request: &RequestScope<'_>) -> Result<bool, Failure> {
    let mut budget = Budget::new(EXPRESSION_UNITS);
    Ok(sidecar.when.as_ref().map_or(Ok(true), |condition| condition.holds(request, &mut budget))?)
}

/// Renders one version of a sidecar.
pub(super) fn render<'s>(
    request: &RequestScope<'_>,
    settings: &Settings,
    sidecar: &Sidecar,
    version: &'s Version,
    completes: bool,
) -> Result<Rendering<'s>, Failure> {
    let mut budget = Budget::new(EXPRESSION_UNITS);
    let overrides = Value::Object(overrides::evaluate(&sidecar.overrides, request.pod().annotations())?);
    let request_with_overrides = With { outer: request, name: "overrides", value: &overrides };
    let scope = Definitions::new(&request_with_overrides, &version.definitions);
    validate(&version.validations, &scope, &mut budget)?;
    let inject = &version.inject;
    let mut rendering = Rendering::default();
    for container in &inject.containers {
        let pieces = container.pieces.render(&scope, &mut budget)?;
        if pieces.is_empty() {
            continue;
        }
        let form = form_of(container, settings, completes, &scope, &mut budget)?;
        let position = match &container.position {
            Computable::Fixed(position) => Cow::Borrowed(position),
            Computable::Computed(template) => {
                let position = Position::of(&template.render(&scope, &mut budget)?.unwrap_or_default());
                Cow::Owned(position.map_err(|detail| Failure::new(Reason::ExpressionFailed, vec![detail]))?)
            }
        };
        let fixed = container.fixed.as_ref().map(|fixed| fixed.render(&scope, &mut budget)).transpose()?.flatten();
        rendering.containers.extend(pieces.into_iter().map(|piece| RenderedContainer {
            form,
            position: position.clone(),
            overridable: container.overridable.as_ref(),
            sizing: container.sizing.as_ref(),
            fixed: fixed.clone(),
            piece: in_form(piece, container, form, settings),
        }));
    }
    adapt::containers(&mut rendering.containers, request, &sidecar.overrides, &overrides)?;
    rendering.volumes = inject.volumes.render(&scope, &mut budget)?;
    rendering.labels = inject.labels.render(&scope, &mut budget)?;
    rendering.annotations = inject.annotations.render(&scope, &mut budget)?;
    rendering.removed_annotations = inject.removed_annotations.render(&scope, &mut budget)?;
    rendering.removed_labels = inject.removed_labels.render(&scope, &mut budget)?;
    rendering.pod = inject.pod.render(&scope, &mut budget)?;
    // Going through the containers is for those who change them.
    let lists = if inject.applications.is_empty() { &[][..] } else { &LISTS[..] };
    for &(list, init) in lists {
        for (name, container) in request.own(list) {
            for application in inject.applications.iter().filter(|one| one.select.selects(name, init)) {
                let scope = With { outer: &scope, name: "container", value: container };
                if !application.when.as_ref().map_or(Ok(true), |when| when.holds(&scope, &mut budget))? {
                    continue;
                }
                rendering.applications.push(RenderedApplication {
                    list,
                    container: name.to_owned(),
                    env: application.env.render(&scope, &mut budget)?,
                    env_from: application.env_from.render(&scope, &mut budget)?,
                    volume_mounts: application.volume_mounts.render(&scope, &mut budget)?,
                    lifecycle: application.lifecycle.render(&scope, &mut budget)?,
                    rewritten: rewrite(application, container, (name, init), &scope, &mut budget)?,
                });
            }
        }
    }
    Ok(rendering)
}

fn validate(validations: &[Validation], scope: &dyn Scope, budget: &mut Budget) -> Result<(), Failure> {
    let mut broken = Vec::new();
    for validation in validations {
        if !validation.expression.holds(scope, budget)? {
            broken.push(match validation.message.render(scope, budget)? {
                Some(Value::String(message)) => message,
                other => other.unwrap_or_default().to_string(),
            });
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(Failure::new(Reason::ValidationFailed, broken)) }
}

/// What a container runs as in this cluster and for this kind of workload.
fn form_of(
    container: &InjectedContainer,
    settings: &Settings,
    completes: bool,
    scope: &dyn Scope,
    budget: &mut Budget,
) -> Result<Form, Failure> {
    let form = match &container.form {
        Computable::Fixed(form) => *form,
        Computable::Computed(template) => {
            let name = template.render(scope, budget)?.unwrap_or_default();
            let wrong = || format!("`form`: expected sidecar, init or container, found {}", describe(&name));
            let form = name.as_str().and_then(Form::named);
            form.ok_or_else(|| Failure::new(Reason::ExpressionFailed, vec![wrong()]))?
        }
    };
    match (form, settings.cluster.native_sidecars, container.fallback.jobs) {
        (Form::Sidecar, false, JobFallback::Skip | JobFallback::Reject) if completes => {
            let mut failure = Failure::new(Reason::JobWithoutNativeSidecars, Vec::new());
            failure.deny = container.fallback.jobs == JobFallback::Reject;
            Err(failure)
        }
        (Form::Sidecar, false, _) => Ok(container.fallback.form),
        (form, _, _) => Ok(form),
    }
}

/// A container whose form was worked out, with the restart policy that goes with it.
fn in_form<'s>(piece: Piece<'s>, container: &InjectedContainer, form: Form, settings: &Settings) -> Piece<'s> {
    let native = form == Form::Sidecar && settings.cluster.native_sidecars;
    if !native || matches!(container.form, Computable::Fixed(_)) || piece.value.get("restartPolicy").is_some() {
        return piece;
    }
    piece.change(|value| {
        if let Value::Object(value) = value {
            value.insert("restartPolicy".to_owned(), Value::from("Always"));
        }
    })
}

/// What is made from values that are there: handlers that lead elsewhere, and fields that are set.
fn rewrite<'s>(
    application: &'s Application,
    container: &Value,
    (name, init): (&str, bool),
    scope: &dyn Scope,
    budget: &mut Budget,
) -> Result<Vec<Rewritten<'s>>, Failure> {
    let mut rewritten = Vec::new();
    if !application.handlers.is_empty() {
        for handler in handlers::of_container(name, container, init) {
            let scope = With { outer: scope, name: "handler", value: &handler.record };
            rewritten.extend(rewrite_handler(&application.handlers, &handler, &scope, budget)?);
        }
    }
    for piece in application.set.render(scope, budget)? {
        let was = container.get(&*piece.key).cloned();
        rewritten.push(Rewritten { path: vec![piece.key.to_string()], was, piece });
    }
    Ok(rewritten)
}

/// A handler by the first rule that fits it.
fn rewrite_handler<'s>(
    rules: &[HandlerRewrite],
    handler: &Handler<'_>,
    scope: &dyn Scope,
    budget: &mut Budget,
) -> Result<Option<Rewritten<'s>>, Failure> {
    let Handler { of, kind, probe, .. } = handler;
    for rule in rules.iter().filter(|rule| rule.of.contains(of) && rule.kinds.contains(kind)) {
        if !rule.when.as_ref().map_or(Ok(true), |when| when.holds(scope, budget))? {
            continue;
        }
        let Some(Value::Object(to)) = rule.to.render(scope, budget)? else { return Ok(None) };
        let piece = Piece::of(handlers::rewritten(probe, to));
        let path = of.path().iter().map(|key| (*key).to_owned()).collect();
        return Ok(Some(Rewritten { path, was: Some((*probe).clone()), piece }));
    }
    Ok(None)
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Self {
        let place = crate::read::dotted(&error.path);
        let at = if place.is_empty() { "" } else { " at " };
        let detail = format!("`{}`{at}{place}: {}", error.expression, error.message);
        Self::new(Reason::ExpressionFailed, vec![detail])
    }
}
