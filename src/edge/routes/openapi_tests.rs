//! The document says what the table says.

use std::collections::BTreeSet;

use super::super::table::ROUTES;
use super::*;

const IN_SCHEMAS: &str = "#/components/schemas/";
const IN_HEADERS: &str = "#/components/headers/";

/// Every `$ref` of a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(to)) = map.get("$ref") {
                found.insert(to.clone());
            }
            map.values().for_each(|v| references(v, found));
        }
        Value::Array(all) => all.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

fn names(components: &Value) -> BTreeSet<String> {
    components.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_schema_and_header_that_is_named_is_there_and_none_is_left_over() {
    let document = document(ROUTES);
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for (kind, prefix) in [("schemas", IN_SCHEMAS), ("headers", IN_HEADERS)] {
        let named: BTreeSet<String> = found
            .iter()
            .filter_map(|to| to.strip_prefix(prefix).map(str::to_owned))
            .collect();
        assert_eq!(named, names(&document["components"][kind]), "{kind}");
    }
    let elsewhere = |to: &&String| !to.starts_with(IN_SCHEMAS) && !to.starts_with(IN_HEADERS);
    assert_eq!(found.iter().find(elsewhere), None);
}

#[test]
fn a_name_is_of_one_schema_which_can_be_read() {
    let mut found: BTreeMap<&str, &Schema> = BTreeMap::new();
    let mut left: Vec<&Schema> = ROUTES
        .iter()
        .flat_map(|row| row.answers)
        .map(|reply| reply.schema)
        .collect();
    while let Some(schema) = left.pop() {
        let first = *found.entry(schema.name).or_insert(schema);
        assert_eq!(first.json, schema.json, "{}", schema.name);
        let said: Value = serde_json::from_str(schema.json).unwrap();
        assert!(said.is_object(), "{}", schema.name);
        left.extend(schema.parts);
    }
}

#[test]
fn every_row_stands_there_with_its_statuses_and_parameters() {
    let document = document(ROUTES);
    let mut operations = BTreeSet::new();
    for row in ROUTES {
        let path = &document["paths"][row.path];
        let methods: &[&str] = match row.method {
            Method::Get => &["get", "head"],
            Method::Post => &["post"],
        };
        assert_eq!(
            path.as_object().unwrap().len(),
            methods.len(),
            "{}",
            row.path
        );
        for method in methods {
            let said = &path[*method];
            let id = said["operationId"].as_str().unwrap();
            assert!(operations.insert(id.to_owned()), "{id} twice");
            let statuses = names(&said["responses"]);
            for reply in row.answers {
                assert!(statuses.contains(&reply.status.to_string()), "{id}");
                let response = &said["responses"][reply.status.to_string()];
                let has_content = *method != "head" && !reply.media.is_empty();
                assert_eq!(response["content"].is_object(), has_content, "{id}");
            }
            for common in COMMON.iter().filter(|c| c.of == Of::Every) {
                assert!(statuses.contains(&common.status.to_string()), "{id}");
            }
            let parameters = said["parameters"].as_array();
            assert_eq!(parameters.map_or(0, Vec::len), row.params.len(), "{id}");
        }
    }
    assert_eq!(document["paths"].as_object().unwrap().len(), ROUTES.len());
}

#[test]
fn examples_and_defaults_can_be_read_and_requirements_are_the_readers() {
    for row in ROUTES {
        for param in row.params {
            let name = param.name();
            param.check(Some(param.example())).unwrap();
            let said = parameter(*param);
            if let Some(default) = said["schema"].get("default") {
                assert_eq!(said["required"], false, "{name}");
                let text = default.as_str().map_or(default.to_string(), str::to_owned);
                param.check(Some(&text)).unwrap();
            }
            let is_number = said["schema"]["type"] == "integer";
            assert_eq!(said["example"].is_u64(), is_number, "{name}");
            for word in said["schema"]["enum"].as_array().into_iter().flatten() {
                param.check(word.as_str()).unwrap();
            }
        }
    }
}

#[test]
fn an_answer_leads_to_a_parameter_of_a_route_that_reads() {
    let replies = ROUTES.iter().flat_map(|row| row.answers);
    for lead in replies.filter_map(|reply| reply.lead) {
        let to = ROUTES.iter().find(|row| row.path == lead.to).unwrap();
        assert_eq!(to.method, Method::Get);
        assert!(to.params.iter().any(|p| p.name() == lead.param));
    }
    let document = document(ROUTES);
    let link = &document["paths"]["/api/stalls"]["get"]["responses"]["200"]["links"]["name"];
    assert_eq!(link["operationId"], "get_api_stalls_name");
}

#[test]
fn the_readmes_table_has_a_line_for_each_route() {
    let table = routes_markdown(ROUTES);
    assert_eq!(table.lines().count(), ROUTES.len() + 2);
    assert!(
        table.contains("| `GET /api/trade-history?since=&limit=` |"),
        "{table}"
    );
}
