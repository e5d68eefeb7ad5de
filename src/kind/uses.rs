//! References between components.

use super::{Key, Kind};

/// What a recipe names components of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// `[vectors.NAME]`.
    Vectors,
    /// `[identifier.NAME]`.
    Identifier,
    /// `[model.NAME]`.
    Model,
    /// `[[train]]`.
    Train,
    /// `[[system]]`.
    System,
}

impl Family {
    /// The word for one of them in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Vectors => "vectors",
            Self::Identifier => "identifier",
            Self::Model => "model",
            Self::Train => "training",
            Self::System => "system",
        }
    }

    /// How a recipe defines the one of this name.
    pub fn header(self, name: &str) -> String {
        match self {
            Self::Vectors => format!("[vectors.{name}]"),
            Self::Identifier => format!("[identifier.{name}]"),
            Self::Model => format!("[model.{name}]"),
            Self::Train => format!("[[train]] with name = \"{name}\""),
            Self::System => format!("[[system]] with name = \"{name}\""),
        }
    }
}

/// What a step's input is to it. Part of step keys, where names of components are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The tables.
    Corpus,
    /// Item vectors.
    Vectors,
    /// The vectors at a place of a list.
    Part(usize),
    /// Identifiers and their index, by their place among those of a model.
    Identifier(usize),
    /// The decoder before any training.
    Model,
    /// The rendered prompts of the training requests, by the place of the identifier that answers.
    Prompts(usize),
    /// The weights that a training starts from.
    Start,
    /// Groups of chosen and rejected items.
    Pairs,
    /// The reference model's scores of them.
    Reference,
    /// The trained decoder.
    Train,
    /// What a system wrote to be opened from.
    Opened,
    /// What another system answers to the training requests.
    Teacher,
    /// What a system answers to the training requests of the fold at a place.
    Answers(usize),
    /// What was tuned for a system.
    Tuned,
    /// Vectors that a list is reordered by.
    Rerank,
    /// The vectors of items that came after the run.
    Added,
    /// What all systems were judged by, and the requests that are worth showing.
    Evaluation,
    /// The system at a place: one that another asks, or one that is judged.
    System(usize),
}

impl Role {
    /// The role in keys and manifests.
    pub fn text(self) -> String {
        match self {
            Self::Part(place) => format!("parts.{place}"),
            Self::System(place) => format!("systems.{place}"),
            Self::Identifier(place @ 1..) => format!("identifiers.{place}"),
            Self::Prompts(place @ 1..) => format!("prompts.{place}"),
            Self::Corpus => "corpus".into(),
            Self::Vectors => "vectors".into(),
            Self::Identifier(0) => "identifier".into(),
            Self::Model => "model".into(),
            Self::Prompts(0) => "prompts".into(),
            Self::Start => "start".into(),
            Self::Pairs => "pairs".into(),
            Self::Reference => "reference".into(),
            Self::Train => "train".into(),
            Self::Opened => "opened".into(),
            Self::Teacher => "teacher".into(),
            Self::Answers(place) => format!("answers.{place}"),
            Self::Tuned => "tuned".into(),
            Self::Rerank => "rerank".into(),
            Self::Added => "added".into(),
            Self::Evaluation => "evaluation".into(),
        }
    }

    /// The role of a text that [`Role::text`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((list, place)) = text.split_once('.') {
            let place = place.parse().ok()?;
            return match list {
                "parts" => Some(Self::Part(place)),
                "systems" => Some(Self::System(place)),
                "answers" => Some(Self::Answers(place)),
                "identifiers" if place > 0 => Some(Self::Identifier(place)),
                "prompts" if place > 0 => Some(Self::Prompts(place)),
                _ => None,
            };
        }
        const PLAIN: [Role; 15] = [
            Role::Corpus,
            Role::Vectors,
            Role::Identifier(0),
            Role::Model,
            Role::Prompts(0),
            Role::Start,
            Role::Pairs,
            Role::Reference,
            Role::Train,
            Role::Opened,
            Role::Teacher,
            Role::Tuned,
            Role::Rerank,
            Role::Added,
            Role::Evaluation,
        ];
        PLAIN.into_iter().find(|role| role.text() == text)
    }
}

/// Answers of a system to the training requests. One that learned from them answers those that it did not learn from: it
/// is made once for every fold, of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answers {
    /// How many per request.
    pub top: u32,
    /// Parts of the training requests; by default [`FOLDS`].
    pub folds: Option<u32>,
}

/// Parts of the training requests where nothing else is said.
pub const FOLDS: u32 = 4;

/// One component that another refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct Use<'a> {
    /// What is referred to.
    pub family: Family,
    /// By which name.
    pub name: &'a str,
    /// What it is used as.
    pub role: Role,
    /// Where the component names it, from the component's own table.
    pub key: Vec<Key>,
    /// What a definition of it must say beside its name, for advice; often nothing.
    pub hint: &'static str,
    /// Whether it must not have learned from the training requests, because what it says of them is
    /// learned from.
    pub unlearned: bool,
    /// Where given, its answers to the training requests are what is used.
    pub answers: Option<Answers>,
    /// Where given, it must be one of those that the component in this role leads to: it says which
    /// of them is meant, and is no input of its own.
    pub among: Option<Role>,
    /// Whether the component is what it names: the other's table stands for its own, so that their steps are equal.
    pub is_table: bool,
}

