//! The JSON schema that each raw type derives and the component in `spec/openapi.yaml` say the same:
//! names of properties, types, what is required, what is nested; for all components, both ways.

use std::collections::{BTreeMap, BTreeSet};

use descope_magiclink::raw::types;
use descope_magiclink::{DeliveryMethod, PhoneDelivery, SignUpUser, User};
use schemars::{SchemaGenerator, schema_for};
use serde_json::{Map, Value, json};

/// Formats that choose a redacting type, all of which derive the format `password`.
const SECRETS: [&str; 4] = ["session-jwt", "refresh-jwt", "magic-link-token", "password"];

fn components() -> Map<String, Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/openapi.yaml");
    let spec: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    spec["components"]["schemas"].as_object().unwrap().clone()
}

/// The derived schemas by component name, with references replaced by component names too.
fn derived() -> Map<String, Value> {
    let mut generator = SchemaGenerator::default();
    let list = types::json_schemas(&mut generator);
    let definitions = generator.take_definitions(true);
    let mut names = BTreeMap::new();
    for (name, reference) in &list {
        let target = reference.as_value()["$ref"].as_str().unwrap();
        let definition = target.rsplit('/').next().unwrap();
        names.insert(definition.to_owned(), (*name).to_owned());
    }
    let named = |(definition, schema): (&String, &Value)| {
        let name = names.get(definition)?;
        let mut text = schema.to_string();
        for (definition, name) in &names {
            text = text.replace(
                &format!("\"#/$defs/{definition}\""),
                &format!("\"#/components/schemas/{name}\""),
            );
        }
        Some((name.clone(), serde_json::from_str(&text).unwrap()))
    };
    definitions.iter().filter_map(named).collect()
}

/// What both sides must agree on. Absent and `null` mean the same for an optional field.
fn normal(schema: &Value) -> Value {
    let Some(members) = schema.as_object() else {
        return schema.clone();
    };
    if let Some(target) = members.get("$ref") {
        return json!({ "$ref": target });
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(choices) = members.get(keyword).and_then(Value::as_array) {
            let mut choices = choices.iter().filter(|choice| choice["type"] != "null");
            if let (Some(only), None) = (choices.next(), choices.next()) {
                return normal(only);
            }
        }
    }
    let mut kept = Map::new();
    let kind = match &members.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().find(|kind| *kind != "null").cloned(),
        kind => kind.cloned(),
    };
    if let Some(kind) = kind {
        kept.insert("type".to_owned(), kind);
    }
    if let Some(format) = members.get("format").and_then(Value::as_str) {
        let format = if SECRETS.contains(&format) {
            "password"
        } else {
            format
        };
        kept.insert("format".to_owned(), json!(format));
    }
    for keyword in ["enum", "const"] {
        if let Some(values) = members.get(keyword) {
            kept.insert(keyword.to_owned(), values.clone());
        }
    }
    if let Some(items) = members.get("items") {
        kept.insert("items".to_owned(), normal(items));
    }
    // `{}` and `true` both let any value through.
    match members.get("additionalProperties") {
        Some(Value::Object(values)) if values.is_empty() => {
            kept.insert("additionalProperties".to_owned(), json!(true));
        }
        Some(values) => {
            kept.insert("additionalProperties".to_owned(), normal(values));
        }
        // A free-form object may be written without it.
        None if kept.get("type") == Some(&json!("object"))
            && !members.contains_key("properties") =>
        {
            kept.insert("additionalProperties".to_owned(), json!(true));
        }
        None => {}
    }
    let empty = Map::new();
    let properties = members
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    if !properties.is_empty() {
        let properties: Map<_, _> = properties
            .iter()
            .map(|(name, property)| (name.clone(), normal(property)))
            .collect();
        kept.insert("properties".to_owned(), Value::Object(properties));
    }
    let required: BTreeSet<&str> = members
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !required.is_empty() {
        kept.insert("required".to_owned(), json!(required));
    }
    Value::Object(kept)
}

/// Where the two differ, in words.
fn differences(components: &Map<String, Value>, derived: &Map<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = components.keys().chain(derived.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        match (components.get(name), derived.get(name)) {
            (Some(component), Some(schema)) => {
                let (mut component, mut schema) = (normal(component), normal(schema));
                // Types of requests take more members than the description has.
                if component["additionalProperties"] != json!(true) {
                    for schema in [&mut component, &mut schema] {
                        schema
                            .as_object_mut()
                            .unwrap()
                            .remove("additionalProperties");
                    }
                }
                compare(name, &component, &schema, &mut found);
            }
            (Some(_), None) => found.push(format!("{name}: no type derives it")),
            (None, _) => found.push(format!("{name}: not in the description")),
        }
    }
    found
}

