//! Proofs for the keywords of arrays and objects.

use jsonschema::Draft;
use serde_json::{Map, Value};

use super::{Place, Proof};
use crate::schema::shape::{Shape, ShapeField, ShapeFields, ShapeItems, ShapeTexts};

impl Place<'_> {
    pub fn takes_items(
        &self,
        keyword: &str,
        beside: &Map<String, Value>,
        items: &ShapeItems,
    ) -> Proof {
        let least = match items {
            ShapeItems::Each(_) => 0,
            ShapeItems::Exactly(shapes) => shapes.len() as u64,
        };
        match (keyword, items, self.schema.as_u64()) {
            ("minItems", _, Some(limit)) if limit <= least => Ok(()),
            ("maxItems", ShapeItems::Exactly(shapes), Some(limit))
                if shapes.len() as u64 <= limit =>
            {
                Ok(())
            }
            ("prefixItems", ShapeItems::Exactly(shapes), _) => {
                let parts = self.each()?;
                parts.iter().zip(shapes).try_for_each(|(part, shape)| part.covers(Some(shape)))
            }
            ("prefixItems", ShapeItems::Each(shape), _) => {
                self.each()?.iter().try_for_each(|part| part.covers(Some(shape)))
            }
            ("items", ShapeItems::Each(shape), _) => self.covers(Some(shape)),
            ("items", ShapeItems::Exactly(shapes), _) => {
                // Another keyword covers the elements before.
                let before =
                    beside.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
                let skipped = if self.draft == Draft::Draft202012 { before } else { 0 };
                shapes.iter().skip(skipped).try_for_each(|shape| self.covers(Some(shape)))
            }
            _ => self.no("the table takes other arrays too"),
        }
    }

    pub fn takes_fields(
        &self,
        keyword: &str,
        beside: &Map<String, Value>,
        fields: &ShapeFields,
    ) -> Proof {
        match (keyword, fields) {
            ("properties", ShapeFields::Named { fields, is_closed }) => {
                self.named()?.iter().try_for_each(|(name, part)| {
                    let field = fields.iter().find(|field| field.name == **name);
                    match field {
                        None if *is_closed => Ok(()),
                        field => part.covers(field.map(|field| &field.shape)),
                    }
                })
            }
            ("properties", ShapeFields::Each(_, values)) => {
                self.named()?.iter().try_for_each(|(_, part)| part.covers(Some(values)))
            }
            ("additionalProperties", ShapeFields::Each(_, values)) => self.covers(Some(values)),
            ("additionalProperties", ShapeFields::Named { fields, is_closed: true }) => {
                self.refuses_others(beside, fields)
            }
            ("additionalProperties", ShapeFields::Named { is_closed: false, .. }) => {
                self.covers(None)
            }
            ("propertyNames", ShapeFields::Each(names, _)) => self.covers_names(names),
            ("propertyNames", ShapeFields::Named { fields, is_closed: true }) => {
                let names = fields.iter().map(|field| field.name.clone()).collect();
                self.covers_names(&ShapeTexts { labels: Some(names), ..ShapeTexts::default() })
            }
            ("propertyNames", ShapeFields::Named { .. }) => {
                self.covers_names(&ShapeTexts::default())
            }
            ("required", ShapeFields::Named { fields, .. }) => self.requires(fields),
            ("minProperties", ShapeFields::Named { fields, .. }) => {
                let least = fields.iter().filter(|field| field.is_required).count() as u64;
                let is_covered = self.schema.as_u64().is_some_and(|limit| limit <= least);
                if is_covered { Ok(()) } else { self.no("the table takes smaller objects too") }
            }
            _ => self.no("the table takes other objects too"),
        }
    }

    /// Proves the schema for every field that is not named beside; the shape has no other fields.
    fn refuses_others(&self, beside: &Map<String, Value>, fields: &[ShapeField]) -> Proof {
        let named = beside.get("properties").and_then(Value::as_object);
        let is_named =
            |field: &&ShapeField| named.is_some_and(|named| named.contains_key(&field.name));
        let mut others = fields.iter().filter(|field| !is_named(field));
        others.try_for_each(|field| self.covers(Some(&field.shape)))
    }

    fn covers_names(&self, names: &ShapeTexts) -> Proof {
        self.covers(Some(&Shape { text: Some(names.clone()), ..Shape::default() }))
    }

    fn requires(&self, fields: &[ShapeField]) -> Proof {
        let names = self.schema.as_array().map_or(&[][..], Vec::as_slice);
        let is_required =
            |name: &Value| fields.iter().any(|field| field.is_required && *name == *field.name);
        match names.iter().find(|name| !is_required(name)) {
            Some(name) => self.no(format!("the table takes records without {name}")),
            None => Ok(()),
        }
    }
}