impl<'a> Use<'a> {
    /// The component called `name`, named by one key.
    pub fn new(family: Family, name: &'a str, role: Role, key: &'static str) -> Self {
        let key = vec![key.into()];
        Self {
            family,
            name,
            role,
            key,
            hint: "",
            unlearned: false,
            answers: None,
            among: None,
            is_table: false,
        }
    }

    /// The same, named at another place.
    #[must_use]
    pub fn at(self, key: Vec<Key>) -> Self {
        Self { key, ..self }
    }

    /// The same, with what its definition must say.
    #[must_use]
    pub fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    /// The same, of something that has learned nothing from the training requests.
    #[must_use]
    pub fn unlearned(self) -> Self {
        Self { unlearned: true, ..self }
    }

    /// The same, of what a system answers to the training requests.
    #[must_use]
    pub fn answers(self, answers: Answers) -> Self {
        Self { answers: Some(answers), ..self }
    }

    /// The same, as a choice among those that the component in `role` leads to.
    #[must_use]
    pub fn among(self, role: Role) -> Self {
        Self { among: Some(role), ..self }
    }
}

impl<'a> Use<'a> {
    /// The training whose weights another starts from, named by the key `init`.
    pub fn init(name: &'a str) -> Self {
        Self::new(Family::Train, name, Role::Start, "init")
    }

    /// The training whose table a component has, named by the key `train`.
    pub fn table(name: &'a str) -> Self {
        Self { is_table: true, ..Self::new(Family::Train, name, Role::Train, TABLE) }
    }
}

/// The key by which a component names the training whose table it has.
pub const TABLE: &str = "train";

/// What others may ask of a component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Vectors: requests can be encoded into their space.
    pub encodes_requests: bool,
    /// Vectors: their text encoder can be taken by others.
    pub lends_encoder: bool,
    /// It is made of others of its own family.
    pub is_composed: bool,
    /// It is trained, and another training of its kind can start from its weights.
    pub lends_weights: bool,
    /// Identifier: its codes have centroids among vectors.
    pub has_centroids: bool,
    /// Identifier: it is made of spans of texts, and not of codes.
    pub is_spans: bool,
    /// Identifier: some are spelled with fewer tokens than others.
    pub varies_in_length: bool,
    /// Training: identifiers of different lengths would be compared unfairly.
    pub needs_one_length: bool,
    /// Training: what it makes turns texts into vectors, by the final hidden states of a decoder.
    pub encodes_texts: bool,
    /// Model, training: what it makes has words for identifiers.
    pub names_items: bool,
    /// Training: it tells legal continuations apart, and says nothing of the rest of the vocabulary.
    pub knows_legal_only: bool,
    /// Training: what it starts from decides that, not itself.
    pub knows_as_its_start: bool,
    /// System: it scores given items.
    pub ranks: bool,
    /// System: it answers the requests of the corpus and no others.
    pub is_bound: bool,
    /// System: it can stand inside a fused system or at the beginning of a cascade.
    pub is_cascade: bool,
}

/// What of a component, itself and all that it uses, learned from the training requests: the first that is found. `find`
/// gives components by family and name.
pub fn learner<'a>(
    family: Family,
    name: &str,
    find: impl Fn(Family, &str) -> Option<&'a dyn Kind>,
) -> Option<(Family, String)> {
    reaches(family, name, find, |it| it.needs().iter().any(|need| need.fact.is_learned_from()))
}

/// The first component of which something holds, among one and all that it uses.
pub fn reaches<'a>(
    family: Family,
    name: &str,
    find: impl Fn(Family, &str) -> Option<&'a dyn Kind>,
    holds: impl Fn(&dyn Kind) -> bool,
) -> Option<(Family, String)> {
    let mut open = vec![(family, name.to_owned())];
    let mut seen = Vec::new();
    while let Some(next) = open.pop() {
        let Some(it) = find(next.0, &next.1) else { continue };
        if holds(it) {
            return Some(next);
        }
        seen.push(next);
        let further = it.uses().into_iter().map(|one| (one.family, one.name.to_owned()));
        open.extend(further.filter(|one| !seen.contains(one)));
    }
    None
}

/// Whether a training of some kind can start from another.
///
/// # Errors
/// What to say where it cannot.
pub fn starts_from(
    own: &str,
    used: &Use<'_>,
    kind: &str,
    other: &Abilities,
) -> Result<(), Refusal> {
    if kind == own && other.lends_weights {
        return Ok(());
    }
    let label = match kind == own {
        true => "a part of it is that of other vectors".into(),
        false => format!("is of kind = \"{kind}\""),
    };
    Err(Refusal {
        message: format!("training `{}` has no weights that this one could start from", used.name),
        label,
        help: format!("name a [[train]] of kind = \"{own}\" with weights of its own"),
    })
}

/// Why a component cannot be what it is used as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// What stands at the name.
    pub label: String,
    /// What to do.
    pub help: String,
}

#[cfg(test)]
mod tests {
    use super::Role;

    #[test]
    fn roles_read_back() {
        let roles = [
            Role::Corpus,
            Role::Part(3),
            Role::System(12),
            Role::Identifier(0),
            Role::Identifier(2),
            Role::Prompts(0),
            Role::Prompts(1),
            Role::Opened,
            Role::Rerank,
            Role::Teacher,
            Role::Answers(2),
        ];
        for role in roles {
            assert_eq!(Role::parse(&role.text()), Some(role));
        }
        for text in ["", "parts", "parts.x", "other.1", "vector", "identifiers.0", "prompts.0"] {
            assert_eq!(Role::parse(text), None, "{text}");
        }
    }
}
