/** A refusal in the form of RFC 9457, the same as the platform's own. */
export function problem(status: number, title: string, more: Record<string, unknown> = {}): Response {
  return Response.json(
    { type: "about:blank", status, title, ...more },
    { status, headers: { "content-type": "application/problem+json" } },
  );
}
