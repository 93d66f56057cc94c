/**
 * WebAssembly script text as S-expressions. Each knows where it stands, so that a component can be
 * cut out of the script as it was written and an assertion be named by its line.
 */

export interface List {
  readonly kind: "list";
  readonly items: readonly Expression[];
  readonly start: number;
  readonly end: number;
}

export interface Atom {
  readonly kind: "atom";
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export interface Text {
  readonly kind: "string";
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export type Expression = List | Atom | Text;

/** The script's expressions at the top. Throws SyntaxError with the offset. */
export function parseExpressions(source: string): List[] {
  let at = 0;

  function fail(problem: string): never {
    throw new SyntaxError(`${problem} at offset ${at}`);
  }

  function skipBlanks(): void {
    while (at < source.length) {
      if (/\s/.test(source[at]!)) at++;
      else if (source.startsWith(";;", at)) {
        const end = source.indexOf("\n", at);
        at = end === -1 ? source.length : end + 1;
      } else if (source.startsWith("(;", at)) skipBlockComment();
      else return;
    }
  }

  function skipBlockComment(): void {
    let depth = 0;
    do {
      if (source.startsWith("(;", at)) {
        depth++;
        at += 2;
      } else if (source.startsWith(";)", at)) {
        depth--;
        at += 2;
      } else if (++at > source.length) fail("a comment is not closed");
    } while (depth > 0);
  }

  function expression(): Expression {
    const start = at;
    if (source[at] === '"') return { kind: "string", bytes: string(), start, end: at };
    if (source[at] !== "(") {
      while (at < source.length && !/[\s()";]/.test(source[at]!)) at++;
      if (at === start) fail("an expression is expected");
      return { kind: "atom", text: source.slice(start, at), start, end: at };
    }
    at++;
    const items: Expression[] = [];
    for (;;) {
      skipBlanks();
      if (at >= source.length) fail("a parenthesis is not closed");
      if (source[at] === ")") break;
      items.push(expression());
    }
    at++;
    return { kind: "list", items, start, end: at };
  }

  function string(): Uint8Array {
    const bytes: number[] = [];
    const put = (text: string) => bytes.push(...Buffer.from(text));
    at++;
    while (source[at] !== '"') {
      if (at >= source.length) fail("a string is not closed");
      if (source[at] !== "\\") {
        const character = String.fromCodePoint(source.codePointAt(at)!);
        put(character);
        at += character.length;
        continue;
      }
      const escaped = /\\(?:u\{([0-9a-f_]+)\}|([0-9a-f]{2})|([nrt"'\\]))/iy;
      escaped.lastIndex = at;
      const found = escaped.exec(source) ?? fail("an escape is unknown");
      const [all, unicode, byte, letter] = found;
      if (unicode !== undefined) put(String.fromCodePoint(Number.parseInt(unicode.replaceAll("_", ""), 16)));
      else if (byte !== undefined) bytes.push(Number.parseInt(byte, 16));
      else put({ n: "\n", r: "\r", t: "\t" }[letter!] ?? letter!);
      at += all.length;
    }
    at++;
    return Uint8Array.from(bytes);
  }

  const expressions: List[] = [];
  for (skipBlanks(); at < source.length; skipBlanks()) {
    const found = expression();
    if (found.kind !== "list") fail("a list is expected");
    expressions.push(found as List);
  }
  return expressions;
}

/** The line, from 1, that an offset stands in. */
export function lineOf(source: string, offset: number): number {
  return source.slice(0, offset).split("\n").length;
}

/** The atom an expression is; undefined for strings and lists. */
export function atomOf(expression: Expression | undefined): string | undefined {
  return expression?.kind === "atom" ? expression.text : undefined;
}

/** The atom that a list begins with. */
export function headOf(expression: Expression | undefined): string | undefined {
  return expression?.kind === "list" ? atomOf(expression.items[0]) : undefined;
}

/** The UTF-8 text that a string expression is. */
export function textOf(expression: Expression | undefined): string {
  if (expression?.kind !== "string") throw new SyntaxError("a string is expected");
  return Buffer.from(expression.bytes).toString("utf8");
}
