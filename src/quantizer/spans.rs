//! Spans of texts: an identifier that gives no item a code. What a model's words say of items is made where its tokens are
//! known; here it is declared.

use super::kinds::IdentifierKind;
use super::known::Known;
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::identifier::spans::settings::SpanSettings;
use crate::inputs::StepContext;
use crate::kind::{Abilities, Draws, Estimate, Fact, Faults, ItemValue, Kind, Need, Sizes, keys};

impl Kind for SpanSettings {
    fn draws(&self) -> Draws {
        Draws::Nothing
    }

    fn abilities(&self) -> Abilities {
        Abilities { is_spans: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        let message = "identifier `{name}` is made of spans of texts, but the items have none";
        let text = Need::new(Fact::Text, message.into());
        let message =
            "identifier `{name}` answers what requests ask in words, but they ask nothing";
        let questions = Need::new(Fact::Queries, message.into());
        let instead = "take identifiers of codes";
        let fields = self.fields.iter().enumerate().map(|(place, name)| {
            let value = match name.as_str() {
                "category" => ItemValue::Category(0),
                name => ItemValue::Attribute(name.to_owned()),
            };
            let message = format!("identifier `{{name}}` reads {value} of items, which have none");
            Need::new(Fact::Value(value), message).at(keys!["fields", place])
        });
        [text.instead(instead), questions.instead(instead)].into_iter().chain(fields).collect()
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        for (place, field) in self.fields.iter().enumerate() {
            let key = keys!["fields", place];
            if field == "title" {
                let message = "the title is no further field";
                faults.value(key, message, "is asked for by `title`", "set title = true");
            } else if self.fields[..place].contains(field) {
                let message = format!("field \"{field}\" is named twice");
                faults.value(key, message, "second time", "name each field once");
            }
        }
    }
}

impl IdentifierKind for SpanSettings {
    fn known_levels(&self) -> Vec<u32> {
        Vec::new()
    }

    fn may_collide(&self) -> bool {
        false
    }

    fn assign(&self, step: &StepContext<'_>, _known: &dyn Known) -> Result<Identifiers> {
        Err(Error::Failed(format!("{}: spans are no codes: please report this", step.name)))
    }

    fn spans(&self) -> Option<&SpanSettings> {
        Some(self)
    }

    fn modes(&self) -> usize {
        self.views().len()
    }

    fn levels(&self) -> u32 {
        self.tokens
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        Estimate::default().figure("tokens of a span", format!("≤ {}", self.tokens)).count(
            "items",
            "",
            sizes.items,
        )
    }
}
