// An OpenAPI document, as far as the page of routes shows it.

import { fields, list, text } from "./parse";

export interface Parameter {
  readonly name: string;
  readonly place: string;
  readonly required: boolean;
  readonly does: string;
  readonly schema: unknown;
  readonly example: string;
  /** The values that it may have, where they are few. */
  readonly choices: readonly string[];
  readonly fallback: string | null;
}

export interface Response {
  readonly status: string;
  readonly when: string;
  /** `application/json`, and the name of its schema. */
  readonly content: readonly { readonly media: string; readonly schema: string }[];
  readonly headers: readonly string[];
}

export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly does: string;
  readonly degraded: string | null;
  readonly parameters: readonly Parameter[];
  readonly responses: readonly Response[];
}

const METHODS = ["get", "post"] as const;

/** The last word of a `$ref`. */
export function named(schema: unknown): string {
  return (text(fields(schema), "$ref") ?? "").split("/").pop() ?? "";
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
}

function parameter(said: unknown): Parameter {
  const of = fields(said);
  const schema = of["schema"];
  const choices = fields(schema)["enum"];
  const fallback = fields(schema)["default"];
  return {
    name: text(of, "name") ?? "",
    place: text(of, "in") ?? "",
    required: of["required"] === true,
    does: text(of, "description") ?? "",
    schema,
    example: shown(of["example"]),
    choices: list(choices).map(shown),
    fallback: fallback === undefined ? null : shown(fallback),
  };
}

function response([status, said]: [string, unknown]): Response {
  const of = fields(said);
  const content = Object.entries(fields(of["content"]));
  return {
    status,
    when: text(of, "description") ?? "",
    content: content.map(([media, has]) => ({ media, schema: named(fields(has)["schema"]) })),
    headers: Object.keys(fields(of["headers"])),
  };
}

/** Every operation of a document but those that give a head alone. */
export function operations(document: unknown): Operation[] {
  const paths = Object.entries(fields(fields(document)["paths"]));
  return paths.flatMap(([path, has]) =>
    METHODS.flatMap((method) => {
      const said = fields(fields(has)[method]);
      if (said["responses"] === undefined) return [];
      return {
        method,
        path,
        does: text(said, "summary") ?? "",
        degraded: text(said, "description"),
        parameters: list(said["parameters"]).map(parameter),
        responses: Object.entries(fields(said["responses"])).map(response),
      };
    }),
  );
}

/** The address that a form's values make; a value that is left empty is left out of the query. */
export function address(path: string, values: readonly { readonly name: string; readonly place: string; readonly value: string }[]): string {
  const filled = values
    .filter((v) => v.place === "path")
    .reduce((at, v) => at.replace(`{${v.name}}`, encodeURIComponent(v.value)), path);
  const asked = values.filter((v) => v.place === "query" && v.value !== "");
  const query = asked.map((v) => `${encodeURIComponent(v.name)}=${encodeURIComponent(v.value)}`);
  return query.length === 0 ? filled : `${filled}?${query.join("&")}`;
}