fn compare(place: &str, component: &Value, schema: &Value, found: &mut Vec<String>) {
    if let (Value::Object(one), Value::Object(other)) = (component, schema) {
        let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        for key in keys {
            let place = format!("{place} > {key}");
            match (one.get(key), other.get(key)) {
                (Some(one), Some(other)) => compare(&place, one, other, found),
                (Some(one), None) => found.push(format!("{place}: {one} in the description only")),
                (None, other) => found.push(format!("{place}: {other:?} in the type only")),
            }
        }
    } else if component != schema {
        found.push(format!(
            "{place}: {component} in the description, {schema} in the type"
        ));
    }
}

#[test]
fn every_type_says_what_its_component_says() {
    let (components, derived) = (components(), derived());
    assert!(components.len() > 40);
    let found = differences(&components, &derived);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_property_can_be_renamed_on_one_side() {
    let (components, derived) = (components(), derived());
    let mut renamed = 0;
    for (name, component) in &components {
        let properties = component["properties"].as_object();
        for property in properties.into_iter().flat_map(Map::keys) {
            let mut changed = components.clone();
            let properties = changed[name]["properties"].as_object_mut().unwrap();
            let schema = properties.remove(property).unwrap();
            properties.insert(format!("{property}Renamed"), schema);
            let found = differences(&changed, &derived);
            let place = format!("{name} > properties > {property}");
            let both = [format!("{place}:"), format!("{place}Renamed:")];
            for start in both {
                assert!(
                    found.iter().any(|text| text.starts_with(&start)),
                    "{start} {found:?}"
                );
            }
            renamed += 1;
        }
    }
    assert!(renamed > 200, "{renamed}");
}

#[test]
fn no_type_format_or_requirement_can_change_on_one_side() {
    let (components, derived) = (components(), derived());
    for (name, component) in &components {
        let properties = component["properties"].as_object();
        for (property, schema) in properties.into_iter().flatten() {
            let changes = if schema.get("$ref").is_some() {
                vec![json!({ "$ref": "#/components/schemas/Other" })]
            } else {
                let mut other = schema.clone();
                let is_text = schema["type"] == "string";
                other["type"] = json!(if is_text { "boolean" } else { "string" });
                let mut format = schema.clone();
                format["format"] = json!("other");
                vec![other, format]
            };
            for change in changes {
                let mut changed = components.clone();
                changed[name]["properties"][property] = change;
                assert!(
                    !differences(&changed, &derived).is_empty(),
                    "{name}.{property}"
                );
            }
            let mut changed = components.clone();
            changed[name]["required"] = json!([property]);
            assert!(
                !differences(&changed, &derived).is_empty(),
                "{name}.{property}"
            );
        }
    }
}

#[test]
fn no_component_can_come_or_go_alone() {
    let (components, derived) = (components(), derived());
    for name in components.keys() {
        let mut fewer = components.clone();
        fewer.remove(name);
        assert_eq!(
            differences(&fewer, &derived),
            [format!("{name}: not in the description")]
        );
        let mut fewer = derived.clone();
        fewer.remove(name);
        assert_eq!(
            differences(&components, &fewer),
            [format!("{name}: no type derives it")]
        );
    }
}

/// What an application is most likely to put into its own description.
#[test]
fn the_facade_has_schemas_too() {
    assert_eq!(
        schema_for!(DeliveryMethod).as_value()["enum"],
        json!(["email", "sms", "whatsapp"])
    );
    assert_eq!(
        schema_for!(PhoneDelivery).as_value()["enum"],
        json!(["sms", "whatsapp"])
    );
    let user = schema_for!(SignUpUser);
    assert_eq!(normal(user.as_value())["properties"], {
        normal(&components()["SignUpUser"])["properties"].clone()
    });
    let json = json!({ "name": "Joe Person", "email": "joe@example.com" });
    let user: SignUpUser = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(user).unwrap(), json);
    let response = schema_for!(User);
    assert!(response.as_value()["properties"]["loginIds"].is_object());
}
